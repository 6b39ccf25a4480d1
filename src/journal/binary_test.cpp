#include "journal/binary.h"

#include <limits>
#include <map>
#include <optional>
#include <vector>

#include <gtest/gtest.h>

#include "base/random.h"

namespace tessera::journal {
namespace {

template <class T>
std::string stored(const T& value) {
  Writer writer;
  writer.put(value);
  return writer.take();
}

template <class T>
base::Result<T> read(std::string_view bytes) {
  Reader reader(bytes);
  T value{};
  reader.get(value);
  if (auto whole = reader.finish(); !whole) return std::unexpected(whole.error());
  return value;
}

struct Old {
  int first = 1;
  std::string second = "second";
  static void fields(auto& self, auto&& visit) {
    visit("first", self.first);
    visit("second", self.second);
  }
};
/// What Old became: a field was added at its end.
struct New {
  int first = 1;
  std::string second = "second";
  std::vector<int> third{7};
  static void fields(auto& self, auto&& visit) {
    visit("first", self.first);
    visit("second", self.second);
    visit("third", self.third);
  }
};
template <class T>
struct Pair {
  T left, right;
  static void fields(auto& self, auto&& visit) {
    visit("left", self.left);
    visit("right", self.right);
  }
};

TEST(Binary, IntegersHaveTheirDocumentedForm) {
  EXPECT_EQ(stored(std::uint32_t{0}), std::string("\0", 1));
  EXPECT_EQ(stored(std::uint32_t{127}), "\x7f");
  EXPECT_EQ(stored(std::uint32_t{128}), "\x80\x01");
  EXPECT_EQ(stored(-1), "\x01");
  EXPECT_EQ(stored(1), "\x02");
  EXPECT_EQ(stored(std::string("ab")),
            "\x02"
            "ab");
}

TEST(Binary, ExtremesComeBack) {
  for (const std::int64_t value : {std::numeric_limits<std::int64_t>::min(), std::int64_t{-1},
                                   std::int64_t{0}, std::numeric_limits<std::int64_t>::max()}) {
    EXPECT_EQ(read<std::int64_t>(stored(value)), value);
    EXPECT_EQ(read<base::MiB>(stored(base::MiB(value))), base::MiB(value));
    EXPECT_EQ(read<base::Instant>(stored(base::Instant(base::Duration(value)))),
              base::Instant(base::Duration(value)));
  }
  EXPECT_EQ(read<std::uint64_t>(stored(~std::uint64_t{0})), ~std::uint64_t{0});
}

TEST(Binary, AnOlderBodyLeavesAddedFieldsAtTheirDefault) {
  const auto now = read<Pair<New>>(stored(Pair<Old>{{5, "five"}, {6, "six"}}));
  ASSERT_TRUE(now.has_value());
  EXPECT_EQ(now->left.second, "five");
  EXPECT_EQ(now->right.first, 6);
  EXPECT_EQ(now->right.third, std::vector{7});
}

TEST(Binary, AddedFieldsOfANewerBodyAreSkipped) {
  const auto then = read<Pair<Old>>(stored(Pair<New>{{5, "five", {1, 2}}, {6, "six", {}}}));
  ASSERT_TRUE(then.has_value());
  EXPECT_EQ(then->left.second, "five");
  EXPECT_EQ(then->right.second, "six");
}

TEST(Binary, LongBodiesGetALongerLength) {
  const Pair<Old> pair{{1, std::string(200, 'x')}, {2, std::string(70'000, 'y')}};
  const auto back = read<Pair<Old>>(stored(pair));
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(back->left.second, pair.left.second);
  EXPECT_EQ(back->right.second, pair.right.second);
}

TEST(Binary, RefusesWhatIsNotAStoredForm) {
  EXPECT_FALSE(read<std::uint32_t>("").has_value());
  EXPECT_FALSE(read<std::uint32_t>("\x80").has_value());
  EXPECT_FALSE(read<std::uint32_t>(std::string("\x80\x00", 2)).has_value()) << "a second form of 0";
  EXPECT_FALSE(read<std::uint8_t>(stored(std::uint32_t{256})).has_value());
  EXPECT_FALSE(read<std::uint64_t>(std::string(9, '\xff') + "\x02").has_value()) << "65 bits";
  EXPECT_FALSE(read<bool>("\x02").has_value());
  EXPECT_FALSE(read<std::string>("\x05"
                                 "abc")
                   .has_value());
  EXPECT_FALSE(read<std::uint32_t>("\x01\x01").has_value()) << "left over";
  EXPECT_FALSE((read<std::map<std::string, int>>("\x02\x01"
                                                 "b\x02\x01"
                                                 "a\x02")
                    .has_value()))
      << "keys fall";
}

TEST(Binary, AnErrorNamesFieldAndByte) {
  std::string bytes = stored(Old{1, "abc"});
  bytes[2] = '\x30';  // the length of `second`
  const auto wrong = read<Old>(bytes);
  ASSERT_FALSE(wrong.has_value());
  EXPECT_EQ(wrong.error().where, "byte 3, field second");
}

TEST(Binary, AHugeCountIsRefusedBeforeItIsAllocated) {
  EXPECT_FALSE(read<std::vector<Old>>("\xff\xff\xff\xff\xff\xff\xff\x7f").has_value());
}

}  // namespace
}  // namespace tessera::journal
