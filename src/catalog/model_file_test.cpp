#include "catalog/model_file.h"

#include <functional>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace tessera::catalog {
namespace {

using Json = nlohmann::json;

Json figure(int value) {
  return {{"value", value}, {"confidence", "two-sources"}, {"basis", "two dumps"}};
}

/// One model with two MIG profiles and one vGPU type, in order.
Json good() {
  const Json engines = {
      {"copy", 1}, {"decoder", 0}, {"encoder", nullptr}, {"jpeg", 0}, {"optical_flow", 0}};
  const auto profile = [&](const char* name, int id, int size, Json starts) {
    return Json{
        {"name", name},
        {"kind", "1g"},
        {"nvml_profile", 0},
        {"driver_profile_id", id},
        {"compute_slices", 1},
        {"memory_slices", size},
        {"max_instances", starts.size()},
        {"memory_mib", figure(5952)},
        {"sms", figure(14)},
        {"engines", engines},
        {"placements", {{"starts", starts}, {"confidence", "inferred"}, {"basis", "family"}}}};
  };
  Json mig = {{"memory_slices", 4}, {"compute_slices", 4}};
  mig["profiles"] = Json::array({profile("1g.6gb", 14, 1, Json::array({0, 1, 2, 3})),
                                 profile("2g.12gb", 5, 2, Json::array({0, 2}))});
  Json vgpu = {{"basis", "vendor"}};
  vgpu["types"] = Json::array({{{"name", "A30-24C"},
                                {"framebuffer_mib", 24576},
                                {"max_per_gpu", 1},
                                {"confidence", "two-sources"}}});
  Json model = {{"key", "A30-24GB"},
                {"product", "NVIDIA A30"},
                {"architecture", "Ampere"},
                {"memory_mib", figure(24000)},
                {"sms", figure(56)},
                {"mig", mig},
                {"vgpu", vgpu}};
  model["names"] = Json::array({"A30"});
  model["pci_ids"] = Json::array({"0x20B710DE"});
  return {{"format", 1}, {"models", Json::array({model})}};
}

TEST(ReadModels, TakesEveryField) {
  const auto models = read_models(good().dump());
  ASSERT_TRUE(models) << base::to_string(models.error());
  ASSERT_EQ(models->size(), 1U);
  const GpuModel& a30 = models->front();
  EXPECT_EQ(a30.key, "A30-24GB");
  EXPECT_EQ(a30.pci_ids, std::vector<std::uint32_t>{0x20B710DE});
  EXPECT_EQ(a30.memory, MiB(24000));
  EXPECT_EQ(a30.memory_slices, 4);
  ASSERT_EQ(a30.profiles.size(), 2U);
  EXPECT_EQ(a30.profiles[1].placements, (std::vector<Placement>{{0, 2}, {2, 2}}));
  EXPECT_EQ(a30.profiles[1].placement_confidence, Confidence::kInferred);
  EXPECT_EQ(a30.profiles[1].engines.copy, 1);
  EXPECT_FALSE(a30.profiles[1].engines.encoder);
  ASSERT_EQ(a30.vgpu_types.size(), 1U);
  EXPECT_EQ(a30.vgpu_types[0].framebuffer, MiB(24576));
}

TEST(ReadModels, TakesAnUnknownFigure) {
  Json json = good();
  json["/models/0/mig/profiles/0/sms"_json_pointer] = {
      {"value", nullptr}, {"confidence", "unknown"}, {"basis", "not published"}};
  const auto models = read_models(json.dump());
  ASSERT_TRUE(models);
  EXPECT_FALSE(models->front().profiles[0].sms);
}

TEST(ReadModels, CopiesTheMigOfAnotherBoard) {
  Json json = good();
  Json twin = json["models"][0];
  twin["key"] = "A30X-24GB";
  twin["names"] = Json::array();
  twin["pci_ids"] = Json::array();
  twin.erase("mig");
  twin["same_mig_as"] = "A30-24GB";
  json["models"].push_back(twin);
  const auto models = read_models(json.dump());
  ASSERT_TRUE(models) << base::to_string(models.error());
  EXPECT_EQ(models->at(1).profiles.size(), 2U);
  EXPECT_EQ(models->at(1).memory_slices, 4);
}

struct Fault {
  const char* name;
  const char* where;  ///< what the error must name
  std::function<void(Json&)> make;
};

Json& at(Json& json, const char* pointer) {
  return json[Json::json_pointer(pointer)];
}

class ReadModelsRefuses : public testing::TestWithParam<Fault> {};

TEST_P(ReadModelsRefuses, AndNamesThePlace) {
  Json json = good();
  GetParam().make(json);
  const auto models = read_models(json.dump());
  ASSERT_FALSE(models);
  EXPECT_EQ(models.error().where, GetParam().where) << models.error().what;
  EXPECT_FALSE(models.error().what.empty());
}

const Fault kFaults[] = {
    {"UnknownKey", "models[0].memory_gib",
     [](Json& json) { at(json, "/models/0")["memory_gib"] = 24; }},
    {"MissingKey", "models[0].product", [](Json& json) { at(json, "/models/0").erase("product"); }},
    {"OtherFormat", "format", [](Json& json) { json["format"] = 2; }},
    {"NoModels", "models", [](Json& json) { json["models"] = Json::array(); }},
    {"NegativeMemory", "models[0].memory_mib.value",
     [](Json& json) { at(json, "/models/0/memory_mib/value") = -1; }},
    {"HugeMemory", "models[0].memory_mib.value",
     [](Json& json) { at(json, "/models/0/memory_mib/value") = 18446744073709551615U; }},
    {"FractionalMemory", "models[0].memory_mib.value",
     [](Json& json) { at(json, "/models/0/memory_mib/value") = 1.5; }},
    {"FigureWithoutConfidence", "models[0].sms",
     [](Json& json) { at(json, "/models/0/sms/confidence") = "unknown"; }},
    {"ConfidenceWithoutFigure", "models[0].sms",
     [](Json& json) { at(json, "/models/0/sms/value") = nullptr; }},
    {"UnknownConfidence", "models[0].sms.confidence",
     [](Json& json) { at(json, "/models/0/sms/confidence") = "sure"; }},
    {"PlaceBeyondTheAxis", "models[0].mig.profiles[1].placements.starts",
     [](Json& json) { at(json, "/models/0/mig/profiles/1/placements/starts/1") = 3; }},
    {"PlacesThatOverlap", "models[0].mig.profiles[1].placements.starts",
     [](Json& json) { at(json, "/models/0/mig/profiles/1/placements/starts/1") = 1; }},
    {"NegativeStart", "models[0].mig.profiles[0].placements.starts",
     [](Json& json) { at(json, "/models/0/mig/profiles/0/placements/starts/0") = -1; }},
    {"MoreInstancesThanPlaces", "models[0].mig.profiles[1].max_instances",
     [](Json& json) { at(json, "/models/0/mig/profiles/1/max_instances") = 3; }},
    {"ProfileTwice", "models[0].mig.profiles[1]",
     [](Json& json) { at(json, "/models/0/mig/profiles/1/name") = "1g.6gb"; }},
    {"DriverIdTwice", "models[0].mig.profiles[1]",
     [](Json& json) { at(json, "/models/0/mig/profiles/1/driver_profile_id") = 14; }},
    {"NoProfiles", "models[0].mig.profiles",
     [](Json& json) { at(json, "/models/0/mig/profiles") = Json::array(); }},
    {"ShortPciId", "models[0].pci_ids",
     [](Json& json) { at(json, "/models/0/pci_ids/0") = "0x20B7"; }},
    {"PciIdThatIsANumber", "models[0].pci_ids",
     [](Json& json) { at(json, "/models/0/pci_ids/0") = 548868318; }},
    {"KeyTwice", "models[1]",
     [](Json& json) { json["models"].push_back(Json(json["models"][0])); }},
    {"CopyOfNothing", "models[0].same_mig_as",
     [](Json& json) {
       at(json, "/models/0").erase("mig");
       at(json, "/models/0")["same_mig_as"] = "H100";
     }},
    {"CopyBesideItsOwn", "models[0].same_mig_as",
     [](Json& json) { at(json, "/models/0")["same_mig_as"] = "A30-24GB"; }},
    {"VgpuOfNoSize", "models[0].vgpu.types[0].framebuffer_mib",
     [](Json& json) { at(json, "/models/0/vgpu/types/0/framebuffer_mib") = 0; }},
};

INSTANTIATE_TEST_SUITE_P(Faults, ReadModelsRefuses, testing::ValuesIn(kFaults),
                         [](const auto& fault) { return std::string(fault.param.name); });

TEST(ReadModels, RefusesMoreInstancesThanALayoutHasBits) {
  Json json = good();
  Json starts = Json::array();
  for (int start = 0; start < 64; ++start) starts.push_back(start);
  at(json, "/models/0/mig/memory_slices") = 64;
  at(json, "/models/0/mig/profiles/0/placements/starts") = starts;
  const auto models = read_models(json.dump());
  ASSERT_FALSE(models);
  EXPECT_EQ(models.error().where, "models[0].mig.profiles");
}

TEST(ReadModels, RefusesWhatIsNotJson) {
  for (const char* text : {"", "{", "[]", "null", "{\"format\": 1}", "\xff"}) {
    const auto models = read_models(text);
    EXPECT_FALSE(models) << text;
  }
}

}  // namespace
}  // namespace tessera::catalog
