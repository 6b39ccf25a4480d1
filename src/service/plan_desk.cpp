#include "service/plan_desk.h"

#include <algorithm>
#include <utility>

namespace tessera::service {
namespace {

using Clock = std::chrono::steady_clock;

/// Patience until a point in time, or until the desk closes.
class Deadline final : public planning::Patience {
 public:
  Deadline(base::Duration limit, const std::atomic<bool>& stopping)
      : end_(Clock::now() + limit), stopping_(stopping) {}
  base::Duration left() const override {
    if (stopping_) return {};
    const auto left = std::chrono::duration_cast<base::Duration>(end_ - Clock::now());
    return std::max(left, base::Duration{});
  }

 private:
  Clock::time_point end_;
  const std::atomic<bool>& stopping_;
};

std::unexpected<base::Error> unavailable(const std::string& why) {
  return base::fail(base::Reason::kUnavailable, why, {}, "try again in a moment");
}

}  // namespace

PlanDesk::PlanDesk(const Engine& engine, planning::SolverFactory solver)
    : engine_(engine), solver_(std::move(solver)), thread_([this] { run(); }) {}

PlanDesk::~PlanDesk() {
  stop();
}

void PlanDesk::order(control::PlanWish wish, base::Duration time_limit, Answer answer) {
  std::string refusal;
  {
    const std::lock_guard lock(mutex_);
    if (!solver_)
      refusal = "this control plane has no solver to plan with";
    else if (stopping_)
      refusal = "the control plane is stopping";
    else if (busy_)
      refusal = "another plan is being computed";
    if (refusal.empty()) {
      busy_ = true;
      waiting_ = Order{std::move(wish), time_limit, std::move(answer)};
    }
  }
  if (refusal.empty())
    ordered_.notify_one();
  else
    answer(unavailable(refusal));
}

void PlanDesk::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  ordered_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void PlanDesk::run() {
  while (true) {
    Order order;
    {
      std::unique_lock lock(mutex_);
      ordered_.wait(lock, [this] { return waiting_ || stopping_; });
      if (!waiting_) return;
      order = std::move(*waiting_);
      waiting_.reset();
    }
    auto plan = compute(order);
    {
      const std::lock_guard lock(mutex_);
      busy_ = false;
    }
    order.answer(std::move(plan));
  }
}

base::Result<control::Plan> PlanDesk::compute(const Order& order) {
  const auto begun = Clock::now();
  auto draft = engine_.read(
      [&](const control::State& state) { return control::draft_plan(state, order.wish); });
  if (!draft) return std::unexpected(draft.error());
  const Deadline deadline(order.time_limit, stopping_);
  const auto solution = control::solve_draft(*draft, solver_, deadline);
  if (stopping_) return unavailable("the control plane is stopping");
  return control::finish_plan(*draft, solution,
                              std::chrono::duration_cast<base::Duration>(Clock::now() - begun));
}

}  // namespace tessera::service
