#include "fleet/slice.h"

#include <gtest/gtest.h>

namespace tessera::fleet {
namespace {

const catalog::Catalog& built_in() {
  static const auto catalog = catalog::Catalog::built_in();
  return catalog;
}

const catalog::GpuModel& h100() {
  return built_in().model(*built_in().find("H100-80GB-SXM5"));
}

SliceShape mig(const char* profile, int start) {
  return MigSlice{*h100().find_instance(profile, start)};
}

TEST(Cost, SevenSmallInstancesTakeAllComputeAndSevenEighthsOfMemory) {
  Cost sum;
  for (int start = 0; start < 7; ++start) sum += cost_of(mig("1g.10gb", start), h100());
  EXPECT_EQ(sum.compute, base::kWholeGpu);
  EXPECT_EQ(sum.memory, base::fraction_of(7, 8));
}

TEST(Cost, FourAndThreeFillAGpu) {
  const auto sum = cost_of(mig("4g.40gb", 0), h100()) + cost_of(mig("3g.40gb", 4), h100());
  EXPECT_EQ(sum, cost_of(WholeSlice{}, h100()));
}

TEST(Cost, OversubscribedComputeIsChargedOnce) {
  const auto one = cost_of(ShareSlice{MiB(10240), MilliShare(1000), 4}, h100());
  EXPECT_EQ(one.compute, base::fraction_of(1, 4));
}

TEST(Slice, TellsWhatTheTenantSees) {
  EXPECT_EQ(memory_of(mig("1g.10gb", 0), h100()), MiB(9984));
  EXPECT_EQ(sms_of(mig("3g.40gb", 4), h100()), Sms(60));
  EXPECT_EQ(profile_name(mig("1g.20gb", 6), h100()), "1g.20gb");
  EXPECT_EQ(profile_name(ShareSlice{MiB(10240), MilliShare(1000), 4}, h100()), "share-10GiB");
}

}  // namespace
}  // namespace tessera::fleet
