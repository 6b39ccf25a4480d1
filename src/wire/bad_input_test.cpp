#include <ostream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "wire/document.h"

/// Inputs that must be refused, with what the refusal must say. A new way to get a document wrong
/// gets a line here.
namespace tessera::wire {
namespace {

using base::Reason;

struct Bad {
  const char* name;
  std::string text;
  Reason reason;
  std::string where;  ///< exactly
  std::string says;   ///< somewhere in what or todo
};

void PrintTo(const Bad& bad, std::ostream* out) {
  *out << bad.name;
}

std::string tier(const std::string& spec) {
  return "kind: Tier\nmetadata: {name: t}\nspec:\n  isolation: partition\n  " + spec + "\n";
}
std::string pool(const std::string& spec) {
  return "kind: Pool\nmetadata: {name: p}\nspec:\n  model: H100-80GB-SXM5\n  " + spec + "\n";
}
std::string layout(const std::string& instances) {
  return pool("layout: {policy: static, instances: [" + instances + "]}");
}
std::string node(const std::string& spec) {
  return "kind: Node\nmetadata: {name: n}\nspec:\n  pool: p\n  " + spec + "\n";
}
std::string team(const std::string& quota) {
  return "kind: Team\nmetadata: {name: t}\nspec:\n  quotas:\n    h100: " + quota + "\n";
}
std::string request(const std::string& spec) {
  return "kind: Request\nspec:\n  team: vision\n  " + spec + "\n";
}

const std::vector<Bad>& corpus() {
  using enum Reason;
  static const std::vector<Bad> kCorpus = {
      // The envelope.
      {"NoKind", "metadata: {name: t}\nspec: {}\n", kInvalidDocument, "f.yaml:1 kind", "missing"},
      {"UnknownKind", "kind: Teir\nmetadata: {name: t}\nspec: {}\n", kInvalidDocument,
       "f.yaml:1 kind", "did you mean \"Tier\"?"},
      {"OtherVersion", "apiVersion: v1\nkind: Team\nmetadata: {name: t}\nspec: {}\n",
       kInvalidDocument, "f.yaml:1 apiVersion", "tessera.dev/v1alpha1"},
      {"NoName", "kind: Team\nmetadata: {}\nspec: {}\n", kInvalidDocument, "f.yaml:2 metadata.name",
       "missing"},
      {"BadName", "kind: Team\nmetadata: {name: My Team}\nspec: {}\n", kInvalidDocument,
       "f.yaml:2 metadata.name", "lower-case"},
      {"NumberAsName", "kind: Team\nmetadata: {name: 12}\nspec: {}\n", kInvalidDocument,
       "f.yaml:2 metadata.name", "\"12\""},
      {"NoSpec", "kind: Team\nmetadata: {name: t}\n", kInvalidDocument, "f.yaml:1 spec", "missing"},
      {"EmptySpec", "kind: Team\nmetadata: {name: t}\nspec:\n", kInvalidDocument, "f.yaml:3 spec",
       "no value"},
      {"SpecIsAList", "kind: Team\nmetadata: {name: t}\nspec: [a]\n", kInvalidDocument,
       "f.yaml:3 spec", "a map"},
      {"ExtraKey", "kind: Team\nmetadata: {name: t}\nspec: {}\nextra: 1\n", kInvalidDocument,
       "f.yaml:4 extra", "known keys"},
      {"JustText", "hello\n", kInvalidDocument, "f.yaml:1", "a map"},
      {"DocumentsIsAMap", "documents: {}\n", kInvalidDocument, "f.yaml:1 documents", "a list"},
      {"BesideDocuments", "documents: []\nkind: Team\n", kInvalidDocument, "f.yaml:2 kind",
       "no key"},
      // Tiers.
      {"MisspeltKey", tier("technologys: [mig]"), kInvalidDocument, "f.yaml:5 spec.technologys",
       "did you mean \"technologies\"?"},
      {"MisspeltRequiredKey", "kind: Tier\nmetadata: {name: t}\nspec: {isolaton: limited}\n",
       kInvalidDocument, "f.yaml:3 spec.isolaton", "did you mean \"isolation\"?"},
      {"KeyTwice", tier("slot: 10GB\n  slot: 20GB"), kInvalidDocument, "f.yaml:6", "twice"},
      {"MisspeltWord", tier("technologies: [mig, hole]"), kInvalidDocument,
       "f.yaml:5 spec.technologies[1]", "did you mean \"whole\"?"},
      {"WordTwice", tier("technologies: [mig, mig]"), kInvalidDocument,
       "f.yaml:5 spec.technologies[1]", "twice"},
      {"NoTechnology", tier("technologies: []"), kInvalidDocument, "f.yaml:4 spec.technologies",
       "at least one"},
      {"BrokenPromise", tier("technologies: [time-slicing]"), kInvalidDocument,
       "f.yaml:4 spec.technologies", "does not give"},
      {"NoUnit", tier("slot: 40"), kInvalidQuantity, "f.yaml:5 spec.slot", "10GiB"},
      {"WrongUnit", tier("slot: 40gb"), kInvalidQuantity, "f.yaml:5 spec.slot", "unit"},
      {"NegativeMemory", tier("slot: -40GB"), kInvalidQuantity, "f.yaml:5 spec.slot", "negative"},
      {"HugeMemory", tier("slot: 99999999999999999999GB"), kInvalidQuantity, "f.yaml:5 spec.slot",
       "too large"},
      {"SlotOfNothing", tier("slot: 0GB"), kInvalidDocument, "f.yaml:4 spec.slot", "10GB"},
      {"MemoryIsAList", tier("slot: [40GB]"), kInvalidDocument, "f.yaml:5 spec.slot", "a list"},
      {"NoDuration", tier("maxDuration: 30"), kInvalidQuantity, "f.yaml:5 spec.maxDuration",
       "duration"},
      {"NegativeDuration", tier("notice: -5m"), kInvalidQuantity, "f.yaml:5 spec.notice",
       "duration"},
      {"EndlessDuration", tier("maxDuration: 99999999999d"), kInvalidQuantity,
       "f.yaml:5 spec.maxDuration", "10 years"},
      {"DefaultAboveMaximum", tier("defaultDuration: 31d"), kInvalidDocument,
       "f.yaml:4 spec.defaultDuration", "maxDuration"},
      {"NegativePrice", tier("pricePerHour: \"-1\""), kInvalidQuantity,
       "f.yaml:5 spec.pricePerHour", "no sign"},
      {"TooExactPrice", tier("pricePerHour: 0.0000001"), kInvalidQuantity,
       "f.yaml:5 spec.pricePerHour", "6 decimals"},
      {"HugePrice", tier("pricePerHour: 1000001"), kInvalidQuantity, "f.yaml:5 spec.pricePerHour",
       "1000000"},
      {"ZeroOversubscription", tier("oversubscription: 0"), kInvalidQuantity,
       "f.yaml:5 spec.oversubscription", "1 to 64"},
      {"OverflowingNumber", tier("maxTenants: 99999999999999999999"), kInvalidQuantity,
       "f.yaml:5 spec.maxTenants", "1 to 64"},
      {"BrokenNumber", tier("maxTenants: 2.5"), kInvalidQuantity, "f.yaml:5 spec.maxTenants",
       "whole number"},
      {"NumberAsText", tier("maxTenants: \"2\""), kInvalidDocument, "f.yaml:5 spec.maxTenants",
       "a number"},
      {"TruthAsText", tier("description: true"), kInvalidDocument, "f.yaml:5 spec.description",
       "\"true\""},
      {"LongText", tier("description: " + std::string(5000, 'x')), kTooLarge,
       "f.yaml:5 spec.description", "4096"},
      {"HalfAnApproval", tier("autoApprove: {share: 1}"), kInvalidDocument,
       "f.yaml:5 spec.autoApprove.duration", "missing"},
      {"TeamTwice", tier("teams: [a, b, a]"), kInvalidDocument, "f.yaml:5 spec.teams[2]", "twice"},
      // Teams.
      {"NegativeQuota", team("{guaranteed: -1}"), kInvalidQuantity,
       "f.yaml:5 spec.quotas.h100.guaranteed", "no sign"},
      {"HalfAQuota", team("{limit: {compute: 1}}"), kInvalidDocument,
       "f.yaml:5 spec.quotas.h100.limit.memory", "missing"},
      {"GuaranteeAboveLimit", team("{guaranteed: 2, limit: 1}"), kInvalidDocument,
       "f.yaml:5 spec.quotas.h100", "larger than the limit"},
      {"QuotaIsANumber", team("4"), kInvalidDocument, "f.yaml:5 spec.quotas.h100", "a map"},
      {"MisspeltQuota", team("{garanteed: 2}"), kInvalidDocument,
       "f.yaml:5 spec.quotas.h100.garanteed", "did you mean \"guaranteed\"?"},
      {"NoWeight", team("{weight: 0}"), kInvalidQuantity, "f.yaml:5 spec.quotas.h100.weight",
       "from 1"},
      // Pools.
      {"NoModel", "kind: Pool\nmetadata: {name: p}\nspec: {tiers: []}\n", kInvalidDocument,
       "f.yaml:3 spec.model", "missing"},
      {"UnknownModel", "kind: Pool\nmetadata: {name: p}\nspec: {model: H100-80GB-SMX5}\n",
       kInvalidDocument, "f.yaml:3 spec.model", "did you mean \"H100-80GB-SXM5\"?"},
      {"FamilyOfModels", "kind: Pool\nmetadata: {name: p}\nspec: {model: h100}\n", kInvalidDocument,
       "f.yaml:3 spec.model", "there are H100-80GB-SXM5, H100-80GB-PCIe, "},
      {"NoMigThere",
       "kind: Pool\nmetadata: {name: p}\nspec: {model: L40S-48GB, technologies: [mig]}\n",
       kInvalidDocument, "f.yaml:3 spec.technologies", "has no MIG"},
      {"UnknownProfile", layout("\"4g.40g@0\""), kInvalidLayout,
       "f.yaml:5 spec.layout.instances[0]", "did you mean \"4g.40gb\"?"},
      {"NotAPlace", layout("\"4g.40gb\""), kInvalidLayout, "f.yaml:5 spec.layout.instances[0]",
       "PROFILE@START"},
      {"NegativeStart", layout("\"4g.40gb@-1\""), kInvalidLayout,
       "f.yaml:5 spec.layout.instances[0]", "PROFILE@START"},
      {"WrongStart", layout("\"4g.40gb@4\""), kInvalidLayout, "f.yaml:5 spec.layout.instances[0]",
       "it may start at 0"},
      {"Overlap", layout("\"4g.40gb@0\", \"3g.40gb@0\""), kInvalidLayout,
       "f.yaml:5 spec.layout.instances[1]", "overlaps"},
      {"Twice", layout("\"3g.40gb@4\", \"3g.40gb@4\""), kInvalidLayout,
       "f.yaml:5 spec.layout.instances[1]", "overlaps"},
      {"TooManyOfAProfile", layout("\"1g.10gb+me@0\", \"1g.10gb+me@1\""), kInvalidLayout,
       "f.yaml:5 spec.layout.instances[1]", "no further"},
      {"StaticWithoutInstances", pool("layout: {policy: static}"), kInvalidLayout,
       "f.yaml:5 spec.layout", "PROFILE@START"},
      {"InstancesOnDemand", pool("layout: {instances: [\"4g.40gb@0\"]}"), kInvalidLayout,
       "f.yaml:5 spec.layout.instances", "policy: static"},
      {"LayoutWithoutMig",
       pool("technologies: [whole]\n  layout: {policy: static, instances: [\"4g.40gb@0\"]}"),
       kInvalidLayout, "f.yaml:6 spec.layout", "add mig"},
      {"MisspeltPolicy", pool("layout: {policy: statik}"), kInvalidDocument,
       "f.yaml:5 spec.layout.policy", "did you mean \"static\"?"},
      // Nodes.
      {"NoGpus", node("cpu: 8"), kInvalidDocument, "f.yaml:4 spec.gpus", "missing"},
      {"TooManyGpus", node("gpus: 65"), kInvalidQuantity, "f.yaml:5 spec.gpus", "1 to 64"},
      {"OctalGpus", node("gpus: 010"), kInvalidDocument, "f.yaml:5 spec.gpus", "a number"},
      {"ExponentGpus", node("gpus: 1e1"), kInvalidQuantity, "f.yaml:5 spec.gpus", "whole number"},
      {"WrongCpu", node("gpus: 1\n  cpu: 8 cores"), kInvalidQuantity, "f.yaml:6 spec.cpu", "500m"},
      {"TooManyNodes", node("gpus: 1\n  count: 10001"), kInvalidQuantity, "f.yaml:6 spec.count",
       "10000"},
      {"LongNodeNames",
       "kind: Node\nmetadata: {name: " + std::string(63, 'n') +
           "}\nspec: {pool: p, gpus: 1, count: 2}\n",
       kInvalidDocument, "f.yaml:3 spec.count", "shorten"},
      // Requests.
      {"NoTeam", "kind: Request\nspec: {memory: 10GB}\n", kInvalidDocument, "f.yaml:2 spec.team",
       "missing"},
      {"MisspeltIsolation", request("isolation: partitioned"), kInvalidDocument,
       "f.yaml:4 spec.isolation", "did you mean \"partition\"?"},
      {"MoreThanAGpu", request("compute: 100.1"), kInvalidQuantity, "f.yaml:4 spec.compute",
       "0 to 100"},
      {"TooExactCompute", request("compute: 12.55"), kInvalidQuantity, "f.yaml:4 spec.compute",
       "1 decimal"},
      {"BothComputeAndSms", request("compute: 10\n  sms: 8"), kInvalidDocument, "f.yaml:3 spec.sms",
       "keep one"},
      {"NoSlices", request("count: 0"), kInvalidQuantity, "f.yaml:4 spec.count", "1 to 64"},
      {"UnknownNeedModel", request("models: [H200]"), kInvalidDocument, "f.yaml:4 spec.models[0]",
       "GPU model"},
  };
  return kCorpus;
}

class BadInputTest : public testing::TestWithParam<Bad> {};

TEST_P(BadInputTest, IsRefusedInSoManyWords) {
  static const catalog::Catalog catalog = catalog::Catalog::built_in();
  const Bad& bad = GetParam();
  const auto documents = decode_documents(bad.text, "f.yaml", catalog);
  ASSERT_FALSE(documents) << bad.text;
  const base::Error& error = documents.error();
  EXPECT_EQ(error.reason, bad.reason) << to_string(error);
  EXPECT_EQ(error.where, bad.where) << to_string(error);
  EXPECT_THAT(error.what + "; " + error.todo, testing::HasSubstr(bad.says));
  EXPECT_FALSE(error.todo.empty()) << to_string(error);
}

INSTANTIATE_TEST_SUITE_P(Corpus, BadInputTest, testing::ValuesIn(corpus()),
                         [](const auto& tested) { return std::string(tested.param.name); });

}  // namespace
}  // namespace tessera::wire
