#include "base/quantity.h"

#include <gtest/gtest.h>

namespace tessera::base {
namespace {

TEST(Memory, DecimalAndBinaryUnitsDiffer) {
  EXPECT_EQ(parse_memory("10GB"), MiB(9537));
  EXPECT_EQ(parse_memory("10GiB"), MiB(10240));
  EXPECT_EQ(parse_memory("0.5GiB"), MiB(512));
  EXPECT_EQ(parse_memory("9984MiB"), MiB(9984));
}

TEST(Memory, RefusesWhatIsNotAQuantity) {
  for (const char* text : {"", "10", "GB", "-1GiB", "10gb", "10 GB", "1e3GiB", "1.2345GiB", "1.GiB",
                           "99999999999999999999GiB", "9999999999999TiB", "10GBx", "\xff\xfe"}) {
    auto parsed = parse_memory(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().reason, Reason::kInvalidQuantity);
    EXPECT_FALSE(parsed.error().todo.empty());
  }
}

TEST(Memory, PrintsWhatItParses) {
  for (const char* text : {"40GiB", "9984MiB", "0MiB", "1GiB"})
    EXPECT_EQ(to_string(*parse_memory(text)), text);
}

TEST(Cpu, ParsesCoresAndMillis) {
  EXPECT_EQ(parse_cpu("8"), MilliCpu(8000));
  EXPECT_EQ(parse_cpu("0.25"), MilliCpu(250));
  EXPECT_EQ(parse_cpu("500m"), MilliCpu(500));
  EXPECT_FALSE(parse_cpu("0.5m"));
  EXPECT_FALSE(parse_cpu("-2"));
  EXPECT_EQ(to_string(MilliCpu(8500)), "8.5");
}

TEST(GpuFraction, SevenSeventhsMakeExactlyOneGpu) {
  EXPECT_EQ(fraction_of(1, 7) * 7, kWholeGpu);
  EXPECT_EQ(fraction_of(1, 8) * 8, kWholeGpu);
  EXPECT_EQ(fraction_of(1, 12) * 12, kWholeGpu);
  EXPECT_EQ(fraction_of(1, 1000) * 1000, kWholeGpu);
  EXPECT_EQ(to_string(fraction_of(1, 7)), "0.143");
}

}  // namespace
}  // namespace tessera::base
