#include "catalog/model_file.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <set>

#include <nlohmann/json.hpp>

namespace tessera::catalog {
namespace {

using Json = nlohmann::json;

constexpr int kLongestAxis = 64;        // memory slices; a Placement counts in bytes
constexpr std::size_t kInstances = 64;  // bits of a Layout
constexpr std::int64_t kLargest = 1'000'000'000;

/// Thrown inside this file only, caught in read_models.
struct Refused {
  std::string where, what;
};

/// A JSON object and the path that leads to it. Every key must be taken once, or done() refuses.
class Object {
 public:
  Object(const Json& json, std::string path) : json_(json), path_(std::move(path)) {
    if (!json.is_object()) refuse("must be an object");
  }

  [[noreturn]] void refuse(const std::string& what) const { throw Refused{path_, what}; }
  [[noreturn]] void refuse(const std::string& key, const std::string& what) const {
    throw Refused{path_to(key), what};
  }
  std::string path_to(const std::string& key) const {
    return path_.empty() ? key : path_ + "." + key;
  }

  bool has(const std::string& key) const { return json_.contains(key); }

  const Json& at(const std::string& key) {
    if (!has(key)) refuse(key, "is missing");
    taken_.insert(key);
    return json_.at(key);
  }

  std::string text(const std::string& key) {
    const Json& value = at(key);
    if (!value.is_string() || value.get_ref<const std::string&>().empty())
      refuse(key, "must be a text that is not empty");
    return value.get<std::string>();
  }

  std::int64_t integer(const std::string& key, std::int64_t least, std::int64_t most) {
    const Json& value = at(key);
    // Unsigned numbers above the signed range read as negative and fall out of range.
    if (!value.is_number_integer() || value.get<std::int64_t>() < least ||
        value.get<std::int64_t>() > most)
      refuse(key,
             "must be an integer from " + std::to_string(least) + " to " + std::to_string(most));
    return value.get<std::int64_t>();
  }

  int small(const std::string& key, int least, int most) {
    return static_cast<int>(integer(key, least, most));
  }

  const Json& list(const std::string& key) {
    const Json& value = at(key);
    if (!value.is_array()) refuse(key, "must be a list");
    return value;
  }

  /// Sources and remarks: for readers of the file, checked to be there but not compiled in.
  void skip_text(const std::string& key) { static_cast<void>(text(key)); }

  void done() const {
    for (const auto& [key, value] : json_.items())
      if (!taken_.contains(key)) refuse(key, "is not a key of this object; see data/README.md");
  }

