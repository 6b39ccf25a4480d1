#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "fleet/gpu.h"

/// What the control plane and a node's agent tell each other. Both messages are whole states, so
/// that one that is lost, late or doubled does no harm: the target says what should be, the report
/// says what is, and the difference is the agent's work.
namespace tessera::fleet {

/// One slice a GPU should have.
struct TargetSlice {
  SliceShape shape;
  std::uint64_t generation = 0;
  /// kPreparing / kInUse: make it ready for `holder`. kScrubbing: end what runs there, verify it is
  /// free and clean. kFailed: the same, but end nothing. kIdle: it exists, unused.
  SlicePhase phase = SlicePhase::kIdle;
  LeaseId holder;
};

struct GpuTarget {
  std::uint16_t number = 0;
  std::string uuid;  ///< the GPU meant; empty before the first report
  bool mig = false;  ///< MIG mode wanted; changed only while the GPU is idle
  std::vector<TargetSlice> slices;
};

/// A moment of the control plane's history: which of its processes wrote the last record, and the
/// record's revision. A journal that was restored from a backup counts its revisions again, but
/// never under the same incarnation, so a moment names one state and no other. Later is greater.
struct Moment {
  std::uint64_t incarnation = 0;
  std::uint64_t revision = 0;  ///< 0: before everything
  friend auto operator<=>(const Moment&, const Moment&) = default;
};

/// What a node should be.
struct NodeTarget {
  std::string node;
  std::uint64_t revision = 0;  ///< of the state it was taken from; grows
  std::vector<GpuTarget> gpus;
  std::uint64_t incarnation = 0;  ///< of the same state
  std::uint64_t process = 0;      ///< of the control plane, that says so; repeated in reports

  Moment moment() const { return {incarnation, revision}; }
};

/// How far the agent got with one slice of the target.
enum class SliceStatus : std::uint8_t {
  kPending,  ///< being worked on
  kReady,    ///< exists, prepared for its holder
  kClean,    ///< verified free: no process, memory reads as free
  kFailed,   ///< the device refuses; `detail` says why
};
std::string_view to_string(SliceStatus status);

struct SliceReport {
  std::uint64_t generation = 0;
  SliceStatus status = SliceStatus::kPending;
  std::string device;  ///< driver's UUID, once it exists
  std::string detail;
  friend bool operator==(const SliceReport&, const SliceReport&) = default;
};

struct GpuReport {
  std::uint16_t number = 0;
  std::string uuid;
  std::uint32_t pci_id = 0;
  Health health = Health::kHealthy;
  std::string detail;
  std::vector<SliceReport> slices;
  friend bool operator==(const GpuReport&, const GpuReport&) = default;
};

/// What a node is.
struct NodeReport {
  std::string node;
  std::string boot;                   ///< changes with every boot of the machine
  std::uint64_t sequence = 0;         ///< grows with every report of one agent process, from 1
  std::uint64_t target_revision = 0;  ///< of the target this report answers; 0: none seen
  std::vector<GpuReport> gpus;
  std::uint64_t target_incarnation = 0;  ///< of the same target
  LeaseId highest_lease;                 ///< of the target's, and of those whose programs run
  std::uint64_t session = 0;             ///< tells the agent process from others on this node
  std::uint64_t heard_process = 0;       ///< of the control plane, that it heard from last; 0: none

  Moment answers() const { return {target_incarnation, target_revision}; }
};

}  // namespace tessera::fleet
