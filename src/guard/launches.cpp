#include "guard/launches.h"

#include <algorithm>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include <linux/futex.h>
#include <sys/syscall.h>

#include "guard/memory.h"
#include "guard/pacer.h"

namespace tessera::guard {

std::atomic<const Lane*> lane = nullptr;

namespace {

constexpr std::uint64_t kClosedLookUs = 200;
/// Beyond what is in flight now, how long a process that waits says that it is busy.
constexpr std::uint64_t kBusyForNs = 2'000'000;
constexpr unsigned kMarks = 4;  // more than are ever unfinished: Pacer::kMostMarks

/// A batch of launches between two events. Unfinished ones are marks[first % kMarks] on.
struct Mark {
  cuda::Handle begin, end;
  std::uint64_t issued;  ///< launches of this process until its end
  unsigned launches;
};

/// What this process has launched on one GPU.
struct Work {
  Lane lane;  ///< its gate is nullptr before the first launch
  Mark marks[kMarks];
  unsigned first_mark = 0;
  unsigned mark_count = 0;
  bool batch_begun = false;
  unsigned launches_in_batch = 0;
  Pacer pacer;
};

pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
Work works[kMostGpus];  // by slot

class Locked {
 public:
  Locked() { pthread_mutex_lock(&lock); }
  Locked(const Locked&) = delete;
  Locked& operator=(const Locked&) = delete;
  ~Locked() { pthread_mutex_unlock(&lock); }
};

/// Our own calls must not spoil a capture that another thread has begun.
class RelaxedCapture {
 public:
  RelaxedCapture() { exchange(); }
  RelaxedCapture(const RelaxedCapture&) = delete;
  RelaxedCapture& operator=(const RelaxedCapture&) = delete;
  ~RelaxedCapture() { exchange(); }

