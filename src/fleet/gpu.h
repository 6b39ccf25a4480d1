#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "fleet/slice.h"

namespace tessera::fleet {

/// Where one slice stands. The control plane writes `held`, `idle` and `retiring`; the rest is
/// what the node's agent has confirmed.
///
///              grant                confirmed               lease ends
///   (absent) --------> kPreparing -----------> kInUse --------------------> kScrubbing
///   kIdle    --------> kPreparing                                              |  verified free
///                                                 (absent: share, vGPU, whole) |
///                                                       kIdle   (MIG)       <--+
///
/// kFailed: the device could not be made or cleaned; nobody gets it until it is.
enum class SlicePhase : std::uint8_t { kIdle, kPreparing, kInUse, kScrubbing, kFailed };
std::string_view to_string(SlicePhase phase);

/// One slice of one GPU. Identity is (GPU, shape's place, generation): GPU instance ids of the
/// driver are reused and say nothing.
struct Slice {
  SliceShape shape;
  SlicePhase phase = SlicePhase::kIdle;
  std::uint64_t generation = 0;  ///< grows with every grant on this GPU; never reused
  LeaseId holder;                ///< none when idle
  std::string device;            ///< driver's UUID once confirmed: "MIG-…", "GPU-…"
  static void fields(auto& self, auto&& visit) {
    visit("shape", self.shape);
    visit("phase", self.phase);
    visit("generation", self.generation);
    visit("holder", self.holder);
    visit("device", self.device);
  }
};

enum class Health : std::uint8_t { kHealthy, kQuarantined };
std::string_view to_string(Health health);

/// One physical GPU. Invariants (checked by LayoutIsLegal and NoSliceHeldTwice):
/// 1. all slices are of one technology;
/// 2. MIG slices form a legal layout of the model;
/// 3. a whole slice is alone;
/// 4. no two slices have the same generation.
struct Gpu {
  NodeIndex node;
  std::uint16_t number = 0;  ///< position on the node, as the driver enumerates
  std::string uuid;          ///< empty until an agent reported it
  Health health = Health::kHealthy;
  std::string health_detail;
  std::uint64_t generation = 0;  ///< the last one handed out here
  std::vector<Slice> slices;     ///< by rising generation

  static void fields(auto& self, auto&& visit) {
    visit("node", self.node);
    visit("number", self.number);
    visit("uuid", self.uuid);
    visit("health", self.health);
    visit("healthDetail", self.health_detail);
    visit("generation", self.generation);
    visit("slices", self.slices);
  }

  Slice* find(std::uint64_t generation);
  const Slice* find(std::uint64_t generation) const;
  /// The idle slice that a grant of `shape` takes over, if there is one.
  const Slice* find_idle(const SliceShape& shape) const;
};

/// How full a GPU is: everything placement needs to know, and nothing that tells two
/// interchangeable GPUs apart. Equal occupancies on the same pool are one class.
struct Occupancy {
  catalog::Technology technology = catalog::Technology::kWhole;  ///< of `tenants`; any when empty
  std::uint16_t tenants = 0;        ///< slices that are held, being scrubbed or failed
  catalog::Layout held = 0;         ///< MIG instances that must stay
  catalog::Layout idle = 0;         ///< MIG instances that exist, verified free
  std::uint16_t vgpu_type = 0;      ///< of all vGPUs here
  MiB share_memory;                 ///< granted to shares
  MilliShare share_compute;         ///< granted to shares
  std::uint16_t share_ceiling = 0;  ///< least oversubscription promised to a share here; 0: none
  std::uint16_t share_tenants = 0;  ///< fewest tenants promised to a share here; 0: none
  catalog::Isolation share_isolation{};  ///< promised to the shares here
  friend auto operator<=>(const Occupancy&, const Occupancy&) = default;

  bool empty() const { return tenants == 0; }
  /// One more slice that is held; an idle instance of its shape goes over into it.
  void add(const SliceShape& shape);
};

Occupancy occupancy_of(const Gpu& gpu);

}  // namespace tessera::fleet
