#include "agent/dcgm_scrape.h"

#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

namespace tessera::agent {
namespace {

using base::Instant;
using base::MiB;
using namespace std::chrono_literals;

const std::string kMig = "GPU-be839661-c0f5-7452-284b-b875666df60c";
const std::string kShared = "GPU-21c6d9d7-46cd-7e91-99c3-7b6a06a3faea";

std::string sample_text() {
  std::ostringstream text;
  text << std::ifstream(TESSERA_TEST_DATA "/dcgm_scrape.txt").rdbuf();
  return text.str();
}

DcgmDevice device(const DcgmScrape& scrape, const std::string& gpu,
                  std::optional<std::uint32_t> instance) {
  for (const auto& each : scrape.devices)
    if (each.gpu == gpu && each.instance == instance) return each;
  ADD_FAILURE() << "no such device";
  return {};
}

std::string row(const std::string& name, const std::string& labels, const std::string& value) {
  return name + "{" + labels + "} " + value + "\n";
}

TEST(DcgmScrape, TellsInstancesApart) {
  const auto scrape = read_dcgm(sample_text());
  EXPECT_EQ(device(scrape, kMig, 1).busy_permille, 600);
  EXPECT_EQ(device(scrape, kMig, 2).busy_permille, 0);
  EXPECT_EQ(scrape.host, "gpu-a01");
  EXPECT_EQ(scrape.unread, 0U);
}

TEST(DcgmScrape, PowerOfAGpuIsOneValueHoweverOftenItIsRepeated) {
  const auto scrape = read_dcgm(sample_text());
  EXPECT_EQ(device(scrape, kMig, std::nullopt).milliwatts, 412'300);
  EXPECT_FALSE(device(scrape, kMig, 1).milliwatts);
  EXPECT_FALSE(device(scrape, kMig, 2).milliwatts);
}

TEST(DcgmScrape, MemoryOfADeviceIsNotSummedWithThatOfItsPods) {
  const auto scrape = read_dcgm(sample_text());
  EXPECT_EQ(device(scrape, kShared, std::nullopt).memory, MiB(30'720));
  const std::vector<DcgmPod> pods = {{kShared, "team-a", "nb-1", "nb", MiB(20'480)},
                                     {kShared, "team-b", "nb-2", "nb", MiB(9'216)}};
  EXPECT_EQ(scrape.pods, pods);
}

TEST(DcgmScrape, ADevicesValueCopiedToItsPodsIsOneValue) {
  EXPECT_EQ(device(read_dcgm(sample_text()), kShared, std::nullopt).busy_permille, 714);
}

TEST(DcgmScrape, ReadsBothSpellings) {
  const auto labels = "UUID=\"GPU-1\",GPU_I_ID=\"3\",";
  const auto older = read_dcgm(
      row("DCGM_FI_PROF_GR_ENGINE_ACTIVE", labels + std::string("Hostname=\"a\""), "0.5"));
  const auto newer = read_dcgm(
      row("DCGM_FI_PROF_GR_ENGINE_UTIL_RATIO", labels + std::string("hostname=\"a\""), "0.5"));
  EXPECT_EQ(older.devices, newer.devices);
  EXPECT_EQ(older.host, newer.host);
  EXPECT_EQ(device(older, "GPU-1", 3).busy_permille, 500);
}

TEST(DcgmScrape, TheTenantsPodIsNotTheExportersOwn) {
  const auto scrape = read_dcgm(
      row("DCGM_FI_DEV_FB_USED",
          R"(UUID="GPU-1",vgpu="0",namespace="gpu-operator",pod="exporter",container="exporter",)"
          R"(exported_namespace="team-a",exported_pod="nb-1",exported_container="nb")",
          "100"));
  ASSERT_EQ(scrape.pods.size(), 1U);
  EXPECT_EQ(scrape.pods[0], (DcgmPod{"GPU-1", "team-a", "nb-1", "nb", MiB(100)}));
  EXPECT_TRUE(scrape.devices.empty());
}

TEST(DcgmScrape, TakesAnyText) {
  const auto name = "DCGM_FI_PROF_GR_ENGINE_ACTIVE";
  for (const auto* value : {"NaN", "+Inf", "-1", "x", ""})
    EXPECT_EQ(read_dcgm(row(name, "UUID=\"G\"", value)).unread, 1U) << value;
  EXPECT_TRUE(read_dcgm(row(name, "UUID=\"G\"", "9.2e18")).devices.empty()) << "DCGM's blank";
  EXPECT_EQ(read_dcgm(row(name, "gpu=\"0\"", "0.5")).unread, 1U) << "of which GPU?";
  EXPECT_EQ(read_dcgm(row(name, "UUID=\"G\",GPU_I_ID=\"x\"", "0.5")).unread, 1U);
  EXPECT_EQ(read_dcgm("some_other_metric 1\n").unread, 0U);
  EXPECT_EQ(device(read_dcgm(row(name, R"(a="x\"},\\y\n",UUID="G")", "0.5 1700000000000")), "G", {})
                .busy_permille,
            500);
  const auto text = sample_text();
  for (std::size_t length = 0; length < text.size(); length += 7)
    (void)read_dcgm(std::string_view(text).substr(0, length));
  (void)read_dcgm(std::string(1'000, '{'));
  (void)read_dcgm("DCGM_FI_DEV_FB_USED{UUID=\"\\");
}

TEST(DcgmFeed, RepeatedScrapesCountTheTimeOnce) {
  DcgmFeed feed;
  const auto scrape = read_dcgm(sample_text());
  Instant now{std::chrono::hours(1)};
  EXPECT_TRUE(feed.next(scrape, now).empty()) << "since when is not known yet";
  base::Duration sum{};
  for (int i = 0; i < 8; ++i) {  // every 15 s, of which every other repeats
    now += 15s;
    for (const auto& reading : feed.next(scrape, now))
      if (reading.gpu == kMig && reading.instance == 1) sum += reading.span;
  }
  EXPECT_EQ(sum, 120s);
  EXPECT_TRUE(feed.next(scrape, now).empty()) << "no time has passed";
}

TEST(DcgmFeed, WhatWasNotLookedAtIsUnknown) {
  DcgmFeed feed;
  const auto scrape = read_dcgm(sample_text());
  Instant now{std::chrono::hours(1)};
  (void)feed.next(scrape, now);
  (void)feed.next({}, now + 59s);
  for (const auto& reading : feed.next(scrape, now + 2h)) EXPECT_LE(reading.span, 60s);
  (void)feed.next({}, now + 4h);
  EXPECT_TRUE(feed.next(scrape, now + 4h + 1s).empty()) << "forgotten: it begins anew";
}

}  // namespace
}  // namespace tessera::agent
