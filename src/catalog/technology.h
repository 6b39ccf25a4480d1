#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace tessera::catalog {

/// How a GPU is divided.
enum class Technology : std::uint8_t {
  kTimeSlicing,  ///< several processes take turns on one GPU
  kVgpu,         ///< a hypervisor's share inside a VM
  kMig,          ///< a hardware partition
  kWhole,        ///< the GPU undivided
};

/// What one tenant is protected from, weakest first. A request names the least it accepts.
enum class Isolation : std::uint8_t {
  kShared,     ///< plain time-slicing: nothing is enforced
  kLimited,    ///< guarded time-slicing: memory and compute limited in software
  kVirtual,    ///< vGPU: the hypervisor's wall
  kPartition,  ///< MIG: separate memory, caches and compute in hardware
  kDedicated,  ///< a whole GPU
};

std::string_view to_string(Technology technology);
std::string_view to_string(Isolation isolation);
std::optional<Technology> technology_from(std::string_view text);
std::optional<Isolation> isolation_from(std::string_view text);

}  // namespace tessera::catalog
