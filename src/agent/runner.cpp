#include "agent/runner.h"

#include <algorithm>
#include <utility>

namespace tessera::agent {

using base::Duration;

Runner::Runner(Agent& agent, Transport& transport, const base::Clock& clock, RunnerOptions options)
    : agent_(&agent),
      transport_(&transport),
      clock_(&clock),
      options_(options),
      retry_(options.first_retry),
      thread_([this](const std::stop_token& stopping) { run(stopping); }) {}

Runner::~Runner() {
  stop();
}

void Runner::stop() {
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
}

std::optional<base::Error> Runner::trouble() const {
  const std::scoped_lock lock(mutex_);
  return trouble_;
}

void Runner::run(const std::stop_token& stopping) {
  while (!stopping.stop_requested()) {
    auto step = agent_->tick(clock_->now());
    if (step.report) {
      report_ = std::move(step.report);
      unsent_ = true;
    }
    const auto now = clock_->now();
    const Duration pause = std::max(step.wake - now, Duration(0));
    if (now < next_exchange_) {
      sleep(stopping, std::min(pause, next_exchange_ - now));
    } else if (!unsent_ && pause <= options_.spacing) {
      sleep(stopping, pause);  // an operation is about to end: its news goes with the next one
    } else {
      next_exchange_ = now + options_.spacing;
      exchange(std::min(pause, options_.longest_wait));
    }
  }
}

void Runner::exchange(Duration wait) {
  auto target = transport_->exchange(*report_, agent_->revision(), wait);
  unsent_ = !target.has_value();
  if (target) {
    agent_->on_target(*target);
    retry_ = options_.first_retry;
    introduce(target->process != report_->heard_process);
  } else {
    next_exchange_ = clock_->now() + retry_;
    retry_ = std::min(retry_ * 2, options_.longest_retry);
  }
  const std::scoped_lock lock(mutex_);
  trouble_ = target ? std::nullopt : std::optional(std::move(target).error());
}

/// What is said to a control plane before it has been heard from does not count: it is said again
/// at once, but not time after time.
void Runner::introduce(bool unknown) {
  if (unknown && !introduced_) next_exchange_ = clock_->now();
  introduced_ = unknown;
}

void Runner::sleep(const std::stop_token& stopping, Duration span) {
  std::unique_lock lock(mutex_);
  wake_.wait_for(lock, stopping, span, [] { return false; });
}

}  // namespace tessera::agent
