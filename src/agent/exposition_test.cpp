#include "agent/exposition.h"

#include <set>
#include <sstream>

#include <gtest/gtest.h>

namespace tessera::agent {
namespace {

using base::MiB;
using fleet::LeaseId;
using namespace std::chrono_literals;

/// A GPU with two instances, one of them held, and a shared one.
MeterView view() {
  MeterView view;
  MeterView::Gpu mig{.number = 0, .uuid = "GPU-a", .model = "H100-80GB-SXM5"};
  mig.reading = {.milliwatts = 412'300, .millijoules = 5'000, .celsius = 41};
  mig.devices = {{{.device = "MIG-1", .busy_permille = 600, .memory = MiB(1024)},
                  "1g.10gb",
                  7,
                  MiB(9984),
                  {LeaseId(3)}},
                 {{.device = "MIG-2", .memory = MiB(0)}, "3g.40gb", 9, MiB(40448), {}}};
  MeterView::Gpu shared{.number = 1, .uuid = "GPU-b", .model = "H100-80GB-SXM5"};
  shared.devices = {
      {{.device = "GPU-b", .busy_permille = 500, .memory = MiB(100)},
       {},
       {},
       {},
       {LeaseId(4), LeaseId(5)}},
      {{.device = "GPU-b", .busy_permille = 300, .memory = MiB(60), .tenant = LeaseId(4)},
       {},
       {},
       {},
       {LeaseId(4)}}};
  view.gpus = {mig, shared};
  view.totals[LeaseId(3)] = {fleet::BusyTime(1'500'000), fleet::MemoryTime(2'000),
                             fleet::Energy(3'000'000), 4s};
  return view;
}

std::vector<std::string> lines(const std::string& text, const std::string& name) {
  std::vector<std::string> found;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);)
    if (line.starts_with(name + "{")) found.push_back(line);
  return found;
}

const std::string kText = exposition(view(), {"node-1", "580.95.05"});

TEST(Exposition, CountersAreOfLeasesInBaseUnits) {
  const std::string of = R"({node="node-1",lease="lease-3"} )";
  EXPECT_EQ(lines(kText, "tessera_lease_busy_seconds_total"),
            std::vector{"tessera_lease_busy_seconds_total" + of + "1.5"});
  EXPECT_EQ(lines(kText, "tessera_lease_measured_seconds_total"),
            std::vector{"tessera_lease_measured_seconds_total" + of + "4"});
  EXPECT_EQ(lines(kText, "tessera_lease_memory_byte_seconds_total"),
            std::vector{"tessera_lease_memory_byte_seconds_total" + of + "2097152"});
  EXPECT_EQ(lines(kText, "tessera_lease_energy_joules_total"),
            std::vector{"tessera_lease_energy_joules_total" + of + "3"});
}

TEST(Exposition, LooksLikeDcgmExporter) {
  const auto active = lines(kText, "DCGM_FI_PROF_GR_ENGINE_ACTIVE");
  ASSERT_EQ(active.size(), 2U) << "not for what is not measured, nor again for each tenant";
  EXPECT_EQ(active[0], R"(DCGM_FI_PROF_GR_ENGINE_ACTIVE{gpu="0",UUID="GPU-a",device="nvidia0",)"
                       R"(Hostname="node-1",hostname="node-1",DCGM_FI_DRIVER_VERSION="580.95.05",)"
                       R"(GPU_I_PROFILE="1g.10gb",GPU_I_ID="7",tessera_lease="lease-3"} 0.6)");
  EXPECT_EQ(lines(kText, "DCGM_FI_DEV_FB_FREE").size(), 2U);
}

TEST(Exposition, WhatIsOfTheGpuIsToldOnce) {
  const auto power = lines(kText, "DCGM_FI_DEV_POWER_USAGE");
  ASSERT_EQ(power.size(), 1U);
  EXPECT_EQ(power[0].find("GPU_I_ID"), std::string::npos);
}

TEST(Exposition, ASharedGpuIsToldWithItsTenants) {
  const auto busy = lines(kText, "tessera_slice_busy_ratio");
  ASSERT_EQ(busy.size(), 3U);
  EXPECT_NE(busy[1].find(R"(lease=""} 0.5)"), std::string::npos) << busy[1];
  EXPECT_NE(busy[2].find(R"(lease="lease-4"} 0.3)"), std::string::npos) << busy[2];
}

TEST(Exposition, WhoIsHeldToAShareIsToldWithItsLimit) {
  const auto text = exposition(view(), {"n", ""},
                               {{LeaseId(4), "GPU-b", MiB(2), MiB(1), MiB(3), MiB(4), 5, 6, 7}});
  const auto told = [&](const std::string& name, const std::string& value) {
    EXPECT_EQ(lines(text, name),
              std::vector{name + R"({node="n",lease="lease-4",uuid="GPU-b"} )" + value});
  };
  told("tessera_share_memory_limit_bytes", "2097152");
  told("tessera_share_memory_charged_bytes", "1048576");
  told("tessera_share_memory_outside_bytes", "3145728");
  told("tessera_share_memory_driver_limit_bytes", "4194304");
  told("tessera_share_programs", "5");
  told("tessera_share_gate_overruns", "6");
  told("tessera_share_refusals", "7");
  EXPECT_EQ(kText.find("tessera_share_"), std::string::npos) << "nobody is held there";
}

TEST(Exposition, EveryFamilyIsToldOnceAndNamesAreEscaped) {
  std::set<std::string> families;
  std::istringstream stream(exposition(view(), {"no\"de\\\n", ""}));
  for (std::string line; std::getline(stream, line);) {
    if (line.starts_with("# TYPE ")) {
      EXPECT_TRUE(families.insert(line).second) << line;
    } else if (line.starts_with("tessera_agent_info")) {
      EXPECT_EQ(line, R"(tessera_agent_info{node="no\"de\\\n",driver=""} 1)");
    }
  }
  EXPECT_GT(families.size(), 15U);
}

TEST(Exposition, AGpuThatDoesNotAnswerHasNoDevices) {
  auto away = view();
  away.gpus[0].answering = false;
  EXPECT_EQ(lines(exposition(away, {"n", ""}), "tessera_slice_busy_ratio").size(), 2U);
}

}  // namespace
}  // namespace tessera::agent
