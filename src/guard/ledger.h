#pragma once

#include <cstdint>

#include "guard/region.h"

/// Charging memory to a tenant: reserve, then allocate, then settle what was really taken.
///
/// A view on shared accounts; does not own them. Threads: all functions may be called by any thread
/// of any process of the tenant at once. Nobody takes a lock, so nobody can be killed holding one.
///
/// reserve() adds to the own row first and looks at the sum afterwards. Two that race for the
/// last bytes may so refuse each other, but never both get them; who sees somebody else still
/// reserving looks again, a bounded number of times, before it refuses.
namespace tessera::guard {

/// Identity of a process as the owner word has it, state bits 0; 0 where there is no such process,
/// or none that can be looked at.
std::uint64_t identity_of(std::uint32_t pid);
/// Whether the process of this identity or owner word has ended for certain. False where nobody can
/// look, as when a process has no file left to look with.
bool has_ended(std::uint64_t identity);
/// The same by its number alone, which may be another process's by now.
bool has_ended_by_number(std::uint32_t pid);
std::uint32_t pid_of(std::uint64_t owner);
bool is_live(std::uint64_t owner);

/// Clears the row's figures and frees it. False where its owner is not gone, or another clears.
/// With `also_living` the owner counts as gone: its program has ended, though its number may live.
bool clear_row(Accounts& accounts, unsigned row, bool also_living = false);
/// Clears all rows whose process is gone; how many.
unsigned clear_the_dead(Accounts& accounts);
/// What the tenant is charged on the GPU of this slot.
std::uint64_t charged(const Accounts& accounts, unsigned slot);
unsigned rows_of(const Accounts& accounts);
/// A row for the process of this identity; the one it had, emptied, after an exec. kMostProcesses:
/// all are taken, or the identity is 0.
unsigned claim_row(Accounts& accounts, std::uint64_t identity);

class Ledger {
 public:
  constexpr Ledger() = default;
  Ledger(Accounts* accounts, const Limits* limits) : accounts_(accounts), limits_(limits) {}

  /// Takes a row for this process, as claim_row(). False: there is none.
  bool claim();
  /// Uses the row that the agent has taken for this process. False: there is no such row.
  bool adopt(unsigned row);
  bool claimed() const { return row_ < kMostProcesses; }
  unsigned row() const { return row_; }
  /// Number of the slot of the GPU with this key (not 0); kMostGpus where all are taken.
  unsigned slot_of(std::uint64_t key);

  std::uint64_t limit(unsigned slot) const {
    return limits_->gpu[slot].memory.load(std::memory_order_relaxed);
  }
  /// Charges the bytes if the tenant then stays within its limit. On true one settle() must follow.
  bool reserve(unsigned slot, std::uint64_t bytes);
  /// Ends a reservation of `reserved` bytes of which `taken` are really in use.
  void settle(unsigned slot, std::uint64_t reserved, std::uint64_t taken);
  /// Charges what is in use already, whatever the limit.
  void charge(unsigned slot, std::uint64_t bytes);
  void release(unsigned slot, std::uint64_t bytes);
  std::uint64_t own_charge(unsigned slot) const;

  Accounts* accounts() const { return accounts_; }
  const Limits* limits() const { return limits_; }

 private:
  bool someone_else_reserves() const;

  Accounts* accounts_ = nullptr;
  const Limits* limits_ = nullptr;
  unsigned row_ = kMostProcesses;
};

}  // namespace tessera::guard
