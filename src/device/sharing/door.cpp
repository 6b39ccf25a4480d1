#include "device/sharing/door.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <poll.h>
#include <unistd.h>
#include <utility>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "guard/ledger.h"

namespace tessera::device::sharing {
namespace {

constexpr int kWaiting = 64;

base::Result<int> refuse(const std::string& path, const char* step) {
  return base::fail(base::Reason::kUnavailable, std::string(step) + ": " + std::strerror(errno),
                    path,
                    "name a path of at most 107 characters in a folder that can be written to");
}

/// Nobody can come before listen(): by then the socket is for those that it is meant for.
bool restrict(const std::string& path, std::optional<gid_t> group) {
  constexpr mode_t kOwner = S_IRUSR | S_IWUSR, kGroup = S_IRGRP | S_IWGRP;
  return (!group || chown(path.c_str(), static_cast<uid_t>(-1), *group) == 0) &&
         chmod(path.c_str(), group ? kOwner | kGroup : kOwner) == 0;
}

base::Result<int> listen_at(const std::string& path, std::optional<gid_t> group) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  errno = ENAMETOOLONG;
  if (path.size() >= sizeof(address.sun_path)) return refuse(path, "the socket's name");
  path.copy(address.sun_path, path.size());
  struct stat status {};
  if (lstat(path.c_str(), &status) == 0 && S_ISSOCK(status.st_mode)) unlink(path.c_str());
  const int made = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (made < 0) return refuse(path, "socket");
  if (bind(made, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) ==
          0 && restrict(path, group) &&
      listen(made, kWaiting) == 0)
    return made;
  const auto refused = refuse(path, "the socket");
  close(made);
  return refused;
}

guard::Welcome greeting_for(unsigned row) {
  guard::Welcome welcome{};
  std::memcpy(welcome.greeting, guard::kGreeting, sizeof(welcome.greeting));
  welcome.row = row;
  return welcome;
}

/// Where the program is gone already nothing is lost.
void turn_away(int connection) {
  const auto welcome = greeting_for(guard::kNotYours);
  [[maybe_unused]] const auto sent =
      send(connection, &welcome, sizeof(welcome), MSG_NOSIGNAL | MSG_DONTWAIT);
}

/// The greeting with both files; false where the program is gone already.
bool welcome(int connection, const TenantPages& pages, unsigned row) {
  auto welcome = greeting_for(row);
  const int files[2] = {pages.limits_file(), pages.accounts_file()};
  iovec part{&welcome, sizeof(welcome)};
  alignas(cmsghdr) char room[CMSG_SPACE(sizeof(files))]{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = room;
  message.msg_controllen = sizeof(room);
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(files));
  std::memcpy(CMSG_DATA(header), files, sizeof(files));
  return sendmsg(connection, &message, MSG_NOSIGNAL | MSG_DONTWAIT) == sizeof(welcome);
}

bool has_ended(int process) {
  pollfd one{process, POLLIN, 0};
  return poll(&one, 1, 0) == 1;
}

}  // namespace

base::Result<Door> Door::open(const std::string& path, std::optional<gid_t> group) {
  const auto made = listen_at(path, group);
  if (!made) return std::unexpected(made.error());
  return Door(path, *made);
}

Door::Door(Door&& other) noexcept
    : path_(std::move(other.path_)),
      socket_(std::exchange(other.socket_, -1)),
      user_(other.user_),
      programs_(std::exchange(other.programs_, {})) {}

Door::~Door() {
  for (const auto& program : programs_) close(program.file);
  if (socket_ < 0) return;
  close(socket_);
  unlink(path_.c_str());
}

void Door::watch(std::vector<int>& files) const {
  files.push_back(socket_);
  for (const auto& program : programs_) files.push_back(program.file);
}

void Door::let_in(TenantPages& pages) {
  const int connection = accept4(socket_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (connection < 0) return;
  ucred peer{};
  socklen_t size = sizeof(peer);
  const bool known_peer =
      getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.pid > 0;
  if (known_peer && !is_welcome(peer.uid)) {
    turn_away(connection);
  } else if (known_peer) {
    // A number that is used again must not come to the row of the one who had it before: that is
    // cleared when he is found to have ended.
    let_out_the_ended(pages);
    // First the hold on the process, then its row: so no row is taken for one that is gone.
    const auto file = static_cast<int>(syscall(SYS_pidfd_open, peer.pid, 0));
    const auto row = file < 0
                         ? guard::kMostProcesses
                         : guard::claim_row(pages.accounts(), static_cast<std::uint32_t>(peer.pid));
    const bool known = std::ranges::any_of(
        programs_, [row](const Program& program) { return program.row == row; });
    if (row < guard::kMostProcesses && !known)
      programs_.push_back({file, row, static_cast<std::uint32_t>(peer.pid)});
    else if (file >= 0)
      close(file);
    welcome(connection, pages, row);
  }
  close(connection);
}

bool Door::is_welcome(uid_t user) {
  if (user == 0 || user == geteuid()) return true;
  if (!user_) user_ = user;
  return user_ == user;
}

bool Door::has_let_in(std::uint32_t pid) const {
  return std::ranges::find(programs_, pid, &Program::pid) != programs_.end();
}

std::vector<std::uint32_t> Door::pids() const {
  std::vector<std::uint32_t> all;
  for (const auto& program : programs_) all.push_back(program.pid);
  return all;
}

void Door::let_out_the_ended(TenantPages& pages) {
  std::erase_if(programs_, [&](const Program& program) {
    if (!has_ended(program.file)) return false;
    guard::clear_row(pages.accounts(), program.row, true);
    close(program.file);
    return true;
  });
}

void Door::attend(TenantPages& pages, int file) {
  if (file == socket_)
    let_in(pages);
  else if (std::ranges::find(programs_, file, &Program::file) != programs_.end())
    let_out_the_ended(pages);
}

}  // namespace tessera::device::sharing
