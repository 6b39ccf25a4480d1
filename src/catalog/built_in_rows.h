#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "catalog/gpu_model.h"

/// The shape of the constant tables that catalog_generate writes from data/gpu_models.json. Known
/// only to the generated file and to built_in.cpp, which turns the rows into GpuModels.
namespace tessera::catalog {

/// A number with its support; negative where unknown.
struct FigureRow {
  std::int64_t value = -1;
  Confidence confidence = Confidence::kUnknown;
};

struct ProfileRow {
  std::string_view name, kind;
  int nvml_profile, driver_profile_id;
  int compute_slices, memory_slices, max_instances;
  FigureRow memory, sms;
  Engines engines;
  std::span<const std::uint8_t> starts;  ///< each placement is memory_slices long
  Confidence placement_confidence;
};

struct VgpuTypeRow {
  std::string_view name;
  std::int64_t framebuffer;
  int max_per_gpu;
  Confidence confidence;
};

struct ModelRow {
  std::string_view key, product, architecture;
  std::span<const std::string_view> names;
  std::span<const std::uint32_t> pci_ids;
  FigureRow memory, sms;
  int memory_slices, compute_slices;
  std::span<const ProfileRow> profiles;
  std::span<const VgpuTypeRow> vgpu_types;
};

std::span<const ModelRow> built_in_rows();

}  // namespace tessera::catalog
