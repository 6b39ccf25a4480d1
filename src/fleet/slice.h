#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "base/fields.h"
#include "base/id.h"
#include "base/quantity.h"
#include "catalog/gpu_model.h"
#include "catalog/technology.h"

/// A slice: one grantable piece of a GPU.
namespace tessera::fleet {

using base::GpuFraction;
using base::MiB;
using base::MilliShare;
using base::Sms;

using PoolIndex = base::Index<struct PoolTag>;
using NodeIndex = base::Index<struct NodeTag>;
using GpuIndex = base::Index<struct GpuTag>;
using LeaseId = base::Serial<struct LeaseTag>;

/// A MIG instance: which (profile, start) pair of the model.
struct MigSlice {
  catalog::InstanceIndex instance = 0;
  friend bool operator==(const MigSlice&, const MigSlice&) = default;
  static void fields(auto& self, auto&& visit) { visit("instance", self.instance); }
};

/// The most tenants that any tier may put on one time-sliced GPU.
inline constexpr std::uint16_t kMostTenants = 64;

/// A share of a GPU's time with a part of its memory.
struct ShareSlice {
  MiB memory;
  MilliShare compute;  ///< weight against the GPU's other tenants; 1000 = as much as one GPU gives
  std::uint16_t oversubscription =
      1;  ///< promise: the GPU's compute is handed out at most so often
  std::uint16_t tenants = kMostTenants;  ///< promise: the GPU has at most so many at once
  /// Promise, kShared or kLimited: what is enforced on all who share the GPU. An unguarded
  /// neighbour could take what a guarded share was promised, so the two never meet.
  catalog::Isolation isolation = catalog::Isolation::kShared;
  /// Promise, of kLimited only: while it works, those who are not wait.
  bool latency_critical = false;
  friend bool operator==(const ShareSlice&, const ShareSlice&) = default;
  static void fields(auto& self, auto&& visit) {
    visit("memory", self.memory);
    visit("compute", self.compute);
    visit("oversubscription", self.oversubscription);
    visit("tenants", self.tenants);
    visit("isolation", self.isolation);
    visit("latencyCritical", self.latency_critical);
  }
};

/// A vGPU of the model's type `type`.
struct VgpuSlice {
  std::uint16_t type = 0;
  friend bool operator==(const VgpuSlice&, const VgpuSlice&) = default;
  static void fields(auto& self, auto&& visit) { visit("type", self.type); }
};

/// The GPU undivided.
struct WholeSlice {
  friend bool operator==(const WholeSlice&, const WholeSlice&) = default;
  static void fields(auto&, auto&&) {}
};

/// Order is the order of catalog::Technology's time-slicing, vgpu, mig, whole.
using SliceShape = std::variant<ShareSlice, VgpuSlice, MigSlice, WholeSlice>;

inline catalog::Technology technology_of(const SliceShape& shape) {
  return static_cast<catalog::Technology>(shape.index());
}

/// Compute and memory as fractions of a GPU: what quotas and prices count.
struct Cost {
  GpuFraction compute;
  GpuFraction memory;
  Cost& operator+=(Cost other) { return compute += other.compute, memory += other.memory, *this; }
  Cost& operator-=(Cost other) { return compute -= other.compute, memory -= other.memory, *this; }
  friend Cost operator+(Cost a, Cost b) { return a += b; }
  friend Cost operator-(Cost a, Cost b) { return a -= b; }
  friend bool operator==(const Cost&, const Cost&) = default;
  bool within(Cost limit) const { return compute <= limit.compute && memory <= limit.memory; }
  static void fields(auto& self, auto&& visit) {
    visit("compute", self.compute);
    visit("memory", self.memory);
  }
};

/// What a slice takes of its GPU. A share's compute counts divided by its oversubscription.
Cost cost_of(const SliceShape& shape, const catalog::GpuModel& model);

/// What the tenant sees. MIG: the attested figures; share: what it was granted.
MiB memory_of(const SliceShape& shape, const catalog::GpuModel& model);
/// SMs the tenant can use at most; 0 where unknown.
Sms sms_of(const SliceShape& shape, const catalog::GpuModel& model);
/// "1g.10gb", "share-10GiB", "A100-10C", "whole".
std::string profile_name(const SliceShape& shape, const catalog::GpuModel& model);

}  // namespace tessera::fleet
