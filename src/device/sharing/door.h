#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "base/result.h"
#include "device/sharing/tenant_pages.h"

/// Where the programs of one tenant come for their limits and accounts: a socket in the file
/// system. Whoever connects is given a row of the accounts, under the process number that the
/// kernel vouches for, and loses it when that process ends.
///
/// The socket is for its owner and root; with a group, for its members as well. The first of them
/// who comes has the tenant to himself from then on: who else comes is told so, and gets nothing.
///
/// What one tenant does at its door costs the others little:
/// 1. One connection is taken with each attend(); the rest wait their turn in the kernel.
/// 2. Who does not read what he was given holds up those behind him, once kMostUnread have not.
/// 3. A door that cannot take a connection, or has no row left to give, rests for kRest.
/// 4. It holds at most limit_programs() + kMostUnread + 1 files.
///
/// Owns the socket and its file. One thread at a time; no call blocks.
namespace tessera::device::sharing {

class Door {
 public:
  using Time = std::chrono::steady_clock::time_point;
  static constexpr std::size_t kMostUnread = 16;
  static constexpr std::chrono::milliseconds kRest{100};
  static constexpr std::chrono::milliseconds kUnreadLook{20};

  /// Replaces a socket that is left there. `user`: whose programs these are already. Errors:
  /// kUnavailable, with the reason.
  static base::Result<Door> open(const std::string& path, std::optional<gid_t> group = {},
                                 std::optional<uid_t> user = {});
  Door(Door&& other) noexcept;
  Door& operator=(Door&&) = delete;
  ~Door();

  /// From now on; programs that are in stay. At most guard::kMostProcesses.
  void limit_programs(std::size_t most) { most_programs_ = most; }

  /// What to poll for reading: one file per program, and the socket unless the door rests.
  void watch(std::vector<int>& files, Time now) const;
  /// When it wants to be attended although nothing is readable: it rests until then.
  std::optional<Time> rests_until(Time now) const;
  /// To be called when something is readable; does no harm at other times. Lets in one program, and
  /// gives back the rows of those that have ended. True where programs have come or gone.
  bool attend(TenantPages& pages, Time now);

  std::size_t programs() const { return programs_.size(); }
  bool has_let_in(std::uint32_t pid) const { return row_of(pid).has_value(); }
  std::optional<unsigned> row_of(std::uint32_t pid) const;
  /// By guard::identity_of().
  std::vector<std::uint64_t> identities() const;
  /// Whose programs these are; none before the first has come. Root's and the node's own come
  /// whoever it is.
  std::optional<uid_t> user() const { return user_; }
  /// Connections that were given no row, and tries to take one that failed.
  std::uint64_t refusals() const { return refusals_; }

 private:
  struct Program {
    int file;  ///< a pidfd: readable once the process has ended
    unsigned row;
    std::uint64_t identity;
  };

  Door(std::string path, int socket, std::optional<uid_t> user)
      : path_(std::move(path)), socket_(socket), user_(user) {}
  int take_connection(Time now);
  void let_in(TenantPages& pages, int connection, Time now);
  std::optional<unsigned> row_for(TenantPages& pages, int connection, std::uint32_t pid);
  bool let_out_the_ended(TenantPages& pages);
  void forget_the_read();
  void rest(Time now);
  bool is_welcome(uid_t user);

  std::string path_;
  int socket_;
  std::optional<uid_t> user_;
  std::vector<Program> programs_;
  std::vector<int> unread_;  ///< connections whose programs have not read their welcome yet
  std::size_t most_programs_ = guard::kMostProcesses;
  std::uint64_t refusals_ = 0;
  Time rest_ends_{};
};

}  // namespace tessera::device::sharing
