#include "catalog/gpu_model.h"

#include <algorithm>
#include <set>

#include "base/check.h"

namespace tessera::catalog {
namespace {

void check_placements(const GpuModel& model) {
  for (const MigProfile& profile : model.profiles)
    for (const Placement placement : profile.placements)
      CHECK_MSG(placement.end() <= model.memory_slices,
                model.key + " " + profile.name + ": a placement beyond the axis");
}

std::vector<std::uint16_t> plain_by_size(const GpuModel& model) {
  std::vector<std::uint16_t> plain;
  for (std::size_t i = 0; i < model.profiles.size(); ++i)
    if (model.profiles[i].plain() && !model.profiles[i].placements.empty())
      plain.push_back(static_cast<std::uint16_t>(i));
  std::ranges::stable_sort(plain, {}, [&](std::uint16_t i) {
    const auto& profile = model.profiles[i];
    return profile.compute_slices * model.memory_slices +
           profile.memory_slices * model.compute_slices;
  });
  return plain;
}

}  // namespace

std::optional<std::size_t> GpuModel::find_profile(std::string_view name) const {
  const auto found = std::ranges::find(profiles, name, &MigProfile::name);
  if (found == profiles.end()) return std::nullopt;
  return static_cast<std::size_t>(found - profiles.begin());
}

std::optional<InstanceIndex> GpuModel::find_instance(std::string_view profile, int start) const {
  const auto wanted = find_profile(profile);
  if (!wanted) return std::nullopt;
  const auto instances = layouts.instances();
  for (std::size_t i = 0; i < instances.size(); ++i)
    if (instances[i].profile == *wanted && instances[i].placement.start == start)
      return static_cast<InstanceIndex>(i);
  return std::nullopt;
}

Catalog::Catalog(std::vector<GpuModel> models) : models_(std::move(models)) {
  std::set<std::string_view> names;
  std::set<std::uint32_t> pci_ids;
  for (GpuModel& model : models_) {
    CHECK_MSG(names.insert(model.key).second, model.key + ": named twice");
    for (const std::string& name : model.names)
      CHECK_MSG(names.insert(name).second, name + ": named twice");
    for (const std::uint32_t pci_id : model.pci_ids)
      CHECK_MSG(pci_ids.insert(pci_id).second, model.key + ": a PCI id of another model");
    check_placements(model);
    model.layouts = LayoutTable(model.profiles);
    model.plain_by_size = plain_by_size(model);
  }
}

// A few dozen models: a scan beats any index.
std::optional<ModelIndex> Catalog::find(std::string_view name) const {
  for (std::size_t i = 0; i < models_.size(); ++i)
    if (models_[i].key == name ||
        std::ranges::find(models_[i].names, name) != models_[i].names.end())
      return ModelIndex(i);
  return std::nullopt;
}

std::optional<ModelIndex> Catalog::find_pci(std::uint32_t pci_id) const {
  for (std::size_t i = 0; i < models_.size(); ++i)
    if (std::ranges::find(models_[i].pci_ids, pci_id) != models_[i].pci_ids.end())
      return ModelIndex(i);
  return std::nullopt;
}

}  // namespace tessera::catalog
