#pragma once

#include <cstdint>
#include <span>

#include "base/result.h"
#include "guard/region.h"

/// The memory that one tenant's programs share with the node: its limits, which they can read, and
/// its accounts, which they write. Two files in memory that have no name; who is handed their
/// descriptors can map them, and nobody can make them shorter under us.
///
/// Owns both files and mappings. What programs write is read as hints about that tenant alone.
/// Threads: any, the records are atomic.
namespace tessera::device::sharing {

/// One GPU of a tenant.
struct GpuShare {
  std::uint64_t key = 0;                         ///< guard::key_of_uuid() of its UUID
  std::uint64_t memory_bytes = guard::kNoLimit;  ///< over all programs of the tenant
};

class TenantPages {
 public:
  /// The GPUs get the slots 0, 1, … in this order; any other GPU allows no memory. Errors:
  /// kInvalidDocument for more than guard::kMostGpus; kUnavailable where the kernel refuses.
  static base::Result<TenantPages> make(std::span<const GpuShare> gpus);
  TenantPages(TenantPages&& other) noexcept;
  TenantPages& operator=(TenantPages&&) = delete;
  ~TenantPages();

  /// From now on. What is in use beyond it stays; nothing more is given out until it fits again.
  void limit_memory(unsigned slot, std::uint64_t bytes) { limits_->gpu[slot].memory = bytes; }
  /// Wakes whoever waits at the gate when it changes.
  void set_gate(unsigned slot, guard::Gate gate);

  /// The node still looks after the gates. `now` is CLOCK_MONOTONIC.
  void note_look(std::uint64_t now_ns) { limits_->looked_ns = now_ns; }

  const guard::Limits& limits() const { return *limits_; }
  guard::Accounts& accounts() const { return *accounts_; }
  /// For handing them over: limits, accounts.
  int limits_file() const { return limits_file_; }
  int accounts_file() const { return accounts_file_; }

 private:
  TenantPages() = default;

  int limits_file_ = -1, accounts_file_ = -1;
  guard::Limits* limits_ = nullptr;
  guard::Accounts* accounts_ = nullptr;
};

}  // namespace tessera::device::sharing
