#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/time.h"
#include "catalog/technology.h"
#include "device/instance_spec.h"
#include "fleet/slice.h"

/// The Driver port: one node's GPUs, as its agent sees and changes them.
///
/// Changes are asynchronous: submit() hands an operation over and returns at once, poll() tells
/// what has ended. So a call that hangs in a vendor's library occupies that driver's own thread,
/// not the agent, and a simulated driver can live under a virtual clock.
///
/// What every implementation promises (device/conformance.h checks it):
/// 1. Each accepted operation completes exactly once, within a bound of the driver's own; a call
///    that does not come back in time completes with kTimeout, and the GPU is then `hung` until it
///    does come back. Its effect may still happen.
/// 2. Operations on one GPU take effect one after the other; GPUs do not wait for each other.
/// 3. observe() never blocks, and includes the effect of every completion that poll() returned.
/// 4. An instance that a process holds is never destroyed, and the MIG mode of a GPU that is in use
///    never changes: the operation completes with kInUse.
/// 5. Instances are made exactly where the operation says. UUIDs are new with every creation.
///
/// Threads: one Driver belongs to one thread. What it drives outlives it: instances and running
/// calls of an earlier Driver of this machine are found by the next one.
namespace tessera::device {

using base::Duration;
using base::Instant;
using base::MiB;
using fleet::LeaseId;

enum class ErrorCode : std::uint8_t {
  kInUse,             ///< a process (or another client) holds it
  kNoRoom,            ///< the placement, or the resources it needs, are taken
  kInvalidPlacement,  ///< this GPU does not offer that profile there
  kNotPermitted,      ///< the agent's user may not do this
  kWrongOrder,        ///< an instance with MIG mode off; a mode change with instances
  kNotFound,          ///< no such GPU, instance or process
  kNotSupported,      ///< this GPU or driver cannot do this at all
  kGpuLost,           ///< fallen off the bus
  kTimeout,           ///< the call did not come back in time
  kOverloaded,        ///< too many operations in flight; submit again later
  kUnknown,           ///< the vendor's catch-all
};
std::string_view to_string(ErrorCode code);

struct Error {
  ErrorCode code = ErrorCode::kUnknown;
  std::string detail;  ///< one sentence for people
};

using GpuNumber = std::uint16_t;  ///< as the driver enumerates

struct SetMigMode {
  GpuNumber gpu = 0;
  bool enabled = false;
  friend auto operator<=>(const SetMigMode&, const SetMigMode&) = default;
};
/// Makes the GPU instance and the one compute instance that fills it.
struct CreateInstance {
  GpuNumber gpu = 0;
  InstanceSpec spec;
  friend auto operator<=>(const CreateInstance&, const CreateInstance&) = default;
};
/// By UUID, so that a stale wish never hits an instance made since.
struct DestroyInstance {
  GpuNumber gpu = 0;
  std::string device;
  friend auto operator<=>(const DestroyInstance&, const DestroyInstance&) = default;
};
/// Ends what still runs on `device` (an instance's or the GPU's UUID), as far as the driver may,
/// and verifies that nothing holds it and that its memory reads as free; kInUse otherwise. With a
/// tenant only that lease's processes are meant, as on a GPU that several leases share.
struct Scrub {
  GpuNumber gpu = 0;
  std::string device;
  LeaseId tenant;
  friend auto operator<=>(const Scrub&, const Scrub&) = default;
};
/// Samples use of the GPU, of its instances and of the leases that share it, in one call. What is
/// there, and its memory, may be taken from an observation that is recent.
struct ReadUse {
  GpuNumber gpu = 0;
  friend auto operator<=>(const ReadUse&, const ReadUse&) = default;
};

using Operation = std::variant<SetMigMode, CreateInstance, DestroyInstance, Scrub, ReadUse>;
GpuNumber gpu_of(const Operation& operation);

/// Order is the order of Operation's alternatives.
enum class OperationKind : std::uint8_t { kSetMigMode, kCreate, kDestroy, kScrub, kReadUse };
inline OperationKind kind_of(const Operation& operation) {
  return static_cast<OperationKind>(operation.index());
}
/// "create instance", "MIG mode on": for messages.
std::string describe(const Operation& operation);

using OperationId = std::uint64_t;  ///< unique within one Driver; 0 is never used

/// How much of a device was used since the ReadUse before it.
struct UseSample {
  std::string device;                ///< an instance's UUID, or the GPU's
  std::optional<int> busy_permille;  ///< over `span`; none where the hardware measures nothing
  MiB memory;                        ///< at the end of it
  Instant at{};                      ///< when that was
  /// The time it speaks for, by a clock that nobody sets; 0 the first time. Time that nothing was
  /// measured for is in no span: spans of one device never overlap.
  Duration span{};
  LeaseId tenant;  ///< the part of it that is this lease's, where several share the device
  std::optional<int> sm_permille, tensor_permille, dram_permille;  ///< where GPM says so
};

/// What there is of a whole GPU only, instances or not.
struct GpuReading {
  std::optional<std::int64_t> milliwatts;
  std::optional<std::int64_t> millijoules;  ///< since the driver was loaded
  std::optional<int> celsius;
  friend bool operator==(const GpuReading&, const GpuReading&) = default;
};

struct Completion {
  OperationId id = 0;
  std::optional<Error> error;      ///< absent: done
  std::string device;              ///< CreateInstance: the new instance's UUID
  std::vector<UseSample> samples;  ///< ReadUse
  GpuReading reading{};            ///< ReadUse
};

/// A process on a GPU. The driver maps it to its lease where it can (cgroup); none where not.
struct Process {
  std::uint32_t pid = 0;
  std::string device;  ///< the instance's UUID, or the GPU's
  MiB memory;
  LeaseId tenant;
};

struct InstanceState {
  InstanceSpec spec;
  std::uint32_t driver_id = 0;  ///< GPU instance id: reused, identifies nothing over time
  std::string device;           ///< UUID
  MiB memory_used;              ///< above what an empty instance shows
  bool foreign = false;         ///< made by somebody else: a DestroyInstance is refused
};

enum class Condition : std::uint8_t {
  kAnswering,
  kHung,  ///< a call has not come back; the rest of the state is as last read
  kLost,  ///< fallen off the bus; nothing else is known but number and UUID
};
std::string_view to_string(Condition condition);

struct GpuState {
  GpuNumber number = 0;
  std::string uuid;
  std::uint32_t pci_id = 0;  ///< device and vendor id as NVML reports it: 0x233010DE
  Condition condition = Condition::kAnswering;
  std::vector<int> xids;  ///< error codes seen since the last boot or reset, oldest first, bounded
  bool mig_current = false;
  bool mig_pending = false;              ///< differs from current where a reset is awaited
  MiB memory_used;                       ///< of the undivided GPU
  std::vector<InstanceState> instances;  ///< by rising start
  std::vector<Process> processes;        ///< on the GPU and on its instances, by rising pid

  bool held(std::string_view device) const;
  /// Whether any process at all runs here.
  bool in_use() const { return !processes.empty(); }
};

struct Observation {
  std::string boot;            ///< changes with every boot of the machine
  std::vector<GpuState> gpus;  ///< by rising number

  const GpuState* find(GpuNumber number) const;
};

struct Capabilities {
  std::vector<catalog::Technology> technologies;  ///< what slices it can serve, rising
  bool use_samples = false;
  std::size_t max_in_flight = 0;  ///< operations accepted before kOverloaded

  bool supports(catalog::Technology technology) const;
};

class Driver {
 public:
  virtual ~Driver() = default;

  virtual Capabilities capabilities() const = 0;
  /// Errors: kOverloaded, kNotFound (no such GPU). All others come with the completion.
  virtual std::expected<OperationId, Error> submit(Operation operation) = 0;
  /// What has ended since the last call, in order of ending.
  virtual std::vector<Completion> poll() = 0;
  virtual Observation observe() = 0;
  /// When the next completion is known to be due, so that a virtual clock can jump there. Absent:
  /// none in flight, or unknown; then poll now and then.
  virtual std::optional<Instant> next_completion() const { return std::nullopt; }
};

}  // namespace tessera::device
