#include "wire/document.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "wire/test_world.h"

namespace tessera::wire {
namespace {

using namespace std::chrono_literals;
using base::Reason;
using testing::HasSubstr;

std::vector<Document> read(std::string_view text) {
  auto documents = decode_documents(text, "f.yaml", built_in());
  EXPECT_TRUE(documents) << to_string(documents.error());
  return documents ? std::move(*documents) : std::vector<Document>{};
}

template <class T>
T only(std::string_view text) {
  const auto documents = read(text);
  EXPECT_EQ(documents.size(), 1u);
  return documents.empty() ? T{} : std::get<T>(documents.front().object);
}

TEST(Document, ReadsATier) {
  const auto tier = only<tenancy::Tier>(R"(
apiVersion: tessera.dev/v1alpha1
kind: Tier
metadata: {name: gold}
spec:
  description: Fine
  isolation: partition
  technologies: [whole, mig]
  oversubscription: 2
  maxTenants: 3
  slot: 40GB
  pricePerHour: 2.8
  defaultDuration: 2h
  maxDuration: 30d
  notice: 5m
  autoApprove: {share: "0.5", duration: 4h}
  teams: [vision, speech]
  movable: true
)");
  EXPECT_EQ(tier.name, "gold");
  EXPECT_EQ(tier.isolation, catalog::Isolation::kPartition);
  EXPECT_THAT(tier.technologies,
              testing::ElementsAre(catalog::Technology::kWhole, catalog::Technology::kMig));
  EXPECT_EQ(tier.slot.count(), 38'147);
  EXPECT_EQ(tier.price.count(), 2'800'000);
  EXPECT_EQ(tier.default_duration, 2h);
  EXPECT_EQ(tier.max_duration, 24h * 30);
  ASSERT_TRUE(tier.auto_approval);
  EXPECT_EQ(tier.auto_approval->share.count(), 10'500);
  EXPECT_EQ(tier.teams.size(), 2u);
  EXPECT_TRUE(tier.movable);
}

TEST(Document, FillsInATier) {
  const auto tier = only<tenancy::Tier>(
      "{kind: Tier, metadata: {name: t}, spec: {isolation: limited, maxDuration: 1h}}");
  EXPECT_THAT(tier.technologies, testing::ElementsAre(catalog::Technology::kTimeSlicing));
  EXPECT_EQ(tier.oversubscription, 1);
  EXPECT_EQ(tier.default_duration, 1h);
  EXPECT_TRUE(tier.teams.empty());
  EXPECT_FALSE(tier.auto_approval);
  EXPECT_TRUE(tier.movable) << "shared in software";
  EXPECT_FALSE(
      only<tenancy::Tier>("{kind: Tier, metadata: {name: t}, spec: {isolation: partition}}")
          .movable);
}

TEST(Document, OnlyAGuardedShareIsLatencyCritical) {
  const auto tier_of = [](const std::string& spec) {
    return "{kind: Tier, metadata: {name: t}, spec: {latencyCritical: true, " + spec + "}}";
  };
  EXPECT_TRUE(only<tenancy::Tier>(tier_of("isolation: limited")).latency_critical);
  for (const char* other :
       {"isolation: shared", "isolation: partition", "isolation: limited, technologies: [mig]"}) {
    const auto refused = decode_documents(tier_of(other), "f.yaml", built_in());
    ASSERT_FALSE(refused) << other;
    EXPECT_THAT(refused.error().what, testing::HasSubstr("guarded time-slicing")) << other;
  }
}

TEST(Document, ReadsATeam) {
  const auto team = only<tenancy::Team>(R"(
kind: Team
metadata: {name: vision}
spec:
  parent: products
  quotas:
    h100: {guaranteed: 2, limit: "3.5", weight: 2}
    a30: {guaranteed: {compute: 1, memory: 0.125}}
)");
  EXPECT_EQ(team.parent, "products");
  const auto* h100 = team.quota("h100");
  ASSERT_NE(h100, nullptr);
  EXPECT_EQ(h100->guaranteed.compute, base::kWholeGpu * 2);
  EXPECT_EQ(h100->limit->memory.count(), 73'500);
  EXPECT_EQ(h100->weight, 2);
  EXPECT_EQ(team.quota("a30")->guaranteed.memory.count(), 2'625);
  EXPECT_FALSE(team.quota("a30")->limit);
}

TEST(Document, FillsInAPool) {
  using catalog::Technology;
  const auto pool = only<fleet::Pool>(
      "{kind: Pool, metadata: {name: p}, spec: {model: H100-80GB-SXM5, tiers: [production]}}");
  EXPECT_THAT(pool.technologies,
              testing::ElementsAre(Technology::kTimeSlicing, Technology::kMig, Technology::kWhole));
  EXPECT_EQ(pool.layout_policy, fleet::LayoutPolicy::kOnDemand);
  const auto without_mig =
      only<fleet::Pool>("{kind: Pool, metadata: {name: p}, spec: {model: L40S-48GB}}");
  EXPECT_THAT(without_mig.technologies,
              testing::ElementsAre(Technology::kTimeSlicing, Technology::kWhole));
}

TEST(Document, ReadsALayout) {
  const auto pool = only<fleet::Pool>(R"(
kind: Pool
metadata: {name: p}
spec:
  model: H100-80GB-SXM5
  layout: {policy: static, instances: ["4g.40gb@0", "3g.40gb@4"]}
)");
  const auto& model = built_in().model(pool.model);
  const auto expected = catalog::bit(*model.find_instance("4g.40gb", 0)) |
                        catalog::bit(*model.find_instance("3g.40gb", 4));
  EXPECT_EQ(pool.static_layout, expected);
}

TEST(Document, MakesSeveralNodes) {
  const auto documents = read(
      "{kind: Node, metadata: {name: n}, spec: {pool: p, gpus: 8, cpu: 500m, memory: 1TiB, "
      "count: 3}}");
  ASSERT_EQ(documents.size(), 3u);
  EXPECT_EQ(name_of(documents[0].object), "n-1");
  EXPECT_EQ(name_of(documents[2].object), "n-3");
  EXPECT_EQ(documents[2].where, "f.yaml:1");
  const auto& node = std::get<control::PutNode>(documents[1].object);
  EXPECT_EQ(node.gpus, 8);
  EXPECT_EQ(node.cpu.count(), 500);
  EXPECT_EQ(node.memory.count(), 1 << 20);
  EXPECT_TRUE(std::holds_alternative<control::PutNode>(command_of(documents[1].object)));
}

TEST(Document, ReadsARequestWithoutAnEnvelope) {
  const auto submit = decode_request(
      R"({"spec":{"team":"vision","memory":"10GB","compute":12.5,"isolation":"partition",
          "duration":"8h","models":["NVIDIA H100 80GB HBM3"],"pool":"","tier":""}})",
      built_in());
  ASSERT_TRUE(submit) << to_string(submit.error());
  EXPECT_EQ(submit->team, "vision");
  EXPECT_EQ(submit->need.memory.count(), 9'537);
  EXPECT_EQ(submit->need.compute.count(), 125);
  EXPECT_EQ(submit->need.isolation, catalog::Isolation::kPartition);
  EXPECT_THAT(submit->need.models, testing::ElementsAre("H100-80GB-SXM5"));
}

TEST(Document, ReadsWhatTheServerShowed) {
  EXPECT_TRUE(decode_document(
      R"({"apiVersion":"tessera.dev/v1alpha1","kind":"Team","metadata":{"name":"a"},
          "spec":{"quotas":{}},"status":{"usage":{},"requests":3}})",
      built_in()));
}

TEST(Document, ReadsTheBodyOfApply) {
  const auto documents = decode_documents(
      R"({"documents":[{"kind":"Team","metadata":{"name":"a"},"spec":{}},
                       {"kind":"Node","metadata":{"name":"n"},"spec":{"pool":"p","gpus":0}}]})",
      "", built_in());
  ASSERT_FALSE(documents);
  EXPECT_EQ(documents.error().where, "documents[1].spec.gpus");
}

