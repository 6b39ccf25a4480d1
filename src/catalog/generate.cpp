#include <fstream>
#include <iomanip>
#include <iostream>
#include <sstream>

#include "catalog/model_file.h"

/// catalog_generate IN.json OUT.cpp: writes the models of IN as the constant tables declared in
/// built_in_rows.h. Run by the build; OUT is left untouched when IN is refused.
namespace tessera::catalog {
namespace {

std::string_view enumerator(Confidence confidence) {
  switch (confidence) {
    case Confidence::kUnknown:
      return "Confidence::kUnknown";
    case Confidence::kInferred:
      return "Confidence::kInferred";
    case Confidence::kSingleSource:
      return "Confidence::kSingleSource";
    case Confidence::kTwoSources:
      return "Confidence::kTwoSources";
  }
  return {};
}

std::string figure(std::optional<std::int64_t> value, Confidence confidence) {
  std::ostringstream out;
  out << "{" << value.value_or(-1) << ", " << enumerator(confidence) << "}";
  return out.str();
}

std::string count(std::optional<int> engines) {
  return engines ? std::to_string(*engines) : "std::nullopt";
}

/// Declares `constexpr TYPE NAME[] = {…}` from texts and returns NAME; "{}" for an empty list,
/// since C++ has no arrays of no length.
std::string declare(std::ostream& out, std::string_view type, const std::string& name,
                    const std::vector<std::string>& values) {
  if (values.empty()) return "{}";
  out << "constexpr " << type << " " << name << "[] = {";
  for (const std::string& value : values) out << "\n    " << value << ",";
  out << "};\n";
  return name;
}

std::string profile_row(std::ostream& out, const MigProfile& profile, const std::string& suffix) {
  std::vector<std::string> starts;
  for (const Placement placement : profile.placements)
    starts.push_back(std::to_string(placement.start));
  const std::string starts_name = declare(out, "std::uint8_t", "kStarts" + suffix, starts);

  const auto memory = profile.memory ? std::optional(profile.memory->count()) : std::nullopt;
  const auto sms = profile.sms ? std::optional(profile.sms->count()) : std::nullopt;
  const Engines& engines = profile.engines;
  std::ostringstream row;
  row << "{" << std::quoted(profile.name) << ", " << std::quoted(profile.kind) << ", "
      << profile.nvml_profile << ", " << profile.driver_profile_id << ", " << profile.compute_slices
      << ", " << profile.memory_slices << ", " << profile.max_instances << ", "
      << figure(memory, profile.memory_confidence) << ", " << figure(sms, profile.sms_confidence)
      << ", {" << count(engines.copy) << ", " << count(engines.decoder) << ", "
      << count(engines.encoder) << ", " << count(engines.jpeg) << ", "
      << count(engines.optical_flow) << "}, " << starts_name << ", "
      << enumerator(profile.placement_confidence) << "}";
  return row.str();
}

std::string quoted(const std::string& text) {
  std::ostringstream out;
  out << std::quoted(text);
  return out.str();
}

std::string model_row(std::ostream& out, const GpuModel& model, const std::string& suffix) {
  std::vector<std::string> names, pci_ids, profiles, types;
  for (const std::string& name : model.names) names.push_back(quoted(name));
  for (const std::uint32_t id : model.pci_ids) pci_ids.push_back(std::to_string(id) + "U");
  for (const MigProfile& profile : model.profiles)
    profiles.push_back(profile_row(out, profile, suffix + "_" + std::to_string(profiles.size())));
  for (const VgpuType& type : model.vgpu_types)
    types.push_back("{" + quoted(type.name) + ", " + std::to_string(type.framebuffer.count()) +
                    ", " + std::to_string(type.max_per_gpu) + ", " +
                    std::string(enumerator(type.confidence)) + "}");
  const std::string names_name = declare(out, "std::string_view", "kNames" + suffix, names);
  const std::string pci_name = declare(out, "std::uint32_t", "kPciIds" + suffix, pci_ids);
  const std::string profiles_name = declare(out, "ProfileRow", "kProfiles" + suffix, profiles);
  const std::string types_name = declare(out, "VgpuTypeRow", "kVgpuTypes" + suffix, types);

  const auto known = [](std::int64_t value) {
    return value == 0 ? std::nullopt : std::optional(value);
  };
  std::ostringstream row;
  row << "{" << quoted(model.key) << ", " << quoted(model.product) << ", "
      << quoted(model.architecture) << ", " << names_name << ", " << pci_name << ", "
      << figure(known(model.memory.count()), model.memory_confidence) << ", "
      << figure(known(model.sms.count()), model.sms_confidence) << ", " << model.memory_slices
      << ", " << model.compute_slices << ", " << profiles_name << ", " << types_name << "}";
  return row.str();
}

std::string tables(const std::vector<GpuModel>& models) {
  std::ostringstream out;
  out << "// Written by catalog_generate from data/gpu_models.json; edit that.\n"
         "#include \"catalog/built_in_rows.h\"\n\n"
         "namespace tessera::catalog {\nnamespace {\n\n";
  std::vector<std::string> rows;
  for (const GpuModel& model : models)
    rows.push_back(model_row(out, model, std::to_string(rows.size())));
  declare(out, "ModelRow", "kModels", rows);
  out << "\n}  // namespace\n\n"
         "std::span<const ModelRow> built_in_rows() {\n  return kModels;\n}\n\n"
         "}  // namespace tessera::catalog\n";
  return out.str();
}

int generate(const char* from, const char* to) {
  std::ifstream in(from, std::ios::binary);
  std::ostringstream json;
  json << in.rdbuf();
  if (!in) {
    std::cerr << from << ": cannot be read\n";
    return 1;
  }
  const auto models = read_models(json.str());
  if (!models) {
    std::cerr << from << ": " << base::to_string(models.error()) << "\n";
    return 1;
  }
  std::ofstream out(to, std::ios::binary | std::ios::trunc);
  out << tables(*models) << std::flush;
  if (!out) {
    std::cerr << to << ": cannot be written\n";
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace tessera::catalog

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: catalog_generate IN.json OUT.cpp\n";
    return 2;
  }
  return tessera::catalog::generate(argv[1], argv[2]);
}
