#pragma once

#include "control/state.h"

namespace tessera::control {

/// What events do to slices: the part that leases and plans share when they are applied. Borrows
/// the state for the time of one event.
class SliceChanges {
 public:
  explicit SliceChanges(State& state) : s_(state) {}

  /// The slice must be there (CHECK).
  fleet::Slice& at(GpuIndex gpu, std::uint64_t generation);
  void erase(GpuIndex gpu, std::uint64_t generation);
  /// Adds a granted slice; an idle instance of the same shape goes over into it.
  void add(const request::LeasedSlice& leased, LeaseId lease);
  /// Nobody may use it any more; one that failed stays failed. Does nothing once it is gone.
  void scrub(const request::LeasedSlice& leased);
  /// Counts what the lease takes of its nodes' hosts, or no longer takes.
  void change_host_use(const request::Lease& lease, std::int64_t sign);
  /// Tells the index that a GPU has changed.
  void refresh(GpuIndex gpu);

 private:
  State& s_;
};

}  // namespace tessera::control
