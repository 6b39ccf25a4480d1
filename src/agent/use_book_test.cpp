#include "agent/use_book.h"

#include <filesystem>
#include <fstream>
#include <unistd.h>

#include <gtest/gtest.h>

#include "agent/use_file.h"

namespace tessera::agent {
namespace {

using fleet::BusyTime;
using fleet::LeaseId;
using fleet::Use;
using namespace std::chrono_literals;

Use busy(std::int64_t count) {
  return {BusyTime(count), {}, {}, 1s};
}
std::int64_t sum_of(const std::vector<fleet::UseBatch>& batches) {
  std::int64_t sum = 0;
  for (const auto& batch : batches)
    for (const auto& each : batch.leases) sum += each.use.busy.count();
  return sum;
}

UseBook full() {
  UseBook book("s1");
  book.add(LeaseId(2), busy(5));
  book.close();
  book.add(LeaseId(2), busy(7));
  book.add(LeaseId(9), busy(1));
  book.close();
  book.add(LeaseId(9), busy(3));
  return book;
}

TEST(UseBook, ReadsWhatItWrote) {
  const auto read = UseBook::parse(full().text());
  ASSERT_TRUE(read) << base::to_string(read.error());
  EXPECT_EQ(*read, full());
  EXPECT_EQ(read->totals().at(LeaseId(9)).busy, BusyTime(4));
}

TEST(UseBook, TakesNoBookThatIsCutShortOrAltered) {
  const auto text = full().text();
  for (std::size_t length = 0; length < text.size(); ++length)
    EXPECT_FALSE(UseBook::parse(std::string_view(text).substr(0, length))) << length;
  for (const auto& [from, to] :
       {std::pair("batch 2", "batch 3"), std::pair("use 2 5", "use 0 5"),
        std::pair("use 2 5", "use 2 -5"), std::pair("s1 3", "s1 9"), std::pair("open", "opened")}) {
    auto altered = text;
    altered.replace(altered.find(from), std::string(from).size(), to);
    EXPECT_FALSE(UseBook::parse(altered)) << altered;
  }
}

TEST(UseBook, ABatchKeepsItsNumberAndContent) {
  auto book = full();
  const auto before = book.batches();
  book.add(LeaseId(2), busy(100));
  ASSERT_TRUE(book.close());
  EXPECT_EQ(std::vector(book.batches().begin(), book.batches().begin() + 2), before);
  book.acknowledge({"s1", 1});
  EXPECT_EQ(book.batches().front().sequence, 2U);
  book.acknowledge({"another", 3});
  EXPECT_EQ(book.batches().size(), 2U) << "a receipt of another stream";
  book.acknowledge({"s1", 3});
  EXPECT_TRUE(book.batches().empty());
  book.add(LeaseId(2), busy(1));
  book.close();
  EXPECT_EQ(book.batches().front().sequence, 4U);
}

TEST(UseBook, WhileNobodyTakesThemItStaysSmallAndLosesNothing) {
  UseBook book("s1");
  for (int i = 0; i < 1000; ++i) {
    book.add(LeaseId(1), busy(1));
    book.close();
  }
  EXPECT_EQ(book.batches().size(), UseBook::kMostBatches);
  EXPECT_LT(book.text().size(), 2'000U);
  auto sum = sum_of(book.batches());
  book.acknowledge({"s1", book.batches().back().sequence});
  EXPECT_TRUE(book.close());
  sum += sum_of(book.batches());
  EXPECT_EQ(sum, 1000);
}

class UseFileTest : public testing::Test {
 protected:
  UseFileTest() { std::filesystem::create_directories(folder_); }
  ~UseFileTest() override { std::filesystem::remove_all(folder_); }
  std::string folder_ = testing::TempDir() + "use-file-" + std::to_string(getpid());
  std::string trouble_;
};

TEST_F(UseFileTest, KeepsTheBookAndItsStream) {
  const UseFile file(folder_ + "/use");
  const auto made = file.load(trouble_);
  EXPECT_FALSE(made.stream().empty());
  EXPECT_NE(made.stream(), file.load(trouble_).stream()) << "nothing was saved yet";
  ASSERT_TRUE(file.save(full(), true));
  EXPECT_EQ(file.load(trouble_), full());
  EXPECT_EQ(trouble_, "");
}

TEST_F(UseFileTest, ADamagedBookIsSetAsideAndTold) {
  const UseFile file(folder_ + "/use");
  std::ofstream(folder_ + "/use") << "tessera use 1\nstream s1 2\n";
  EXPECT_NE(file.load(trouble_).stream(), "s1") << "its numbers may have been used";
  EXPECT_NE(trouble_.find("the end is missing"), std::string::npos) << trouble_;
  EXPECT_TRUE(std::filesystem::exists(folder_ + "/use.damaged"));
}

TEST_F(UseFileTest, SaysWhatItCannotWrite) {
  const UseFile file(folder_ + "/no/such/use");
  const auto saved = file.save(full(), false);
  ASSERT_FALSE(saved);
  EXPECT_EQ(saved.error().reason, base::Reason::kUnavailable);
}

}  // namespace
}  // namespace tessera::agent
