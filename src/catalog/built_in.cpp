#include "catalog/built_in_rows.h"
#include "catalog/gpu_model.h"

namespace tessera::catalog {
namespace {

MigProfile profile_of(const ProfileRow& row) {
  MigProfile profile;
  profile.name = row.name;
  profile.kind = row.kind;
  profile.nvml_profile = row.nvml_profile;
  profile.driver_profile_id = row.driver_profile_id;
  profile.compute_slices = row.compute_slices;
  profile.memory_slices = row.memory_slices;
  profile.max_instances = row.max_instances;
  if (row.memory.value >= 0) profile.memory = MiB(row.memory.value);
  if (row.sms.value >= 0) profile.sms = Sms(row.sms.value);
  profile.engines = row.engines;
  for (const std::uint8_t start : row.starts)
    profile.placements.push_back({start, static_cast<std::uint8_t>(row.memory_slices)});
  profile.memory_confidence = row.memory.confidence;
  profile.sms_confidence = row.sms.confidence;
  profile.placement_confidence = row.placement_confidence;
  return profile;
}

GpuModel model_of(const ModelRow& row) {
  GpuModel model;
  model.key = row.key;
  model.product = row.product;
  model.architecture = row.architecture;
  model.names.assign(row.names.begin(), row.names.end());
  model.pci_ids.assign(row.pci_ids.begin(), row.pci_ids.end());
  if (row.memory.value >= 0) model.memory = MiB(row.memory.value);
  if (row.sms.value >= 0) model.sms = Sms(row.sms.value);
  model.memory_confidence = row.memory.confidence;
  model.sms_confidence = row.sms.confidence;
  model.memory_slices = row.memory_slices;
  model.compute_slices = row.compute_slices;
  for (const ProfileRow& profile : row.profiles) model.profiles.push_back(profile_of(profile));
  for (const VgpuTypeRow& type : row.vgpu_types)
    model.vgpu_types.push_back(
        {std::string(type.name), MiB(type.framebuffer), type.max_per_gpu, type.confidence});
  return model;
}

}  // namespace

Catalog Catalog::built_in() {
  std::vector<GpuModel> models;
  for (const ModelRow& row : built_in_rows()) models.push_back(model_of(row));
  return Catalog(std::move(models));
}

}  // namespace tessera::catalog
