#include "virtual_time.h"

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>

namespace tessera::guard::test {

struct VirtualTime::Page {
  struct Member {
    bool takes_part = false;
    bool sleeps = false;
    bool at_futex = false;
    Nanoseconds wakes_at = 0;
    std::atomic<std::uint32_t> may_run = 0;
  };
  pthread_mutex_t lock;
  unsigned missing;  ///< have not joined yet
  Nanoseconds begin;
  std::atomic<Nanoseconds> now;
  Member members[kMost];
};

namespace {

using Page = VirtualTime::Page;
constexpr unsigned kNowhere = VirtualTime::kMost;
constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr time_t kLongestWait = 60;

thread_local Page* joined = nullptr;
thread_local unsigned own_place = kNowhere;

template <class Function>
Function* real(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}
long real_syscall(long number, const void* word, int operation, std::uint32_t value,
                  const timespec* patience) {
  static auto* const function = real<long(long, ...)>("syscall");
  return function(number, word, operation, value, patience, nullptr, 0);
}
int real_clock(clockid_t clock, timespec* now) {
  static auto* const function = real<int(clockid_t, timespec*)>("clock_gettime");
  return function(clock, now);
}

std::uint64_t nanoseconds(const timespec& time) {
  return static_cast<std::uint64_t>(time.tv_sec) * kSecond +
         static_cast<std::uint64_t>(time.tv_nsec);
}

/// With the lock: when nobody runs, the first of those that sleep does.
void hand_over(Page& page) {
  if (page.missing > 0) return;
  Page::Member* first = nullptr;
  for (auto& member : page.members) {
    if (!member.takes_part) continue;
    if (!member.sleeps) return;
    if (first == nullptr || member.wakes_at < first->wakes_at) first = &member;
  }
  if (first == nullptr) return;
  if (first->wakes_at > page.now) page.now = first->wakes_at;
  first->sleeps = false;
  first->may_run = 1;
  real_syscall(SYS_futex, &first->may_run, FUTEX_WAKE, 1, nullptr);
}

void sleep_until(std::uint64_t time, bool at_futex) {
  auto& own = joined->members[own_place];
  pthread_mutex_lock(&joined->lock);
  own.sleeps = true;
  own.at_futex = at_futex;
  own.wakes_at = time;
  hand_over(*joined);
  pthread_mutex_unlock(&joined->lock);
  const timespec patience{kLongestWait, 0};
  while (own.may_run.exchange(0) == 0) {
    if (real_syscall(SYS_futex, &own.may_run, FUTEX_WAIT, 0, &patience) == 0 || errno != ETIMEDOUT)
      continue;
    std::fprintf(stderr, "virtual time has stood still for a minute\n");
    std::abort();
  }
}

/// Whoever waits at any futex looks again: more often than needed does no harm.
void wake_futexes() {
  pthread_mutex_lock(&joined->lock);
  for (auto& member : joined->members)
    if (member.takes_part && member.sleeps && member.at_futex) member.wakes_at = joined->now;
  pthread_mutex_unlock(&joined->lock);
}

}  // namespace

VirtualTime::VirtualTime(unsigned members) {
  void* at = mmap(nullptr, sizeof(Page), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) std::abort();
  page_ = static_cast<Page*>(at);
  pthread_mutexattr_t kind;
  pthread_mutexattr_init(&kind);
  pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED);
  pthread_mutex_init(&page_->lock, &kind);
  pthread_mutexattr_destroy(&kind);
  timespec now{};
  real_clock(CLOCK_MONOTONIC, &now);
  page_->missing = members;
  // Later than anything that was measured before, so that time never seems to go back.
  page_->begin = nanoseconds(now) + 100 * kSecond;
  page_->now = page_->begin;
}

VirtualTime::~VirtualTime() {
  munmap(page_, sizeof(Page));
}

void VirtualTime::join(unsigned place) {
  joined = page_;
  own_place = place;
  pthread_mutex_lock(&page_->lock);
  page_->members[place].takes_part = true;
  --page_->missing;
  pthread_mutex_unlock(&page_->lock);
  sleep_until(page_->begin, false);
}

void VirtualTime::leave() {
  pthread_mutex_lock(&page_->lock);
  page_->members[own_place].takes_part = false;
  joined = nullptr;
  hand_over(*page_);
  pthread_mutex_unlock(&page_->lock);
}

VirtualTime::Nanoseconds VirtualTime::begin() const {
  return page_->begin;
}

unsigned VirtualTime::members() const {
  pthread_mutex_lock(&page_->lock);
  unsigned count = 0;
  for (const auto& member : page_->members) count += member.takes_part ? 1 : 0;
  pthread_mutex_unlock(&page_->lock);
  return count;
}

}  // namespace tessera::guard::test

using namespace tessera::guard::test;

extern "C" {

int clock_gettime(clockid_t clock, timespec* now) noexcept {
  if (joined == nullptr || clock != CLOCK_MONOTONIC) return real_clock(clock, now);
  const std::uint64_t time = joined->now;
  *now = {static_cast<time_t>(time / kSecond), static_cast<long>(time % kSecond)};
  return 0;
}

int nanosleep(const timespec* span, timespec* left) {
  static auto* const function = real<int(const timespec*, timespec*)>("nanosleep");
  if (joined == nullptr) return function(span, left);
  sleep_until(joined->now + nanoseconds(*span), false);
  return 0;
}

/// Its only callers here wait at futexes or wake those who do.
long syscall(long number, ...) noexcept {
  va_list rest;
  va_start(rest, number);
  long argument[6];
  for (auto& each : argument) each = va_arg(rest, long);
  va_end(rest);
  static auto* const function = real<long(long, ...)>("syscall");
  if (joined == nullptr || number != SYS_futex)
    return function(number, argument[0], argument[1], argument[2], argument[3], argument[4],
                    argument[5]);
  if (argument[1] == FUTEX_WAKE) {
    wake_futexes();
    return 0;
  }
  const auto* word = reinterpret_cast<const std::atomic<std::uint32_t>*>(argument[0]);
  const auto* patience = reinterpret_cast<const timespec*>(argument[3]);
  if (*word == static_cast<std::uint32_t>(argument[2]))
    sleep_until(joined->now + nanoseconds(*patience), true);
  return 0;
}

}  // extern "C"
