#pragma once

#include <string_view>

#include "catalog/gpu_model.h"

/// For this room's tests: the built-in catalog and its models by name.
namespace tessera::catalog {

inline const Catalog& built_in() {
  static const Catalog catalog = Catalog::built_in();
  return catalog;
}

inline const GpuModel& model(std::string_view name) {
  return built_in().model(*built_in().find(name));
}

}  // namespace tessera::catalog