 private:
  void exchange() {
    auto* call = real<cuda::Result(std::int32_t*)>(Symbol::cuThreadExchangeStreamCaptureMode);
    if (call != nullptr) call(&mode_);
  }
  std::int32_t mode_ = cuda::kCaptureRelaxed;
};

std::uint64_t now_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(now.tv_nsec);
}
double now_us() {
  return static_cast<double>(now_ns()) / 1'000;
}
void rest(std::uint64_t us) {
  const timespec pause{static_cast<time_t>(us / 1'000'000),
                       static_cast<long>(us % 1'000'000) * 1'000};
  nanosleep(&pause, nullptr);
}
void wait_for_change(const std::atomic<std::uint32_t>& word, std::uint32_t seen, std::uint64_t us) {
  const timespec patience{0, static_cast<long>(us) * 1'000};
  syscall(SYS_futex, &word, FUTEX_WAIT, seen, &patience, nullptr, 0);
}

unsigned percent() {
  const auto value = ledger()->limits()->compute_percent.load(std::memory_order_relaxed);
  return value >= 1 && value < 100 ? static_cast<unsigned>(value) : 100;
}

/// Records one of a mark's events, made in the current context if it is not of it.
bool record(cuda::Handle& event, cuda::Handle stream, const StreamCalls& calls) {
  using Create = cuda::Result(cuda::Handle*, unsigned);
  auto* call = real<cuda::Result(cuda::Handle, cuda::Handle)>(calls.record);
  if (event != nullptr && call(event, stream) == cuda::kSuccess) return true;
  if (event != nullptr) real<cuda::Result(cuda::Handle)>(Symbol::cuEventDestroy_v2)(event);
  event = nullptr;
  return real<Create>(Symbol::cuEventCreate)(&event, 0) == cuda::kSuccess &&
         call(event, stream) == cuda::kSuccess;
}

/// Says how long the launches that have not been seen to end will take, from now on.
void expect_end(const Work& work) {
  unsigned launches = work.launches_in_batch;
  for (unsigned i = 0; i < work.mark_count; ++i)
    launches += work.marks[(work.first_mark + i) % kMarks].launches;
  const auto now = now_ns();
  const auto expected = static_cast<std::uint64_t>(work.pacer.expected_us(launches) * 1'000);
  work.lane.progress->busy_until_ns = now + (launches == 0 ? 0 : std::max(expected, kBusyForNs));
}

/// Finished marks leave the ring, and are learned from.
void retire(Work& work) {
  auto& progress = *work.lane.progress;
  while (work.mark_count > 0) {
    auto& mark = work.marks[work.first_mark % kMarks];
    if (real<cuda::Result(cuda::Handle)>(Symbol::cuEventQuery)(mark.end) == cuda::kNotReady) return;
    float ms = 0;
    auto* elapsed =
        real<cuda::Result(float*, cuda::Handle, cuda::Handle)>(Symbol::cuEventElapsedTime);
    if (elapsed(&ms, mark.begin, mark.end) == cuda::kSuccess)
      work.pacer.learn(mark.launches, static_cast<double>(ms) * 1'000, percent(), now_us());
    if (progress.retired < mark.issued) progress.retired = mark.issued;
    ++work.first_mark;
    --work.mark_count;
    expect_end(work);
  }
}

void end_batch(Work& work, std::uint64_t issued, cuda::Handle stream, const StreamCalls& calls) {
  auto& mark = work.marks[(work.first_mark + work.mark_count) % kMarks];
  if (work.mark_count == kMarks - 1 || !record(mark.end, stream, calls)) return;
  mark.issued = issued;
  mark.launches = work.launches_in_batch;
  ++work.mark_count;
  work.batch_begun = false;
  work.launches_in_batch = 0;
}

bool may_go(const Work& work, std::uint32_t gate) {
  switch (gate) {
    case kGateOpen:
    case kGateCounted:
      return true;
    case kGateBounded:
      return work.mark_count <= Pacer::kMostMarks;
    case kGateTight:
      return work.mark_count == 0;
    default:  // closed, or nothing that an agent of this version writes: bounded by the longest
              // wait
      return false;
  }
}

/// Killed, or stopped: nobody would open a gate that it has closed.
bool agent_is_gone() {
  const auto& limits = *ledger()->limits();
  if (limits.agent == 0) return false;
  const auto looked = limits.looked_ns.load(std::memory_order_relaxed);
  const auto now = now_ns();
  return now > looked && now - looked > kAgentGoneNs;
}

/// Waits until few enough batches are unfinished, and the gate is not closed.
void wait_for_turn(Work& work) {
  const auto& here = work.lane;
  const auto begin = now_ns();
  bool queued = false;
  for (;;) {
    std::uint64_t look_us = 0;
    {
      const Locked locked;
      const RelaxedCapture relaxed;
      retire(work);
      const auto gate = here.gate->load();
      if (may_go(work, gate) || (gate == kGateClosed && agent_is_gone())) break;
      if (gate == kGateClosed && !queued) {
        here.progress->waiting.fetch_add(1);
        queued = true;
      }
      if (work.mark_count > 0) expect_end(work);
      look_us = work.pacer.look_us();
    }
    if (now_ns() - begin > kLongestWaitUs * 1'000) {
      here.progress->violations.fetch_add(1);
      break;
    }
    if (here.gate->load() == kGateClosed)
      wait_for_change(*here.gate, kGateClosed, kClosedLookUs);
    else
      rest(look_us);
  }
  if (queued) here.progress->waiting.fetch_sub(1);
}

bool is_captured(cuda::Handle stream, const StreamCalls& calls) {
  std::int32_t status = 0;
  auto* call = real<cuda::Result(cuda::Handle, std::int32_t*)>(calls.is_capturing);
  return call == nullptr || call(stream, &status) != cuda::kSuccess || status != 0;
}

bool sees_one_gpu() {
  int count = 0;
  auto* call = real<cuda::Result(int*)>(Symbol::cuDeviceGetCount);
  return call != nullptr && call(&count) == cuda::kSuccess && count == 1;
}

/// Of the GPU of the current context. Where the program sees others as well, no launch takes the
/// short way, which knows of one GPU only.
Work* find_work() {
  if (const auto* here = lane.load(); here != nullptr) return &works[here->slot];
  Place place;
  if (!find_place(place)) return nullptr;
  const Locked locked;
  auto& work = works[place.slot];
  if (work.lane.gate == nullptr) {
    auto& progress = place.ledger->accounts()->progress[place.ledger->row()][place.slot];
    work.lane = {&place.ledger->limits()->gpu[place.slot].gate, &progress, place.slot};
    // Other threads read it as soon as the pointer is there.
    if (sees_one_gpu()) lane = &work.lane;
  }
  return &work;
}

}  // namespace

void wait_at_gate(cuda::Handle stream, const StreamCalls& calls) {
  auto* const work = find_work();
  if (work == nullptr) return;
  const auto& here = work->lane;
  auto& issued = here.progress->issued;
  const auto gate = here.gate->load();
  if (gate == kGateOpen || is_captured(stream, calls)) {
    issued.fetch_add(1);
    return;
  }
  std::uint64_t due = 0;
  {
    const Locked locked;
    const RelaxedCapture relaxed;
    const auto budget = gate == kGateTight ? Pacer::kTightBatchUs : Pacer::kBatchUs;
    if (work->batch_begun && work->launches_in_batch >= work->pacer.batch(budget))
      end_batch(*work, issued, stream, calls);
  }
  wait_for_turn(*work);
  {
    const Locked locked;
    due = work->pacer.rest_us(now_us());
  }
  if (due > 0) rest(due);
  const Locked locked;
  const RelaxedCapture relaxed;
  if (!work->batch_begun)
    work->batch_begun =
        record(work->marks[(work->first_mark + work->mark_count) % kMarks].begin, stream, calls);
  ++work->launches_in_batch;
  issued.fetch_add(1);
  expect_end(*work);
}

Synchronized before_sync(cuda::Handle stream, const StreamCalls& calls) {
  auto* const work = find_work();
  if (work == nullptr) return {};
  const auto& here = work->lane;
  const Synchronized about{here.slot, here.progress->issued.load()};
  if (here.gate->load() == kGateOpen || is_captured(stream, calls)) return about;
  const Locked locked;
  const RelaxedCapture relaxed;
  if (work->batch_begun && work->launches_in_batch > 0)
    end_batch(*work, about.issued, stream, calls);
  return about;
}

Synchronized before_sync_of(cuda::Handle context) {
  cuda::Handle current = nullptr;
  auto* get = real<cuda::Result(cuda::Handle*)>(Symbol::cuCtxGetCurrent);
  if (get == nullptr || get(&current) != cuda::kSuccess || current != context) return {};
  return before_sync(nullptr, kLegacy);
}

void after_sync(const Synchronized& about) {
  if (about.slot < kMostGpus) {
    auto& work = works[about.slot];
    auto& progress = *work.lane.progress;
    if (work.lane.gate->load() != kGateOpen) {
      const Locked locked;
      const RelaxedCapture relaxed;
      retire(work);
    }
    if (progress.issued == about.issued) progress.busy_until_ns = 0;
    auto now = progress.retired.load();
    while (now < about.issued && !progress.retired.compare_exchange_weak(now, about.issued)) {
    }
  }
  reconcile_pools();
}

void forget_launches() {
  pthread_mutex_t fresh = PTHREAD_MUTEX_INITIALIZER;
  lock = fresh;
  lane = nullptr;
  for (auto& work : works) work = {};
}

}  // namespace tessera::guard
