#include "base/time.h"

#include <gtest/gtest.h>

namespace tessera::base {
namespace {

using namespace std::chrono_literals;

TEST(DurationText, ParsesAndPrints) {
  EXPECT_EQ(parse_duration("8h"), Duration(8h));
  EXPECT_EQ(parse_duration("1h30m"), Duration(90min));
  EXPECT_EQ(to_string(Duration(90min)), "1h30m");
  EXPECT_EQ(to_string(Duration(52h)), "2d4h");
  EXPECT_EQ(to_string(Duration(0)), "0s");
  EXPECT_EQ(to_string(Duration(350ms)), "350ms");
}

TEST(DurationText, RefusesNonsense) {
  for (const char* text : {"", "8", "h", "-8h", "8x", "99999999999999999999h", "400000d", "8h3"})
    EXPECT_FALSE(parse_duration(text)) << text;
}

TEST(InstantText, RoundTrips) {
  for (const char* text :
       {"2026-11-22T19:30:00Z", "1970-01-01T00:00:00Z", "2024-02-29T23:59:59.250Z"})
    EXPECT_EQ(to_string(*parse_instant(text)), text);
  for (const char* text : {"2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-01-01T24:00:00Z",
                           "2026-01-01", "2026-01-01T00:00:00+01:00"})
    EXPECT_FALSE(parse_instant(text)) << text;
}

}  // namespace
}  // namespace tessera::base
