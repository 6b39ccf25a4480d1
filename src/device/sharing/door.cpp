#include "device/sharing/door.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <poll.h>
#include <unistd.h>
#include <utility>

#include <linux/sockios.h>
#include <sys/ioctl.h>
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

/// Of a process that is held on to by `process`, which is readable once it has ended.
bool is_over(int process) {
  pollfd one{process, POLLIN, 0};
  return poll(&one, 1, 0) == 1;
}

/// Whether everything that was sent has been read, or will never be.
bool is_read(int connection) {
  int left = 0;
  return ioctl(connection, SIOCOUTQ, &left) != 0 || left == 0;
}

/// A hold on the process that has connected; -1 where it has ended, or none is to be had. Its
/// number may be another's by now, so the socket is asked (Linux 6.5). On older kernels a number
/// is believed while the other end is open: it is closed when the process ends, unless a child of
/// it has it as well.
int hold_on(int connection, std::uint32_t pid) {
  constexpr int kPeerPidfd = 77;  // SO_PEERPIDFD, where headers have it
  int process = -1;
  socklen_t size = sizeof(process);
  if (getsockopt(connection, SOL_SOCKET, kPeerPidfd, &process, &size) == 0) return process;
  if (errno != ENOPROTOOPT) return -1;
  process = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  pollfd other_end{connection, 0, 0};
  if (process < 0 || poll(&other_end, 1, 0) == 0) return process;
  close(process);
  return -1;
}

}  // namespace

base::Result<Door> Door::open(const std::string& path, std::optional<gid_t> group,
                              std::optional<uid_t> user) {
  const auto made = listen_at(path, group);
  if (!made) return std::unexpected(made.error());
  return Door(path, *made, user);
}

Door::Door(Door&& other) noexcept
    : path_(std::move(other.path_)),
      socket_(std::exchange(other.socket_, -1)),
      user_(other.user_),
      programs_(std::exchange(other.programs_, {})),
      unread_(std::exchange(other.unread_, {})),
      most_programs_(other.most_programs_),
      refusals_(other.refusals_),
      rest_ends_(other.rest_ends_) {}

Door::~Door() {
  for (const auto& program : programs_) close(program.file);
  for (const int connection : unread_) close(connection);
  if (socket_ < 0) return;
  close(socket_);
  unlink(path_.c_str());
}

void Door::watch(std::vector<int>& files, Time now) const {
  if (now >= rest_ends_) files.push_back(socket_);
  for (const auto& program : programs_) files.push_back(program.file);
}

std::optional<Door::Time> Door::rests_until(Time now) const {
  if (now >= rest_ends_) return std::nullopt;
  return rest_ends_;
}

void Door::rest(Time now) {
  rest_ends_ = now + kRest;
  ++refusals_;
}

/// -1: there is none. One that cannot be taken stays readable: without a rest the door would be
/// attended again at once, and for ever.
int Door::take_connection(Time now) {
  const int connection = accept4(socket_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  const bool none =
      errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR || errno == ECONNABORTED;
  if (connection < 0 && !none) rest(now);
  return connection;
}

/// Nothing: it has ended, or cannot be looked at. kMostProcesses: there is none left for it.
std::optional<unsigned> Door::row_for(TenantPages& pages, int connection, std::uint32_t pid) {
  // First the hold on the process, then its row: so no row is taken for one that is gone.
  const int file = hold_on(connection, pid);
  if (file < 0) return std::nullopt;
  std::optional<unsigned> row;
  bool keeps = false;
  // Who has not ended by the time that it is known has this identity.
  if (const auto identity = guard::identity_of(pid); identity != 0 && !is_over(file)) {
    const bool known =
        std::ranges::find(programs_, identity, &Program::identity) != programs_.end();
    row = known || programs_.size() < most_programs_ ? guard::claim_row(pages.accounts(), identity)
                                                     : guard::kMostProcesses;
    keeps = *row < guard::kMostProcesses &&
            std::ranges::find(programs_, *row, &Program::row) == programs_.end();
    if (keeps) programs_.push_back({file, *row, identity});
  }
  if (!keeps) close(file);
  return row;
}

void Door::let_in(TenantPages& pages, int connection, Time now) {
  ucred peer{};
  socklen_t size = sizeof(peer);
  bool given = false;
  if (getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || peer.pid <= 0) {
    ++refusals_;
  } else if (!is_welcome(peer.uid)) {
    ++refusals_;
    turn_away(connection);
  } else if (const auto row = row_for(pages, connection, static_cast<std::uint32_t>(peer.pid))) {
    // To find that there is no row takes long: that is not done at the pace of those who come.
    if (*row >= guard::kMostProcesses) rest(now);
    given = welcome(connection, pages, *row);
  } else {
    ++refusals_;
  }
  if (given)
    unread_.push_back(connection);
  else
    close(connection);
}

bool Door::is_welcome(uid_t user) {
  if (user == 0 || user == geteuid()) return true;
  if (!user_) user_ = user;
  return user_ == user;
}

std::optional<unsigned> Door::row_of(std::uint32_t pid) const {
  const auto found = std::ranges::find_if(
      programs_, [pid](const Program& program) { return guard::pid_of(program.identity) == pid; });
  if (found == programs_.end()) return std::nullopt;
  return found->row;
}

std::vector<std::uint64_t> Door::identities() const {
  std::vector<std::uint64_t> all;
  for (const auto& program : programs_) all.push_back(program.identity);
  return all;
}

bool Door::let_out_the_ended(TenantPages& pages) {
  const auto left = std::erase_if(programs_, [&](const Program& program) {
    if (!is_over(program.file)) return false;
    guard::clear_row(pages.accounts(), program.row, true);
    close(program.file);
    return true;
  });
  return left > 0;
}

/// The files in a welcome that nobody reads count as this process's until then.
void Door::forget_the_read() {
  std::erase_if(unread_,
                [](int connection) { return is_read(connection) && close(connection) == 0; });
}

bool Door::attend(TenantPages& pages, Time now) {
  forget_the_read();
  if (unread_.size() >= kMostUnread) rest_ends_ = std::max(rest_ends_, now + kUnreadLook);
  const int connection = now >= rest_ends_ ? take_connection(now) : -1;
  // A number that is used again must not come to the row of the one who had it before: that is
  // cleared when he is found to have ended.
  const bool left = let_out_the_ended(pages);
  const auto there = programs_.size();
  if (connection >= 0) let_in(pages, connection, now);
  return left || programs_.size() != there;
}

}  // namespace tessera::device::sharing
