#include "catalog/gpu_model.h"

#include <algorithm>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/check.h"
#include "base/quantity.h"
#include "catalog/known_models.h"

namespace tessera::catalog {
namespace {

using testing::IsEmpty;

const MigProfile& profile(std::string_view model_name, std::string_view name) {
  const GpuModel& found = model(model_name);
  return found.profiles[*found.find_profile(name)];
}

TEST(Find, ByKeyByTheDriversNameAndByPciId) {
  const auto h100 = built_in().find("H100-80GB-SXM5");
  ASSERT_TRUE(h100);
  EXPECT_EQ(built_in().find("NVIDIA H100 80GB HBM3"), h100);
  EXPECT_EQ(built_in().find_pci(0x233010DE), h100);
  EXPECT_EQ(built_in().model(*built_in().find_pci(0x20B510DE)).key, "A100-80GB-PCIe");
  EXPECT_EQ(model("T4").key, "T4-16GB");
}

TEST(Find, KnowsNothingOfOtherNames) {
  EXPECT_FALSE(built_in().find(""));
  EXPECT_FALSE(built_in().find("h100-80gb-sxm5"));
  EXPECT_FALSE(built_in().find("H100"));  // SXM5, PCIe or NVL
  EXPECT_FALSE(built_in().find_pci(0));
  EXPECT_FALSE(built_in().find_pci(0x10DE2330));  // vendor first: not what NVML reports
}

TEST(Find, EveryModelByEverythingItIsCalled) {
  for (std::size_t i = 0; i < built_in().models().size(); ++i) {
    const GpuModel& each = built_in().models()[i];
    EXPECT_EQ(built_in().find(each.key), ModelIndex(i));
    for (const std::string& name : each.names) EXPECT_EQ(built_in().find(name), ModelIndex(i));
    for (const std::uint32_t id : each.pci_ids) EXPECT_EQ(built_in().find_pci(id), ModelIndex(i));
  }
}

TEST(Find, InstancesByProfileAndStart) {
  const GpuModel& h100 = model("H100-80GB-SXM5");
  const auto upper = h100.find_instance("3g.40gb", 4);
  ASSERT_TRUE(upper);
  EXPECT_EQ(h100.profile_of(*upper).name, "3g.40gb");
  EXPECT_EQ(h100.layouts.instance(*upper).placement, (Placement{4, 4}));
  EXPECT_FALSE(h100.find_instance("3g.40gb", 2));
  EXPECT_FALSE(h100.find_instance("4g.40gb", 4));
  EXPECT_FALSE(h100.find_instance("3g.47gb", 0));
  EXPECT_FALSE(model("T4").find_instance("1g.10gb", 0));
}

TEST(Memory, TenGibibytesDoNotFitWhatIsCalledTenGigabytesOnH100) {
  const MiB memory = *profile("H100-80GB-SXM5", "1g.10gb").memory;
  EXPECT_EQ(memory, MiB(9984));
  EXPECT_LT(memory, *base::parse_memory("10GiB"));
  EXPECT_GE(memory, *base::parse_memory("10GB"));
}

TEST(Memory, OneNameMeansDifferentSizesOnDifferentModels) {
  EXPECT_EQ(profile("A100-40GB-SXM4", "1g.10gb").memory, MiB(9856));
  EXPECT_EQ(profile("A100-80GB-SXM4", "1g.10gb").memory, MiB(9728));
  EXPECT_EQ(profile("H100-80GB-PCIe", "1g.10gb").memory, MiB(9984));
  EXPECT_EQ(profile("H200-141GB-SXM5", "1g.18gb").memory, MiB(16384));
}

TEST(Memory, IsNeverAboveWhatTheNamePromises) {
  // "1g.10gb" is at most 10 GiB: a profile of the wrong model would stand out here.
  for (const GpuModel& each : built_in().models())
    for (const MigProfile& profile : each.profiles) {
      if (!profile.memory) continue;
      const auto dot = profile.name.find('.');
      const int gigabytes = std::stoi(profile.name.substr(dot + 1));
      EXPECT_LE(profile.memory->count(), gigabytes * 1024) << each.key << " " << profile.name;
      EXPECT_GT(profile.memory->count(), gigabytes * 870) << each.key << " " << profile.name;
    }
}

TEST(Sms, AreNotProportionalToTheNumberInTheName) {
  const auto sms = [](const char* name) { return profile("H100-80GB-SXM5", name).sms->count(); };
  EXPECT_EQ(7 * sms("1g.10gb"), 112);
  EXPECT_EQ(4 * sms("1g.20gb"), 104);
  EXPECT_EQ(sms("4g.40gb") + sms("3g.40gb"), 124);
  EXPECT_EQ(sms("7g.80gb"), 132);
  EXPECT_EQ(profile("H100-80GB-PCIe", "1g.20gb").sms, Sms(14));
}

TEST(Layouts, OnlyOne4gFitsAndA3gFillsTheRest) {
  const GpuModel& h100 = model("H100-80GB-SXM5");
  const Layout four = bit(*h100.find_instance("4g.40gb", 0));
  const Layout three = bit(*h100.find_instance("3g.40gb", 4));
  EXPECT_EQ(h100.layouts.addable(four) & h100.layouts.instances_of(*h100.find_profile("4g.40gb")),
            Layout{0});
  EXPECT_TRUE(h100.layouts.legal(four | three));
  EXPECT_EQ(h100.layouts.addable(four | three), Layout{0});
}

TEST(Unknown, StaysUnknown) {
  const MigProfile& small = profile("GB200", "1g.23gb");
  EXPECT_FALSE(small.memory);
  EXPECT_FALSE(small.sms);
  EXPECT_FALSE(small.engines.copy);
  EXPECT_EQ(small.engines.encoder, 0);
  EXPECT_EQ(small.memory_confidence, Confidence::kUnknown);
  EXPECT_EQ(small.placement_confidence, Confidence::kInferred);
  EXPECT_EQ(model("GB200").sms, Sms(0));
  EXPECT_EQ(model("GB200").sms_confidence, Confidence::kUnknown);
}

TEST(Unknown, IsMarkedSoAndOnlyThen) {
  for (const GpuModel& each : built_in().models()) {
    EXPECT_EQ(each.memory.count() == 0, each.memory_confidence == Confidence::kUnknown) << each.key;
    EXPECT_EQ(each.sms.count() == 0, each.sms_confidence == Confidence::kUnknown) << each.key;
    for (const MigProfile& p : each.profiles) {
      EXPECT_EQ(p.memory.has_value(), p.memory_confidence != Confidence::kUnknown) << each.key;
      EXPECT_EQ(p.sms.has_value(), p.sms_confidence != Confidence::kUnknown) << each.key;
      EXPECT_NE(p.placement_confidence, Confidence::kUnknown) << each.key;
    }
  }
}

TEST(Models, AreSound) {
  for (const GpuModel& each : built_in().models()) {
    SCOPED_TRACE(each.key);
    EXPECT_GT(each.memory.count(), 0);
    EXPECT_FALSE(each.pci_ids.empty());
    for (const std::uint32_t id : each.pci_ids) EXPECT_EQ(id & 0xFFFF, 0x10DEU);
    EXPECT_EQ(each.mig_capable(), each.memory_slices > 0);
    EXPECT_EQ(each.mig_capable(), each.compute_slices > 0);
    for (const MigProfile& p : each.profiles) {
      SCOPED_TRACE(p.name);
      EXPECT_TRUE(p.name.starts_with(p.kind.substr(0, 2))) << p.kind;
      EXPECT_GE(p.nvml_profile, 0);
      EXPECT_GE(p.driver_profile_id, 0);
      EXPECT_GT(p.compute_slices, 0);
      EXPECT_LE(p.compute_slices, each.compute_slices);
      EXPECT_GT(p.max_instances, 0);
      EXPECT_LE(p.max_instances, static_cast<int>(p.placements.size()));
      for (const Placement place : p.placements) {
        EXPECT_EQ(place.size, p.memory_slices);
        EXPECT_LE(place.end(), each.memory_slices);
      }
      if (p.memory) {
        EXPECT_GT(p.memory->count(), 0);
        EXPECT_LE(*p.memory, each.memory);
      }
      if (p.sms && each.sms.count() > 0) {
        EXPECT_GT(p.sms->count(), 0);
        EXPECT_LE(*p.sms, each.sms);
      }
    }
  }
}

TEST(Models, HaveOnePlainProfileThatTakesTheWholeGpu) {
  for (const GpuModel& each : built_in().models()) {
    if (!each.mig_capable()) continue;
    EXPECT_EQ(std::ranges::count_if(each.profiles,
                                    [&](const MigProfile& p) {
                                      return p.plain() && p.memory_slices == each.memory_slices;
                                    }),
              1)
        << each.key;
  }
}

TEST(Vgpu, TypesCarryTheNameOfTheirBoard) {
  EXPECT_EQ(model("A100-40GB-PCIe").vgpu_types.front().name, "A100-40C");
  EXPECT_EQ(model("A100-40GB-SXM4").vgpu_types.front().name, "A100X-40C");
  EXPECT_EQ(model("A100-80GB-PCIe").vgpu_types.front().name, "A100D-80C");
  EXPECT_EQ(model("H100-80GB-SXM5").vgpu_types.front().name, "H100XM-80C");
  EXPECT_THAT(model("A800-80GB-PCIe").vgpu_types, IsEmpty());
  EXPECT_THAT(model("V100-16GB").vgpu_types, IsEmpty());
}

TEST(Vgpu, TypesDivideTheBoardsMemory) {
  for (const GpuModel& each : built_in().models()) {
    if (each.vgpu_types.empty()) continue;
    const MiB board = each.vgpu_types.front().framebuffer;
    EXPECT_EQ(each.vgpu_types.front().max_per_gpu, 1) << each.key;
    for (const VgpuType& type : each.vgpu_types) {
      EXPECT_GT(type.framebuffer.count(), 0) << type.name;
      // H100L-94C is printed 10 MiB short of twice H100L-47C.
      EXPECT_LE(type.framebuffer * type.max_per_gpu, board + MiB(10)) << type.name;
      EXPECT_GE(type.confidence, Confidence::kSingleSource) << type.name;
    }
  }
}

GpuModel small(std::string key) {
  GpuModel made;
  made.key = std::move(key);
  return made;
}

TEST(Catalog, RefusesNamesAndIdsUsedTwiceAndPlacesBeyondTheAxis) {
  const auto build = [](std::vector<GpuModel> models) { Catalog{std::move(models)}; };
  EXPECT_THROW(build({small("a"), small("a")}), base::CheckFailed);

  GpuModel alias = small("b");
  alias.names = {"a"};
  EXPECT_THROW(build({small("a"), alias}), base::CheckFailed);

  GpuModel one = small("a"), other = small("b");
  one.pci_ids = other.pci_ids = {7};
  EXPECT_THROW(build({one, other}), base::CheckFailed);

  GpuModel beyond = small("a");
  beyond.memory_slices = 2;
  beyond.profiles.resize(1);
  beyond.profiles[0].max_instances = 1;
  beyond.profiles[0].placements = {{1, 2}};
  EXPECT_THROW(build({beyond}), base::CheckFailed);
}

TEST(Confidence, IsWrittenAsInTheDataFile) {
  EXPECT_EQ(to_string(Confidence::kUnknown), "unknown");
  EXPECT_EQ(to_string(Confidence::kInferred), "inferred");
  EXPECT_EQ(to_string(Confidence::kSingleSource), "single-source");
  EXPECT_EQ(to_string(Confidence::kTwoSources), "two-sources");
}

/// What a model's positions mean, in few characters: FNV-1a of its instances and vGPU types.
std::string positions_of(const GpuModel& model) {
  std::uint64_t hash = 0xcbf29ce484222325;
  const auto add = [&](const std::string& text) {
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  };
  for (const Instance& instance : model.layouts.instances())
    add(model.profiles[instance.profile].kind + "@" + std::to_string(instance.placement.start));
  for (const VgpuType& type : model.vgpu_types) add(type.name);
  return model.key + " " + std::to_string(model.layouts.instances().size()) + "+" +
         std::to_string(model.vgpu_types.size()) + " " + std::to_string(hash % 1'000'000);
}

// Journals and agents name models, MIG instances and vGPU types by position: add at the end of each
// list, then bring this one up to date. A change of any other kind needs a migration of journals.
TEST(Positions, AreOnlyEverAppendedTo) {
  std::vector<std::string> positions;
  for (const GpuModel& each : built_in().models()) positions.push_back(positions_of(each));
  EXPECT_THAT(
      positions,
      testing::ElementsAre(
          "A30-24GB 13+5 40767", "A100-40GB-SXM4 25+6 447262", "A100-40GB-PCIe 25+6 776590",
          "A800-40GB-PCIe 25+0 405692", "A100-80GB-SXM4 25+7 403398", "A100-80GB-PCIe 25+7 847128",
          "A800-80GB-SXM4 25+0 405692", "A800-80GB-PCIe 25+0 405692", "H100-80GB-SXM5 25+8 506477",
          "H800-80GB-SXM5 25+0 405692", "H100-80GB-PCIe 25+8 957527", "H800-80GB-PCIe 25+0 405692",
          "H100-94GB-NVL 25+7 131660", "H100-94GB-SXM5 25+7 843286", "H800-94GB-NVL 25+0 405692",
          "GH200-96GB 25+0 405692", "GH200-144GB 25+0 405692", "H200-141GB-SXM5 25+9 17217",
          "H200-141GB-NVL 25+9 669131", "B200-180GB 25+0 405692", "GB200 25+0 405692",
          "B300 25+0 405692", "GB300 25+0 405692", "RTX-PRO-6000-BSE-96GB 30+0 401719",
          "L40S-48GB 0+7 171104", "L4-24GB 0+5 444402", "A40-48GB 0+7 25256", "A10-24GB 0+0 656037",
          "T4-16GB 0+0 656037", "V100-16GB 0+0 656037", "V100-32GB 0+0 656037",
          "P100-16GB 0+0 656037"));
}

}  // namespace
}  // namespace tessera::catalog
