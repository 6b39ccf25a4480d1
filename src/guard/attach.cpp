#include "guard/attach.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <new>
#include <pthread.h>
#include <unistd.h>

#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>

#include "guard/memory.h"

namespace tessera::guard {
namespace {

Ledger own;
std::atomic<bool> has_row = false;
pthread_mutex_t claiming = PTHREAD_MUTEX_INITIALIZER;
char agent[sizeof(Settings::socket)];  ///< its socket; empty where there is none
bool given_up = false;                 ///< this forked child has asked the agent, and been refused

template <class Page>
Page* map(int file, int protection) {
  struct stat status {};
  if (fstat(file, &status) != 0 || status.st_size < static_cast<off_t>(sizeof(Page)))
    return nullptr;
  void* at = mmap(nullptr, sizeof(Page), protection, MAP_SHARED, file, 0);
  return at == MAP_FAILED ? nullptr : static_cast<Page*>(at);
}

template <class Page>
Page* map_private() {
  void* at = mmap(nullptr, sizeof(Page), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  return at == MAP_FAILED ? nullptr : static_cast<Page*>(at);
}

/// Receives the agent's welcome and two files, or its refusal and none; false where something else
/// came.
bool receive(int connection, Welcome& welcome, int (&files)[2]) {
  iovec part{&welcome, sizeof(welcome)};
  alignas(cmsghdr) char room[CMSG_SPACE(sizeof(files))];
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = room;
  message.msg_controllen = sizeof(room);
  if (recvmsg(connection, &message, MSG_CMSG_CLOEXEC) != sizeof(welcome) ||
      std::memcmp(welcome.greeting, kGreeting, sizeof(kGreeting)) != 0)
    return false;
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header == nullptr) return welcome.row == kNotYours;
  if (header->cmsg_type != SCM_RIGHTS || header->cmsg_len != CMSG_LEN(sizeof(files))) return false;
  std::memcpy(files, CMSG_DATA(header), sizeof(files));
  return true;
}

/// -1, after one line that says why, where nobody answers.
int connect_to_agent(const char* path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strcpy(address.sun_path, path);
  const int connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval patience{5, 0};
  setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
  if (connect(connection, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0)
    return connection;
  complain("no agent at %s (%s); nothing is allowed without it", path, std::strerror(errno));
  close(connection);
  return -1;
}

/// Gets limits, accounts and a row from the agent. A forked child gets all of them anew: the row is
/// one of the agent's that answers now, which need not be the one that its parent came to.
bool attach_to_agent(const char* path) {
  const int connection = connect_to_agent(path);
  if (connection < 0) return false;
  Welcome welcome{};
  int files[2] = {-1, -1};
  const bool welcomed = receive(connection, welcome, files);
  bool mapped = false;
  if (welcomed) {
    const auto* limits = map<Limits>(files[0], PROT_READ);
    auto* accounts = map<Accounts>(files[1], PROT_READ | PROT_WRITE);
    if (limits != nullptr && accounts != nullptr && limits->magic == kLimitsMagic &&
        accounts->magic == kAccountsMagic) {
      own = Ledger(accounts, limits);
      mapped = true;
    }
  }
  for (const int file : files)
    if (file >= 0) close(file);
  close(connection);
  if (welcomed && welcome.row == kNotYours) {
    complain("the programs at %s are another user's; nothing is allowed to yours", path);
    return false;
  }
  if (!mapped) {
    complain("what answers at %s is no agent of this version; nothing is allowed", path);
    return false;
  }
  if (own.adopt(welcome.row)) return true;
  complain("as many programs of this tenant run as may; nothing is allowed to one more");
  return false;
}

/// The file's accounts, made if it is new or empty; nullptr where it is something else.
Accounts* open_account(const char* path) {
  const int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (file < 0) return nullptr;
  Accounts* accounts = nullptr;
  struct stat status {};
  if (flock(file, LOCK_EX) == 0 && fstat(file, &status) == 0) {
    const bool fresh = status.st_size == 0;
    if (!fresh || ftruncate(file, sizeof(Accounts)) == 0)
      accounts = map<Accounts>(file, PROT_READ | PROT_WRITE);
    if (accounts != nullptr && fresh) accounts->magic = kAccountsMagic;
    // The mapping keeps the open file, and with it the lock, beyond its descriptor.
    flock(file, LOCK_UN);
  }
  close(file);
  if (accounts == nullptr || accounts->magic == kAccountsMagic) return accounts;
  munmap(accounts, sizeof(Accounts));
  return nullptr;
}

bool attach_alone(const Settings& settings) {
  auto* limits = map_private<Limits>();
  auto* accounts =
      settings.account[0] != '\0' ? open_account(settings.account) : map_private<Accounts>();
  if (limits == nullptr || accounts == nullptr) {
    complain("%s holds no accounts of this version and cannot be made; nothing is allowed",
             settings.account[0] != '\0' ? settings.account : "memory");
    return false;
  }
  if (settings.account[0] == '\0') accounts->magic = kAccountsMagic;
  limits->magic = kLimitsMagic;
  limits->compute_percent = settings.compute_percent;
  for (auto& gpu : limits->gpu) {
    gpu.memory = settings.memory;
    gpu.gate = settings.compute_percent < 100 ? kGateBounded : kGateOpen;
  }
  mprotect(limits, sizeof(Limits), PROT_READ);
  own = Ledger(accounts, limits);
  return true;
}

/// A child has none of its parent's memory on the GPU.
void begin_child() {
  pthread_mutex_t fresh = PTHREAD_MUTEX_INITIALIZER;
  claiming = fresh;
  has_row = false;
  given_up = false;
  forget_memory();
}

}  // namespace

bool attach(const Settings& settings) {
  std::strcpy(agent, settings.socket);
  if (agent[0] != '\0') {
    if (!attach_to_agent(agent)) return false;
    has_row = true;
  } else if (!attach_alone(settings)) {
    return false;
  }
  pthread_atfork(nullptr, nullptr, begin_child);
  if (ledger() != nullptr) return true;
  complain("%u programs share this account already; nothing is allowed to one more",
           kMostProcesses);
  return false;
}

Ledger* ledger() {
  if (has_row.load(std::memory_order_acquire)) [[likely]]
    return &own;
  pthread_mutex_lock(&claiming);
  bool claimed = has_row;
  if (!claimed && agent[0] == '\0') claimed = own.claim();
  if (!claimed && agent[0] != '\0' && !given_up) {
    claimed = attach_to_agent(agent);
    given_up = !claimed;
  }
  if (claimed) has_row.store(true, std::memory_order_release);
  pthread_mutex_unlock(&claiming);
  return claimed ? &own : nullptr;
}

}  // namespace tessera::guard
