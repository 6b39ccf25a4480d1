#pragma once

#include <atomic>

#include "guard/driver.h"
#include "guard/region.h"

/// The gate before every launch.
///
///   open             one load and one count
///   counted          events mark batches, so that others can tell when this tenant is done
///   bounded, tight   a launch waits as well while too many batches are unfinished
///   closed           waits for its turn
///
/// No wait lasts longer than kLongestWaitUs: then the launch goes on and is counted as a violation.
/// Where the agent is gone a closed gate is passed at once.
/// A stream that is being captured never waits. A process that uses several GPUs waits at the gate
/// of the one that it launches on; that they open and close together is the agent's to see to.
namespace tessera::guard {

inline constexpr std::uint64_t kLongestWaitUs = 2'000'000;

/// A GPU that this process launches on.
struct Lane {
  const std::atomic<std::uint32_t>* gate = nullptr;
  Progress* progress = nullptr;
  unsigned slot = 0;
};
/// Of the one GPU that this process sees; nullptr before its first launch, and where it sees
/// several.
extern std::atomic<const Lane*> lane;

/// Forms of the calls that belong to a form of a launch.
struct StreamCalls {
  Symbol is_capturing, record;
};
inline constexpr StreamCalls kLegacy{Symbol::cuStreamIsCapturing, Symbol::cuEventRecord};
inline constexpr StreamCalls kPerThread{Symbol::cuStreamIsCapturing_ptsz,
                                        Symbol::cuEventRecord_ptsz};

void wait_at_gate(cuda::Handle stream, const StreamCalls& calls);
inline void before_launch(cuda::Handle stream, const StreamCalls& calls) {
  const auto* here = lane.load(std::memory_order_relaxed);
  if (here != nullptr) [[likely]] {
    if (here->gate->load(std::memory_order_relaxed) == kGateOpen) [[likely]] {
      // Two threads may count as one: it only matters that something is launched.
      auto& issued = here->progress->issued;
      issued.store(issued.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
      return;
    }
  }
  wait_at_gate(stream, calls);
}

/// Around a call that waits for the GPU: what was issued before it has been done after it.
struct Synchronized {
  unsigned slot = kMostGpus;  ///< kMostGpus: of no GPU that is known
  std::uint64_t issued = 0;
};
Synchronized before_sync(cuda::Handle stream, const StreamCalls& calls);
/// Of all streams of a context; nothing is known of one that is not current.
Synchronized before_sync_of(cuda::Handle context);
void after_sync(const Synchronized& about);

}  // namespace tessera::guard
