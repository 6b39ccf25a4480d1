#pragma once

#include <atomic>
#include <cstdint>

/// The memory that the processes of one tenant and the agent share, as plain records.
///
/// Two files in memory. The limits are written by the agent alone; what tenants are given is sealed
/// against writing. The accounts are written by the tenant's processes, so that whatever is in them
/// is believed about that tenant only, and never used as an index or a size unchecked.
///
/// Invariants
/// 1. What a tenant is charged on a GPU is the sum of its rows. There is no total beside them, so
///    a process that is killed between two writes leaves nothing that does not go with its row.
/// 2. A row is written by the process that its owner word names, or by whoever is clearing it.
/// 3. A free row (owner 0) is all zero but for the owner words of other rows.
///
/// A row's owner word: start time of the process in the kernel's ticks (40 bits), its pid (22),
/// state (2). The start time tells a process from a later one with the same number.
///
///        claim                    process is gone
///   free ------> live(process) ------------------> clearing(whoever clears) ---> free
///                                                      ^      | it is gone too
///                                                      +------+
namespace tessera::guard {

inline constexpr unsigned kMostGpus = 16;
inline constexpr unsigned kMostProcesses = 256;
inline constexpr std::uint64_t kLimitsMagic = 0x7e55'9a2d'11f1'0003;  // the end numbers the format
inline constexpr std::uint64_t kAccountsMagic = 0x7e55'9a2d'acc0'0002;
/// An agent that has not looked for so long is gone, and closes no gate. It looks every few
/// milliseconds while programs are there.
inline constexpr std::uint64_t kAgentGoneNs = 500'000'000;
inline constexpr std::uint64_t kNoLimit = ~std::uint64_t{0};

/// What a launch finds at the gate of its GPU.
enum Gate : std::uint32_t {
  kGateOpen = 0,     ///< nobody else is there: nothing waits, and what is done is not looked at
  kGateCounted = 1,  ///< nothing waits; what is done is told: for the latency-critical
  kGateBounded = 2,  ///< go on, with little work in flight, so that the gate can close soon
  kGateTight = 3,    ///< with very little: somebody latency-critical may come
  kGateClosed = 4,   ///< another tenant has its turn
};

struct GpuLimits {
  std::atomic<std::uint64_t> memory;  ///< bytes; kNoLimit
  std::atomic<std::uint32_t> gate;    ///< Gate; a futex
  std::uint32_t spare;
};

struct Limits {
  std::uint64_t magic;
  /// Pid of the agent, which then gives out and clears rows and moves the gates. 0: there is none,
  /// and programs do so for each other.
  std::uint64_t agent;
  std::atomic<std::uint64_t> compute_percent;  ///< without an agent: the most of the GPU's time
  std::atomic<std::uint64_t> looked_ns;        ///< when the agent last looked, on CLOCK_MONOTONIC
  GpuLimits gpu[kMostGpus];
};

/// Launches of one process on one GPU. Both counts only grow; while the gate is open, `issued` may
/// miss some and `retired` stays behind.
struct Progress {
  std::atomic<std::uint64_t> issued;
  std::atomic<std::uint64_t> retired;
  std::atomic<std::uint64_t> waiting;     ///< threads that stand at the closed gate
  std::atomic<std::uint64_t> violations;  ///< went through a closed gate after the longest wait
  /// When the work in flight is expected to be done, on CLOCK_MONOTONIC, as far as the process has
  /// looked.
  std::atomic<std::uint64_t> busy_until_ns;
};

struct Accounts {
  std::uint64_t magic;
  std::atomic<std::uint32_t> rows_used;  ///< rows from here on were never claimed
  std::uint32_t spare;
  std::atomic<std::uint64_t> gpu_key[kMostGpus];  ///< which GPU a slot is; 0: none yet
  std::atomic<std::uint64_t> owner[kMostProcesses];
  std::atomic<std::uint32_t> reserving[kMostProcesses];  ///< charges not yet allocated or undone
  std::atomic<std::uint64_t> charge[kMostGpus][kMostProcesses];  ///< bytes
  Progress progress[kMostProcesses][kMostGpus];
};

static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

/// What the agent answers to a connection, with both files as ancillary data, limits first. It
/// takes the row for the process that has connected, as the kernel names it.
struct Welcome {
  char greeting[8];
  std::uint32_t row;  ///< kMostProcesses: all are taken; kNotYours
};
inline constexpr std::uint32_t kNotYours =
    kMostProcesses + 1;  ///< another user's programs run here
inline constexpr char kGreeting[8] = {'t', 'e', 's', 's', 'e', 'r', 'a', '3'};

}  // namespace tessera::guard
