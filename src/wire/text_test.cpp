#include "wire/text.h"

#include <array>

#include <gtest/gtest.h>

namespace tessera::wire {
namespace {

TEST(Text, SuggestsWhatIsNear) {
  constexpr std::array<std::string_view, 4> kWords = {"memory", "compute", "isolation", "sms"};
  EXPECT_EQ(nearest("memroy", kWords), "memory");
  EXPECT_EQ(nearest("Compute", kWords), "compute");
  EXPECT_EQ(nearest("isolaton", kWords), "isolation");
  EXPECT_EQ(nearest("sm", kWords), "sms");
  EXPECT_EQ(nearest("gpu", kWords), std::nullopt);
  EXPECT_EQ(nearest("", kWords), std::nullopt);
  EXPECT_EQ(nearest(std::string(1 << 20, 'm'), kWords), std::nullopt);
}

TEST(Text, ClipsBetweenCharacters) {
  EXPECT_EQ(clip("abc", 3), "abc");
  EXPECT_EQ(clip("abcd", 3), "abc…");
  EXPECT_EQ(clip("a\xC3\xA9\xC3\xA9", 2), "a…");
}

TEST(Text, ReadsDecimalsExactly) {
  EXPECT_EQ(decimal_from("3", 3), 3000);
  EXPECT_EQ(decimal_from("3.5", 3), 3500);
  EXPECT_EQ(decimal_from("0.001", 3), 1);
  EXPECT_EQ(decimal_from("1000000000000", 0), 1'000'000'000'000);
  for (const char* text : {"", "-1", "+1", ".5", "5.", "1.2345", "1e3", " 1", "1 ", "1.x",
                           "1000000000001", "99999999999999999999"})
    EXPECT_EQ(decimal_from(text, 3), std::nullopt) << text;
}

TEST(Text, WritesDurationsInFull) {
  using namespace std::chrono_literals;
  EXPECT_EQ(exact_text(0s), "0s");
  EXPECT_EQ(exact_text(26h + 30min + 1ms), "1d2h30m1ms");
}

}  // namespace
}  // namespace tessera::wire
