#pragma once

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
/// Owns the socket and its file. One thread at a time; no call blocks.
namespace tessera::device::sharing {

class Door {
 public:
  /// Replaces a socket that is left there. Errors: kUnavailable, with the reason.
  static base::Result<Door> open(const std::string& path, std::optional<gid_t> group = {});
  Door(Door&& other) noexcept;
  Door& operator=(Door&&) = delete;
  ~Door();

  /// What to poll for reading: the socket, then one file per program.
  void watch(std::vector<int>& files) const;
  /// To be called when one of them is readable: lets in one program; gives back the rows of those
  /// that have ended.
  void attend(TenantPages& pages, int file);
  std::size_t programs() const { return programs_.size(); }
  bool has_let_in(std::uint32_t pid) const;
  std::vector<std::uint32_t> pids() const;

 private:
  struct Program {
    int file;  ///< a pidfd: readable once the process has ended
    unsigned row;
    std::uint32_t pid;
  };

  Door(std::string path, int socket) : path_(std::move(path)), socket_(socket) {}
  void let_in(TenantPages& pages);
  void let_out_the_ended(TenantPages& pages);
  bool is_welcome(uid_t user);

  std::string path_;
  int socket_;
  std::optional<uid_t> user_;  ///< whose programs these are; root's and the node's own aside
  std::vector<Program> programs_;
};

}  // namespace tessera::device::sharing
