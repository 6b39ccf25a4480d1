#include "catalog/layout.h"

#include <algorithm>
#include <map>
#include <rapidcheck.h>
#include <set>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "base/check.h"
#include "catalog/gpu_model.h"
#include "catalog/known_models.h"

namespace tessera::catalog {
namespace {

std::vector<const GpuModel*> mig_models() {
  std::vector<const GpuModel*> found;
  for (const GpuModel& each : built_in().models())
    if (each.mig_capable()) found.push_back(&each);
  return found;
}

/// What the hardware allows, written as plainly as possible: no two instances share a memory
/// slice, and no profile has more instances than it may.
class Oracle {
 public:
  explicit Oracle(const GpuModel& model) : model_(model) {}

  bool legal(Layout layout) const {
    std::vector<int> users(static_cast<std::size_t>(model_.memory_slices), 0);
    std::map<std::size_t, int> count;
    const auto instances = model_.layouts.instances();
    for (std::size_t i = 0; i < 64; ++i) {
      if ((layout >> i & 1) == 0) continue;
      if (i >= instances.size()) return false;
      const Instance& one = instances[i];
      for (int slice = one.placement.start; slice < one.placement.end(); ++slice)
        if (++users[static_cast<std::size_t>(slice)] > 1) return false;
      if (++count[one.profile] > model_.profiles[one.profile].max_instances) return false;
    }
    return true;
  }

  Layout addable(Layout layout) const {
    Layout found = 0;
    for (std::size_t i = 0; i < model_.layouts.instances().size(); ++i) {
      const Layout one = Layout{1} << i;
      if ((layout & one) == 0 && legal(layout | one)) found |= one;
    }
    return found;
  }

  int openness(Layout layout) const {
    int sum = 0;
    for (std::size_t p = 0; p < model_.profiles.size(); ++p)
      if (model_.profiles[p].plain())
        sum += most_of(p, layout, 0) * model_.profiles[p].memory_slices;
    return sum;
  }

 private:
  /// The most instances of `profile` from `from` on that fit beside `layout`, by trying them all.
  int most_of(std::size_t profile, Layout layout, std::size_t from) const {
    const auto instances = model_.layouts.instances();
    int most = 0;
    for (std::size_t i = from; i < instances.size(); ++i) {
      const Layout one = Layout{1} << i;
      if (instances[i].profile == profile && (layout & one) == 0 && legal(layout | one))
        most = std::max(most, 1 + most_of(profile, layout | one, i + 1));
    }
    return most;
  }