TEST(Document, BoundsWhatCountMakes) {
  std::string text;
  for (int i = 0; i < 12; ++i)
    text += "---\nkind: Node\nmetadata: {name: n}\nspec: {pool: p, gpus: 1, count: 10000}\n";
  const auto documents = decode_documents(text, "f.yaml", built_in());
  ASSERT_FALSE(documents);
  EXPECT_EQ(documents.error().reason, Reason::kTooLarge);
}

TEST(Document, WantsExactlyOneObjectInAPut) {
  const auto several = decode_document(
      R"({"kind":"Node","metadata":{"name":"n"},"spec":{"pool":"p","gpus":1,"count":2}})",
      built_in());
  ASSERT_FALSE(several);
  EXPECT_EQ(several.error().where, "spec.count");
  const auto other =
      decode_request(R"({"kind":"Team","metadata":{"name":"a"},"spec":{}})", built_in());
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().where, "kind");
}

TEST(Name, IsShortAndPlain) {
  for (const char* name : {"a", "node-1", "node-1.rack-2", "0", "a--b"})
    EXPECT_TRUE(valid_name(name)) << name;
  for (const char* name : {"", "-a", "a-", "A", "a_b", "a/b", "a b", ".", "\xC3\xA9"})
    EXPECT_FALSE(valid_name(name)) << name;
  EXPECT_TRUE(valid_name(std::string(63, 'a')));
  EXPECT_FALSE(valid_name(std::string(64, 'a')));
}

}  // namespace
}  // namespace tessera::wire
