#include "wire/objects.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "wire/audit.h"
#include "wire/test_world.h"

namespace tessera::wire {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Json object(const TestWorld& world, std::string_view kind, std::string_view name) {
  auto found = find_object(world.state(), kind, name);
  EXPECT_TRUE(found) << kind << " " << name;
  return found.value_or(Json());
}

constexpr const char* kTenGigabytes =
    R"({"team":"vision","memory":"10GB","isolation":"partition","duration":"8h"})";

TEST(Objects, ARequestShowsWhatItGot) {
  TestWorld world(example_text("three-tier.yaml"));
  const auto id = world.ask(kTenGigabytes);
  world.report_all();
  const Json request = object(world, "Request", name_of(id));
  EXPECT_EQ(request["metadata"]["team"], "vision");
  EXPECT_EQ(request["metadata"]["createdBy"], "admin");
  EXPECT_EQ(request["spec"]["memory"], "9537MiB");
  const Json& status = request["status"];
  EXPECT_EQ(status["state"], "active");
  EXPECT_EQ(status["tier"], "production");
  EXPECT_EQ(status["lease"], "lease-1");
  EXPECT_EQ(status["pricePerHour"], "0.375");
  ASSERT_EQ(status["slices"].size(), 1u);
  const Json& slice = status["slices"][0];
  EXPECT_EQ(slice["profile"], "1g.10gb");
  EXPECT_EQ(slice["technology"], "mig");
  EXPECT_EQ(slice["memory"], "9984MiB");
  EXPECT_EQ(slice["sms"], 16);
  EXPECT_EQ(slice["phase"], "in-use");
  EXPECT_THAT(slice["gpu"].get<std::string>(), HasSubstr("h100-node-"));
  EXPECT_THAT(slice["device"].get<std::string>(), HasSubstr("DEV-"));

  const Json lease = object(world, "Lease", "lease-1");
  EXPECT_EQ(lease["spec"],
            (Json{{"team", "vision"}, {"request", "req-1"}, {"tier", "production"}}));
  EXPECT_EQ(lease["status"]["cost"], (Json{{"compute", "0.143"}, {"memory", "0.125"}}));
  EXPECT_EQ(lease["status"]["endedAt"], nullptr);
  EXPECT_EQ(object(world, "Team", "vision")["status"]["leases"], 1);
}

TEST(Objects, ABinaryUnitTakesTheLargerSlice) {
  TestWorld world(example_text("three-tier.yaml"));
  const auto id =
      world.ask(R"({"team":"vision","memory":"10GiB","isolation":"partition","duration":"8h"})");
  world.report_all();
  EXPECT_EQ(object(world, "Request", name_of(id))["status"]["slices"][0]["profile"], "1g.20gb");
}

TEST(Objects, AnotherTeamIsServedByTheLesserTier) {
  TestWorld world(example_text("three-tier.yaml"));
  const auto id = world.ask(R"({"team":"speech","memory":"10GB","isolation":"partition"})");
  EXPECT_EQ(object(world, "Request", name_of(id))["status"]["tier"], "staging");
}

TEST(Objects, AnEndedLeaseIsShownWithoutItsNode) {
  TestWorld world(example_text("eight-h100.yaml"));
  world.ask(kTenGigabytes);
  world.report_all();
  ASSERT_TRUE(world.run(control::Release{fleet::LeaseId(1)}));
  world.report_all();
  const auto deleted = world.run(control::DeleteNode{"node-1"});
  ASSERT_TRUE(deleted) << to_string(deleted.error());
  const Json lease = object(world, "Lease", "lease-1");
  EXPECT_EQ(lease["status"]["state"], "ended");
  EXPECT_EQ(lease["status"]["node"], nullptr);
  EXPECT_TRUE(lease["status"]["slices"].empty());
}

/// Every part of the axis is a slice, free or stranded, once.
void expect_tiled(const Json& gpu, std::int64_t length) {
  const Json& status = gpu["status"];
  std::vector<std::pair<std::int64_t, std::int64_t>> parts;
  for (const char* key : {"slices", "free", "stranded"})
    for (const Json& part : status[key]) parts.emplace_back(part["start"], part["size"]);
  std::ranges::sort(parts);
  std::int64_t at = 0;
  for (const auto& [start, size] : parts) {
    EXPECT_EQ(start, at) << gpu.dump(1);
    at = start + size;
  }
  EXPECT_EQ(at, length) << gpu.dump(1);
}

TEST(Objects, AGpuIsDrawnWithoutGaps) {
  TestWorld world(example_text("eight-h100.yaml"));
  Json gpu = object(world, "Gpu", "node-1/0");
  EXPECT_EQ(gpu["status"]["technology"], nullptr);
  EXPECT_EQ(gpu["status"]["free"], Json::parse(R"([{"start":0,"size":8}])"));
  const auto needs = {
      kTenGigabytes,
      R"({"team":"speech","memory":"40GB","isolation":"partition"})",
      R"({"team":"speech","isolation":"dedicated"})",
      R"({"team":"vision","memory":"10GiB","isolation":"limited","compute":50})",
      R"({"team":"vision","memory":"20GiB","isolation":"limited","compute":50})",
  };
  for (const char* need : needs) world.ask(need);
  world.report_all();
  std::map<std::string, int> technologies;
  for (const Json& each : all_objects(world.state(), "Gpu")) {
    const bool cells = each["status"]["axis"] == "memory-slices";
    expect_tiled(each, cells ? 8 : 81'152);
    const Json& technology = each["status"]["technology"];
    ++technologies[technology.is_null() ? "none" : technology.get<std::string>()];
    for (const Json& slice : each["status"]["slices"]) {
      EXPECT_FALSE(slice["team"].is_null());
      EXPECT_EQ(slice["phase"], "in-use");
    }
  }
  EXPECT_EQ(technologies["whole"], 1);
  EXPECT_GE(technologies["mig"], 1);
  EXPECT_GE(technologies["time-slicing"], 1);
}

TEST(Objects, AFullPartitionedGpuStrandsWhatNothingCanUse) {
  TestWorld world(example_text("eight-h100.yaml"));
  for (int i = 0; i < 7; ++i) world.ask(kTenGigabytes);
  world.report_all();
  for (const Json& gpu : all_objects(world.state(), "Gpu")) {
    if (gpu["status"]["slices"].size() != 7) continue;
    EXPECT_EQ(gpu["status"]["stranded"], Json::parse(R"([{"start":7,"size":1}])"));
    return;
  }
  FAIL() << "seven 1g.10gb were not packed onto one GPU";
}

TEST(Objects, ListsAreInOrderAndComplete) {
  TestWorld world(example_text("three-tier.yaml"));
  world.ask(kTenGigabytes);
  const auto names = [&](std::string_view kind) {
    std::vector<std::string> found;
    for (const Json& each : all_objects(world.state(), kind)) {
      EXPECT_EQ(each["kind"], kind);
      found.push_back(each["metadata"]["name"]);
      EXPECT_EQ(object(world, kind, found.back()), each);
    }
    return found;
  };
  EXPECT_THAT(names("Tier"), ElementsAre("development", "production", "staging"));
  EXPECT_THAT(names("Pool"), ElementsAre("a100", "a30", "h100", "l40s"));
  EXPECT_EQ(names("Node").size(), 8u);
  EXPECT_EQ(names("Gpu").size(), 40u);
  EXPECT_EQ(names("Team").size(), 7u);
  EXPECT_THAT(names("Request"), ElementsAre("req-1"));
  EXPECT_THAT(names("Lease"), ElementsAre("lease-1"));
  EXPECT_TRUE(names("Unheard").empty());
  EXPECT_EQ(list_of("Tier", 7, {}), (Json{{"apiVersion", "tessera.dev/v1alpha1"},
                                          {"kind", "TierList"},
                                          {"metadata", {{"revision", 7}}},
                                          {"items", Json::array()}}));
}

TEST(Objects, AnExplanationShowsTheSpotOrTheBlockers) {
  TestWorld world(example_text("three-tier.yaml"));
  const auto submit =
      decode_request(std::string(R"({"spec":)") + kTenGigabytes + "}", world.state().catalog());
  ASSERT_TRUE(submit);
  const auto explain = [&] {
    return explanation_object(world.state(),
                              control::explain(world.state(), submit->team, submit->need));
  };
  Json explanation = explain();
  EXPECT_EQ(explanation["fitsNow"], true);
  EXPECT_EQ(explanation["spot"]["pool"], "h100");
  EXPECT_EQ(explanation["spot"]["pricePerHour"], "0.375");
  EXPECT_EQ(explanation["spot"]["slices"][0]["profile"], "1g.10gb");
  for (const char* node : {"h100-node-1", "h100-node-2"})
    ASSERT_TRUE(world.run(control::Cordon{.node = node, .cordoned = true}));
  explanation = explain();
  EXPECT_EQ(explanation["fitsNow"], false);
  EXPECT_EQ(explanation["spot"], nullptr);
  ASSERT_FALSE(explanation["blockers"].empty());
  EXPECT_EQ(explanation["blockers"][0]["away"], 16);
}

TEST(Objects, CapacityShowsWhatTheIssuePromises) {
  TestWorld world(example_text("eight-h100.yaml"));
  const auto& state = world.state();
  const Json capacity = capacity_object(placement::capacity_of(
      state.catalog(), state.fleet(), state.index(), state.tiers(), state.use_by_tier()));
  std::map<std::string, Json> tiers;
  for (const Json& tier : capacity["tiers"]) tiers[tier["name"]] = tier;
  EXPECT_EQ(tiers["production"]["potential"]["slots"], 16);
  EXPECT_EQ(tiers["production"]["potential"]["mix"], (Json{{"4g.40gb", 8}, {"3g.40gb", 8}}));
  EXPECT_EQ(tiers["development"]["potential"]["slots"], 32);
  EXPECT_EQ(capacity["gpus"], (Json{{"declared", 8}, {"ready", 8}}));
}

TEST(Objects, ApplyTellsWhatChanged) {
  const Json a = {{"spec", {{"x", 1}}}, {"status", 1}}, b = {{"spec", {{"x", 1}}}, {"status", 2}},
             c = {{"spec", {{"x", 2}}}};
  EXPECT_EQ(change_of({"Tier", "t", nullptr, a}), "created");
  EXPECT_EQ(change_of({"Tier", "t", a, b}), "unchanged");
  EXPECT_EQ(change_of({"Tier", "t", a, c}), "changed");
  EXPECT_EQ(change_of({"Tier", "t", a, nullptr}), "deleted");
  EXPECT_EQ(apply_result({{"Tier", "t", a, c}})["items"][0]["change"], "changed");
}

TEST(Names, OfSerialsAreCanonical) {
  EXPECT_EQ(request_id_from("req-12"), request::RequestId(12));
  EXPECT_EQ(lease_id_from("lease-1"), fleet::LeaseId(1));
  for (const char* name :
       {"", "req-", "req-0", "req-012", "req--1", "req-1x", "lease-1", "req-99999999999999999999"})
    EXPECT_EQ(request_id_from(name), std::nullopt) << name;
  EXPECT_EQ(name_of(request::RequestId()), "");
}

TEST(Audit, ShowsEveryEventInWords) {
  TestWorld world(example_text("three-tier.yaml"));
  world.ask(kTenGigabytes);
  world.report_all();
  ASSERT_TRUE(world.run(control::PutToken{{.name = "ci",
                                           .role = tenancy::Role::kMember,
                                           .subject = "vision",
                                           .digest = "c0ffee",
                                           .expires = std::nullopt}}));
  std::map<std::string, Json> last;
  for (const auto& record : world.records()) {
    const Json audit = audit_of(record);
    EXPECT_EQ(audit["revision"], record.revision);
    EXPECT_EQ(audit["actor"]["name"], record.actor.name);
    EXPECT_EQ(audit["events"].size(), record.events.size());
    for (const Json& event : audit["events"]) last[event["event"]] = event;
  }
  EXPECT_EQ(last["TierPut"]["tier"]["technologies"], Json::parse(R"(["time-slicing"])"));
  const Json& lease = last["LeaseGranted"]["lease"];
  EXPECT_EQ(lease["id"], "lease-1");
  EXPECT_EQ(lease["request"], "req-1");
  EXPECT_EQ(lease["slices"][0]["shape"]["technology"], "mig");
  EXPECT_THAT(lease["granted"].get<std::string>(), HasSubstr("2027-01-15T"));
  EXPECT_EQ(last["RequestSubmitted"]["request"]["need"]["memory"], "9537MiB");
  EXPECT_EQ(last["TokenPut"]["token"]["subject"], "vision");
  EXPECT_THAT(last["TokenPut"].dump(), testing::Not(HasSubstr("c0ffee")));
}

}  // namespace
}  // namespace tessera::wire