  const GpuModel& model_;
};

using Counts = std::vector<int>;

/// The multisets of profiles that a set of layouts offers.
std::set<Counts> multisets(const GpuModel& model, const std::vector<Layout>& layouts) {
  std::set<Counts> found;
  for (const Layout layout : layouts) {
    Counts counts(model.profiles.size(), 0);
    for (std::size_t i = 0; i < model.layouts.instances().size(); ++i)
      if (layout >> i & 1) ++counts[model.layouts.instances()[i].profile];
    found.insert(counts);
  }
  return found;
}

std::size_t count_undominated(const std::set<Counts>& all) {
  return static_cast<std::size_t>(std::ranges::count_if(all, [&](const Counts& one) {
    return std::ranges::none_of(all, [&](const Counts& other) {
      return other != one && std::ranges::equal(one, other, std::less_equal());
    });
  }));
}

struct Census {
  std::size_t states, maximal, undominated;
  friend bool operator==(const Census&, const Census&) = default;
  friend void PrintTo(const Census& census, std::ostream* out) {
    *out << census.states << " states, " << census.maximal << " maximal, " << census.undominated
         << " undominated";
  }
};

/// Counts the layouts made of the profiles of the given kinds.
Census census(const GpuModel& model, const std::set<std::string>& kinds) {
  std::vector<std::size_t> profiles;
  Layout wanted = 0;
  for (std::size_t p = 0; p < model.profiles.size(); ++p) {
    if (!kinds.contains(model.profiles[p].kind)) continue;
    profiles.push_back(p);
    wanted |= model.layouts.instances_of(p);
  }
  const std::vector<Layout> states = model.layouts.enumerate(profiles);
  std::vector<Layout> maximal;
  for (const Layout layout : states)
    if ((model.layouts.addable(layout) & wanted) == 0) maximal.push_back(layout);
  return {states.size(), maximal.size(), count_undominated(multisets(model, maximal))};
}

const std::set<std::string> kClassic = {"1g", "2g", "3g", "4g", "7g"};
const std::set<std::string> kWithDouble = {"1g", "1g.2x", "2g", "3g", "4g", "7g"};

// The published counts (data/README.md): an error in a placement table shows here first.
TEST(Census, EveryModelWithAnAxisOfEightAgreesWithThePublishedCounts) {
  int models = 0;
  for (const GpuModel* each : mig_models()) {
    if (each->memory_slices != 8) continue;
    ++models;
    EXPECT_EQ(census(*each, kClassic), (Census{298, 19, 12})) << each->key;
    EXPECT_EQ(census(*each, kWithDouble), (Census{723, 78, 28})) << each->key;
  }
  EXPECT_EQ(models, 22);
}

TEST(Census, WithoutTheUndividedProfileA100Has18MaximalLayouts) {
  EXPECT_EQ(census(model("A100-80GB-SXM4"), {"1g", "2g", "3g", "4g"}).maximal, 18U);
}

TEST(Census, AxesOfFourPlacesAgreeWithA30) {
  const std::set<std::string> plain = {"1g", "2g", "4g"};
  const Census a30 = census(model("A30"), plain);
  EXPECT_EQ(a30.states, 26U);
  EXPECT_EQ(a30.maximal, 5U);
  EXPECT_EQ(census(model("RTX-PRO-6000-BSE-96GB"), plain), a30);
}

TEST(Enumerate, FindsExactlyTheSubsetsThatTheOracleAllows) {
  for (const std::string_view name :
       {"A100-40GB-SXM4", "H100-80GB-PCIe", "RTX-PRO-6000-BSE-96GB"}) {
    const GpuModel& gpu = model(name);
    const Oracle oracle(gpu);
    std::vector<std::size_t> plain;
    Layout wanted = 0;
    for (std::size_t p = 0; p < gpu.profiles.size(); ++p) {
      if (!gpu.profiles[p].plain()) continue;
      plain.push_back(p);
      wanted |= gpu.layouts.instances_of(p);
    }
    std::vector<Layout> expected;
    // All subsets of `wanted`, in rising order: adding one with the other bits set carries over.
    for (Layout subset = 0;; subset = ((subset | ~wanted) + 1) & wanted) {
      if (oracle.legal(subset)) expected.push_back(subset);
      if (subset == wanted) break;
    }
    EXPECT_EQ(gpu.layouts.enumerate(plain), expected) << name;
  }
}

TEST(Enumerate, OfNoProfilesMeansAllOfThem) {
  const GpuModel& gpu = model("A30");
  const Oracle oracle(gpu);
  std::vector<Layout> expected;
  for (Layout subset = 0; subset >> gpu.layouts.instances().size() == 0; ++subset)
    if (oracle.legal(subset)) expected.push_back(subset);
  EXPECT_EQ(gpu.layouts.enumerate(), expected);
}

TEST(Enumerate, OfAnEmptyTableIsTheEmptyLayout) {
  EXPECT_EQ(LayoutTable().enumerate(), std::vector<Layout>{0});
  EXPECT_EQ(LayoutTable().openness(0), 0);
}

/// A legal layout: instances tried in a random order, each kept where it fits.
rc::Gen<Layout> legal_layout(const GpuModel& gpu) {
  const auto instance = rc::gen::inRange<std::size_t>(0, gpu.layouts.instances().size());
  return rc::gen::map(rc::gen::container<std::vector<std::size_t>>(instance),
                      [&gpu](const std::vector<std::size_t>& tried) {
                        const Oracle oracle(gpu);
                        Layout layout = 0;
                        for (const std::size_t i : tried)
                          if (oracle.legal(layout | Layout{1} << i)) layout |= Layout{1} << i;
                        return layout;
                      });
}

/// Any small set, legal or not, now and then with a bit that is no instance at all.
rc::Gen<Layout> any_layout(const GpuModel& gpu) {
  const auto beyond = std::min<std::size_t>(gpu.layouts.instances().size() + 2, 64);
  return rc::gen::map(
      rc::gen::container<std::vector<std::size_t>>(rc::gen::inRange<std::size_t>(0, beyond)),
      [](const std::vector<std::size_t>& members) {
        Layout layout = 0;
        for (const std::size_t i : members) layout |= Layout{1} << i;
        return layout;
      });
}

const GpuModel& some_model() {
  return **rc::gen::elementOf(mig_models());
}

RC_GTEST_PROP(Layouts, LegalAgreesWithTheOracle, ()) {
  const GpuModel& gpu = some_model();
  const Layout layout = *rc::gen::oneOf(any_layout(gpu), legal_layout(gpu));
  RC_ASSERT(gpu.layouts.legal(layout) == Oracle(gpu).legal(layout));
}

RC_GTEST_PROP(Layouts, AddableAgreesWithTheOracle, ()) {
  const GpuModel& gpu = some_model();
  const Layout layout = *legal_layout(gpu);
  RC_ASSERT(gpu.layouts.addable(layout) == Oracle(gpu).addable(layout));
}

RC_GTEST_PROP(Layouts, OpennessAgreesWithTheOracle, ()) {
  const GpuModel& gpu = some_model();
  const Layout layout = *legal_layout(gpu);
  RC_ASSERT(gpu.layouts.openness(layout) == Oracle(gpu).openness(layout));
}

RC_GTEST_PROP(Layouts, PlacingNeverOpensAnything, ()) {
  const GpuModel& gpu = some_model();
  const Layout layout = *legal_layout(gpu);
  const Layout open = gpu.layouts.addable(layout);
  for (std::size_t i = 0; i < gpu.layouts.instances().size(); ++i) {
    if ((open >> i & 1) == 0) continue;
    const Layout after = layout | Layout{1} << i;
    RC_ASSERT(gpu.layouts.openness(after) < gpu.layouts.openness(layout));
    RC_ASSERT((gpu.layouts.addable(after) & ~open) == Layout{0});
  }
}

MigProfile profile(std::string name, std::string kind, std::vector<Placement> placements, int max) {
  MigProfile made;
  made.name = std::move(name);
  made.kind = std::move(kind);
  made.memory_slices = placements.front().size;
  made.max_instances = max;
  made.placements = std::move(placements);
  return made;
}

TEST(LayoutTable, APlainProfileBelowItsPlacesIsBoundedByItsLimit) {
  const std::vector<MigProfile> profiles = {profile("1g", "1g", {{0, 1}, {1, 1}, {2, 1}}, 2)};
  const LayoutTable table(profiles);
  EXPECT_EQ(table.openness(0), 2);
  EXPECT_EQ(table.openness(0b001), 1);
  EXPECT_EQ(table.addable(0b001), Layout{0b110});
  EXPECT_EQ(table.openness(0b101), 0);
  EXPECT_EQ(table.addable(0b101), Layout{0});
  EXPECT_FALSE(table.legal(0b111));
}

TEST(LayoutTable, OnlyPlainProfilesCountAsOpen) {
  const std::vector<MigProfile> profiles = {profile("2g", "2g", {{0, 2}, {2, 2}}, 2),
                                            profile("2g+me", "2g+me", {{0, 2}, {2, 2}}, 1)};
  const LayoutTable table(profiles);
  EXPECT_EQ(table.openness(0), 4);
  EXPECT_EQ(table.openness(0b0100), 2);
  EXPECT_EQ(table.addable(0b0100), Layout{0b0010});
}

TEST(LayoutTable, RefusesProfilesThatBreakItsRules) {
  const auto build = [](std::vector<MigProfile> profiles) { LayoutTable{profiles}; };
  EXPECT_THROW(build({profile("overlap", "2g", {{0, 2}, {1, 2}}, 2)}), base::CheckFailed);
  EXPECT_THROW(build({profile("falling", "2g", {{2, 2}, {0, 2}}, 2)}), base::CheckFailed);
  EXPECT_THROW(build({profile("empty", "0g", {{0, 0}}, 1)}), base::CheckFailed);
  EXPECT_THROW(build({profile("none", "1g", {{0, 1}}, 0)}), base::CheckFailed);
  std::vector<Placement> many;
  for (std::uint8_t start = 0; start < 65; ++start) many.push_back({start, 1});
  EXPECT_THROW(build({profile("many", "1g", many, 65)}), base::CheckFailed);
}

}  // namespace
}  // namespace tessera::catalog
