#include "device/nvml/worker.h"

#include <utility>

namespace tessera::device::nvml {
namespace {

constexpr int kMostFailedLooks = 3;

}  // namespace

Worker::Worker(std::unique_ptr<Gpu> gpu, GpuState first, Duration call_timeout)
    : call_timeout_(call_timeout),
      inner_(std::make_shared<Inner>(std::move(gpu), std::move(first))),
      thread_([inner = inner_] { run(inner); }) {}

Worker::~Worker() {
  const std::scoped_lock lock(inner_->mutex);
  inner_->stopping = true;
  inner_->changed.notify_all();
}

void Worker::run(const std::shared_ptr<Inner>& inner) {
  std::unique_lock lock(inner->mutex);
  for (;;) {
    inner->changed.wait(lock, [&] {
      return inner->stopping || !inner->jobs.empty() || inner->asked > inner->looked;
    });
    if (inner->stopping) return;
    const auto answering = inner->asked;
    if (!inner->jobs.empty()) {
      inner->running = std::move(inner->jobs.front());
      inner->jobs.pop_front();
    }
    inner->calling_since = Clock::now();
    const auto running = inner->running;
    const GpuState last = inner->state;
    lock.unlock();
    Completion completion;
    if (running) {
      completion = inner->gpu->apply(running->operation);
      completion.id = running->id;
    }
    // What changes nothing need not be followed by a look: the last one still holds.
    GpuState state = running && !Gpu::changes(running->operation) ? last : look(*inner, last);
    lock.lock();
    inner->state = std::move(state);
    if (running && !inner->abandoned) inner->ended.push_back(std::move(completion));
    inner->running.reset();
    inner->calling_since.reset();
    inner->abandoned = false;
    inner->looked = answering;
    inner->changed.notify_all();
  }
}

/// A GPU that cannot be read keeps the state it was last seen in, unless it is lost.
GpuState Worker::look(Inner& inner, const GpuState& last) {
  auto read = inner.gpu->read();
  inner.failed_looks = read ? 0 : inner.failed_looks + 1;
  if (read) return std::move(*read);
  if (read.error().code == ErrorCode::kGpuLost) {
    GpuState lost;
    lost.number = last.number;
    lost.uuid = last.uuid;
    lost.condition = Condition::kLost;
    return lost;
  }
  GpuState stale = last;
  if (inner.failed_looks >= kMostFailedLooks) stale.condition = Condition::kHung;
  return stale;
}

void Worker::submit(OperationId id, const Operation& operation) {
  const std::scoped_lock lock(inner_->mutex);
  inner_->jobs.push_back({id, operation, Clock::now() + call_timeout_});
  inner_->changed.notify_all();
}

std::vector<Completion> Worker::collect() {
  const std::scoped_lock lock(inner_->mutex);
  const auto now = Clock::now();
  const auto time_out = [&](OperationId id) {
    inner_->ended.push_back(
        {id,
         Error{ErrorCode::kTimeout, "no answer within " + base::to_string(call_timeout_)},
         {},
         {}});
  };
  if (inner_->running && !inner_->abandoned && inner_->running->deadline <= now) {
    inner_->abandoned = true;
    time_out(inner_->running->id);
  }
  while (!inner_->jobs.empty() && inner_->jobs.front().deadline <= now) {
    time_out(inner_->jobs.front().id);
    inner_->jobs.pop_front();
  }
  return std::exchange(inner_->ended, {});
}

std::size_t Worker::in_flight() const {
  const std::scoped_lock lock(inner_->mutex);
  return inner_->jobs.size() + inner_->ended.size() + (inner_->running ? 1 : 0);
}

void Worker::ask() {
  const std::scoped_lock lock(inner_->mutex);
  if (inner_->calling_since) return;  // its answer will do, or it has none
  ++inner_->asked;
  inner_->changed.notify_all();
}

void Worker::wait_until(Clock::time_point until, Duration patience) {
  std::unique_lock lock(inner_->mutex);
  if (inner_->running || !inner_->jobs.empty()) return;
  if (inner_->calling_since && Clock::now() - *inner_->calling_since > patience) return;
  inner_->changed.wait_until(lock, until, [&] { return inner_->looked == inner_->asked; });
}

GpuState Worker::state() const {
  const std::scoped_lock lock(inner_->mutex);
  GpuState state = inner_->state;
  if (hung()) state.condition = Condition::kHung;
  return state;
}

bool Worker::hung() const {
  return inner_->abandoned ||
         (inner_->calling_since && Clock::now() - *inner_->calling_since >= call_timeout_);
}

}  // namespace tessera::device::nvml
