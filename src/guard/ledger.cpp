#include "guard/ledger.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

namespace tessera::guard {
namespace {

constexpr std::uint64_t kFree = 0;
constexpr std::uint64_t kLive = 1;
constexpr std::uint64_t kClearing = 2;
constexpr std::uint64_t kStateMask = 3;
constexpr unsigned kPidBits = 22;  // the kernel's PID_MAX_LIMIT
constexpr int kMostLooks = 20;     // 50 us apart, before a race for the last bytes is given up

void nap() {
  const timespec pause{0, 50'000};
  nanosleep(&pause, nullptr);
}

enum class Sight { kThere, kEnded, kUnknown };

/// What cannot be looked at is not gone: files may have run out, or the kernel may hide the
/// processes of others.
Sight without_a_look(std::uint32_t pid) {
  const bool ended = pid == 0 || (kill(static_cast<pid_t>(pid), 0) != 0 && errno == ESRCH);
  return ended ? Sight::kEnded : Sight::kUnknown;
}

/// The text of /proc/PID/stat; its length, -1 where there is none to be had.
ssize_t read_stat(std::uint32_t pid, char* text, std::size_t room) {
  char path[32];
  std::snprintf(path, sizeof(path), "/proc/%u/stat", pid);
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return -1;
  const auto length = read(file, text, room);
  close(file);
  return length;
}

/// What is seen of a process now; its identity where it is there.
Sight look_at(std::uint32_t pid, std::uint64_t& identity) {
  char text[512];
  const auto length = read_stat(pid, text, sizeof(text) - 1);
  if (length <= 0) return without_a_look(pid);
  text[length] = '\0';
  // "PID (NAME) STATE …": the name may hold anything, so count from its closing bracket. The number
  // of threads is the 18th field after it, the start time the 20th.
  constexpr int kThreads = 18;
  constexpr int kStart = 20;
  const char* at = std::strrchr(text, ')');
  if (at == nullptr || at[1] == '\0') return Sight::kUnknown;
  const bool zombie = at[2] == 'Z' || at[2] == 'X';
  for (int field = 1; field <= kStart; ++field) {
    at = std::strchr(at + 1, ' ');
    if (at == nullptr) return Sight::kUnknown;
    // Where only the first thread has ended, the others go on with what the process has.
    if (field == kThreads && zombie && std::strtoull(at + 1, nullptr, 10) <= 1)
      return Sight::kEnded;
  }
  const std::uint64_t start = std::strtoull(at + 1, nullptr, 10) & ((1ULL << 40) - 1);
  identity = start << (kPidBits + 2) | std::uint64_t{pid} << 2;
  return Sight::kThere;
}

void empty_row(Accounts& accounts, unsigned row) {
  for (auto& slot : accounts.charge) slot[row] = 0;
  for (auto& progress : accounts.progress[row]) {
    progress.waiting = 0;
    progress.issued = 0;
    progress.retired = 0;
    progress.violations = 0;
    progress.busy_until_ns = 0;
  }
  accounts.reserving[row] = 0;
}

std::uint64_t add_up(std::uint64_t sum, std::uint64_t more) {
  return more > ~sum ? ~std::uint64_t{0} : sum + more;  // garbage in a row must not wrap around
}

}  // namespace

std::uint64_t identity_of(std::uint32_t pid) {
  std::uint64_t identity = 0;
  return look_at(pid, identity) == Sight::kThere ? identity : 0;
}

bool has_ended(std::uint64_t identity) {
  std::uint64_t now = 0;
  const auto sight = look_at(pid_of(identity), now);
  return sight == Sight::kEnded || (sight == Sight::kThere && now != (identity & ~kStateMask));
}

bool has_ended_by_number(std::uint32_t pid) {
  std::uint64_t identity = 0;
  return look_at(pid, identity) == Sight::kEnded;
}

std::uint32_t pid_of(std::uint64_t owner) {
  return static_cast<std::uint32_t>(owner >> 2 & ((1U << kPidBits) - 1));
}

bool is_live(std::uint64_t owner) {
  return (owner & kStateMask) == kLive;
}

unsigned rows_of(const Accounts& accounts) {
  const auto used = accounts.rows_used.load();
  return used < kMostProcesses ? used : kMostProcesses;
}

bool clear_row(Accounts& accounts, unsigned row, bool also_living) {
  auto owner = accounts.owner[row].load();
  if (owner == kFree) return false;
  const bool told = also_living && is_live(owner);
  if (!told && !has_ended(owner)) return false;
  const auto own = identity_of(static_cast<std::uint32_t>(getpid()));
  if (!accounts.owner[row].compare_exchange_strong(owner, own | kClearing)) return false;
  empty_row(accounts, row);
  accounts.owner[row] = kFree;
  return true;
}

unsigned clear_the_dead(Accounts& accounts) {
  unsigned cleared = 0;
  for (unsigned row = 0; row < rows_of(accounts); ++row)
    if (clear_row(accounts, row)) ++cleared;
  return cleared;
}

std::uint64_t charged(const Accounts& accounts, unsigned slot) {
  std::uint64_t sum = 0;
  const unsigned rows = rows_of(accounts);
  for (unsigned row = 0; row < rows; ++row) sum = add_up(sum, accounts.charge[slot][row]);
  return sum;
}

bool Ledger::adopt(unsigned row) {
  if (row >= rows_of(*accounts_)) return false;
  row_ = row;
  return true;
}

bool Ledger::claim() {
  const auto row = claim_row(*accounts_, identity_of(static_cast<std::uint32_t>(getpid())));
  if (row >= kMostProcesses) return false;
  row_ = row;
  return true;
}

unsigned claim_row(Accounts& accounts, std::uint64_t identity) {
  if (identity == 0) return kMostProcesses;
  const auto own = identity | kLive;
  const unsigned rows = rows_of(accounts);
  for (unsigned row = 0; row < rows; ++row)
    if (accounts.owner[row] == own) {
      empty_row(accounts, row);  // the program before an exec; the driver has freed its memory
      return row;
    }
  for (int look = 0; look < 2; ++look) {
    for (unsigned row = 0; row < kMostProcesses; ++row) {
      std::uint64_t free = kFree;
      if (!accounts.owner[row].compare_exchange_strong(free, own)) continue;
      auto used = accounts.rows_used.load();
      while (used < row + 1 && !accounts.rows_used.compare_exchange_weak(used, row + 1)) {
      }
      return row;
    }
    clear_the_dead(accounts);
  }
  return kMostProcesses;
}

unsigned Ledger::slot_of(std::uint64_t key) {
  for (unsigned slot = 0; slot < kMostGpus; ++slot) {
    std::uint64_t there = 0;
    if (accounts_->gpu_key[slot].compare_exchange_strong(there, key) || there == key) return slot;
  }
  return kMostGpus;
}

bool Ledger::someone_else_reserves() const {
  const unsigned rows = rows_of(*accounts_);
  for (unsigned row = 0; row < rows; ++row)
    if (accounts_->reserving[row] > (row == row_ ? 1U : 0U)) return true;
  return false;
}

bool Ledger::reserve(unsigned slot, std::uint64_t bytes) {
  const auto most = limit(slot);
  auto& mine = accounts_->charge[slot][row_];
  accounts_->reserving[row_].fetch_add(1);
  for (int look = 0; look < kMostLooks && bytes <= most; ++look) {
    mine.fetch_add(bytes);
    if (charged(*accounts_, slot) <= most) return true;
    mine.fetch_sub(bytes);
    if (limits_->agent == 0 && clear_the_dead(*accounts_) > 0) continue;
    if (!someone_else_reserves()) break;
    nap();
  }
  accounts_->reserving[row_].fetch_sub(1);
  return false;
}

void Ledger::settle(unsigned slot, std::uint64_t reserved, std::uint64_t taken) {
  if (taken < reserved)
    release(slot, reserved - taken);
  else if (taken > reserved)
    charge(slot, taken - reserved);
  accounts_->reserving[row_].fetch_sub(1);
}

void Ledger::charge(unsigned slot, std::uint64_t bytes) {
  accounts_->charge[slot][row_].fetch_add(bytes);
}

void Ledger::release(unsigned slot, std::uint64_t bytes) {
  auto& mine = accounts_->charge[slot][row_];
  auto now = mine.load();
  while (!mine.compare_exchange_weak(now, now < bytes ? 0 : now - bytes)) {
  }
}

std::uint64_t Ledger::own_charge(unsigned slot) const {
  return accounts_->charge[slot][row_].load();
}

}  // namespace tessera::guard