 private:
  const Json& json_;
  std::string path_;
  std::set<std::string> taken_;
};

Confidence confidence_of(Object& object) {
  const std::string text = object.text("confidence");
  for (const auto confidence : {Confidence::kUnknown, Confidence::kInferred,
                                Confidence::kSingleSource, Confidence::kTwoSources})
    if (to_string(confidence) == text) return confidence;
  object.refuse("confidence", "must be unknown, inferred, single-source or two-sources");
}

struct Figure {
  std::optional<std::int64_t> value;
  Confidence confidence = Confidence::kUnknown;
};

/// {"value": 9984, "confidence": "two-sources", "basis": "…"}; value is null where unknown.
Figure figure_of(Object& parent, const std::string& key) {
  Object object(parent.at(key), parent.path_to(key));
  Figure figure;
  if (!object.at("value").is_null()) figure.value = object.integer("value", 1, kLargest);
  figure.confidence = confidence_of(object);
  object.skip_text("basis");
  object.done();
  if (figure.value.has_value() == (figure.confidence == Confidence::kUnknown))
    object.refuse("a figure is unknown exactly when its value is null");
  return figure;
}

Engines engines_of(Object& parent) {
  Object object(parent.at("engines"), parent.path_to("engines"));
  const auto count = [&](const std::string& key) -> std::optional<int> {
    if (object.at(key).is_null()) return std::nullopt;
    return object.small(key, 0, 64);
  };
  const Engines engines{count("copy"), count("decoder"), count("encoder"), count("jpeg"),
                        count("optical_flow")};
  object.done();
  return engines;
}

std::vector<Placement> placements_of(Object& parent, int size, int axis, Confidence& confidence) {
  Object object(parent.at("placements"), parent.path_to("placements"));
  confidence = confidence_of(object);
  object.skip_text("basis");
  std::vector<Placement> placements;
  for (const Json& start : object.list("starts")) {
    const auto least = placements.empty() ? 0 : placements.back().end();
    if (!start.is_number_integer() || start.get<std::int64_t>() < least ||
        start.get<std::int64_t>() > axis - size)
      object.refuse("starts", "must rise, leave room for one another and end on the axis of " +
                                  std::to_string(axis));
    placements.push_back({start.get<std::uint8_t>(), static_cast<std::uint8_t>(size)});
  }
  if (placements.empty()) object.refuse("starts", "must name at least one place");
  object.done();
  return placements;
}

MigProfile profile_of(const Json& json, const std::string& path, int axis, int compute_slices) {
  Object object(json, path);
  MigProfile profile;
  profile.name = object.text("name");
  profile.kind = object.text("kind");
  profile.nvml_profile = object.small("nvml_profile", 0, 255);
  profile.driver_profile_id = object.small("driver_profile_id", 0, 255);
  profile.compute_slices = object.small("compute_slices", 1, compute_slices);
  profile.memory_slices = object.small("memory_slices", 1, axis);
  profile.placements =
      placements_of(object, profile.memory_slices, axis, profile.placement_confidence);
  const auto places = static_cast<int>(profile.placements.size());
  profile.max_instances = object.small("max_instances", 1, places);
  const Figure memory = figure_of(object, "memory_mib");
  if (memory.value) profile.memory = MiB(*memory.value);
  profile.memory_confidence = memory.confidence;
  const Figure sms = figure_of(object, "sms");
  if (sms.value) profile.sms = Sms(*sms.value);
  profile.sms_confidence = sms.confidence;
  profile.engines = engines_of(object);
  object.done();
  return profile;
}

void read_mig(Object& parent, GpuModel& model) {
  Object object(parent.at("mig"), parent.path_to("mig"));
  model.memory_slices = object.small("memory_slices", 1, kLongestAxis);
  model.compute_slices = object.small("compute_slices", 1, kLongestAxis);
  std::size_t instances = 0;
  std::set<std::string> names;
  std::set<int> driver_ids;
  const Json& profiles = object.list("profiles");
  for (std::size_t i = 0; i < profiles.size(); ++i) {
    const std::string path = object.path_to("profiles[" + std::to_string(i) + "]");
    MigProfile profile = profile_of(profiles[i], path, model.memory_slices, model.compute_slices);
    if (!names.insert(profile.name).second) throw Refused{path, profile.name + " is there twice"};
    if (!driver_ids.insert(profile.driver_profile_id).second)
      throw Refused{path, "the driver_profile_id of " + profile.name + " is another profile's"};
    instances += profile.placements.size();
    model.profiles.push_back(std::move(profile));
  }
  if (model.profiles.empty()) object.refuse("profiles", "must name at least one");
  if (instances > kInstances) object.refuse("profiles", "offer more than 64 placements together");
  object.done();
}

void read_vgpu(Object& parent, GpuModel& model) {
  Object object(parent.at("vgpu"), parent.path_to("vgpu"));
  object.skip_text("basis");
  const Json& types = object.list("types");
  for (std::size_t i = 0; i < types.size(); ++i) {
    Object type(types[i], object.path_to("types[" + std::to_string(i) + "]"));
    model.vgpu_types.push_back({type.text("name"),
                                MiB(type.integer("framebuffer_mib", 1, kLargest)),
                                type.small("max_per_gpu", 1, 255), confidence_of(type)});
    type.done();
  }
  object.done();
}

std::uint32_t pci_id_of(const Json& json, const Object& parent) {
  const std::string text = json.is_string() ? json.get<std::string>() : std::string();
  std::uint32_t id = 0;
  const bool prefixed = text.size() == 10 && text.starts_with("0x");
  const auto [end, error] =
      std::from_chars(text.data() + (prefixed ? 2 : 0), text.data() + text.size(), id, 16);
  if (!prefixed || error != std::errc() || end != text.data() + text.size())
    parent.refuse("pci_ids", "must be texts like \"0x233010DE\": device, then vendor");
  return id;
}

GpuModel model_of(const Json& json, const std::string& path) {
  Object object(json, path);
  GpuModel model;
  model.key = object.text("key");
  model.product = object.text("product");
  model.architecture = object.text("architecture");
  for (const Json& name : object.list("names")) {
    if (!name.is_string()) object.refuse("names", "must be texts");
    model.names.push_back(name.get<std::string>());
  }
  for (const Json& id : object.list("pci_ids")) model.pci_ids.push_back(pci_id_of(id, object));
  const Figure memory = figure_of(object, "memory_mib");
  model.memory = MiB(memory.value.value_or(0));
  model.memory_confidence = memory.confidence;
  const Figure sms = figure_of(object, "sms");
  model.sms = Sms(sms.value.value_or(0));
  model.sms_confidence = sms.confidence;
  if (object.has("mig")) read_mig(object, model);
  if (object.has("vgpu")) read_vgpu(object, model);
  if (object.has("notes")) object.list("notes");
  object.done();
  return model;
}

/// "same_mig_as": KEY stands for a copy of an earlier model's "mig": boards that carry one chip.
Json with_mig_copied(Json model, const std::map<std::string, Json>& migs, const std::string& path) {
  if (!model.is_object() || !model.contains("same_mig_as")) return model;
  const Json& key = model["same_mig_as"];
  const auto found = migs.find(key.is_string() ? key.get<std::string>() : std::string());
  if (found == migs.end() || model.contains("mig"))
    throw Refused{path + ".same_mig_as", "must name an earlier model, and stand without mig"};
  model["mig"] = found->second;
  model.erase("same_mig_as");
  return model;
}

std::vector<GpuModel> models_of(const Json& json) {
  Object object(json, "");
  if (object.integer("format", 1, 1) != 1) object.refuse("format", "must be 1");
  const Json& list = object.list("models");
  std::vector<GpuModel> models;
  std::map<std::string, Json> migs;
  std::set<std::string> names;
  std::set<std::uint32_t> pci_ids;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const std::string path = "models[" + std::to_string(i) + "]";
    const Json whole = with_mig_copied(list[i], migs, path);
    GpuModel model = model_of(whole, path);
    if (whole.contains("mig")) migs[model.key] = whole["mig"];
    if (!names.insert(model.key).second) throw Refused{path, model.key + " is named twice"};
    for (const std::string& name : model.names)
      if (!names.insert(name).second) throw Refused{path, name + " is named twice"};
    for (const std::uint32_t id : model.pci_ids)
      if (!pci_ids.insert(id).second)
        throw Refused{path, "a PCI id of " + model.key + " is another model's"};
    models.push_back(std::move(model));
  }
  if (models.empty()) object.refuse("models", "must name at least one");
  object.done();
  return models;
}

}  // namespace

base::Result<std::vector<GpuModel>> read_models(std::string_view json) {
  try {
    return models_of(Json::parse(json));
  } catch (const Refused& refused) {
    return base::fail(base::Reason::kInvalidDocument, refused.what, refused.where);
  } catch (const Json::parse_error& error) {
    return base::fail(base::Reason::kInvalidDocument, std::string("is not JSON: ") + error.what());
  }
}

}  // namespace tessera::catalog
