#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

#include "control/plan_draft.h"
#include "planning/solver.h"
#include "service/engine.h"

namespace tessera::service {

/// Computes plans beside the engine: the problem is drafted from the durable state under its read
/// lock, and solved afterwards while everything else goes on. One at a time, because a plan takes
/// a processor for as long as it may.
///
/// Threads: order() from any; the answer comes on the desk's own thread. The engine must outlive
/// the desk.
class PlanDesk {
 public:
  using Answer = std::function<void(base::Result<control::Plan>)>;

  PlanDesk(const Engine& engine, planning::SolverFactory solver);
  ~PlanDesk();
  PlanDesk(const PlanDesk&) = delete;
  PlanDesk& operator=(const PlanDesk&) = delete;

  /// Calls `answer` once, with the plan to be put, or an error: what draft_plan() says;
  /// kUnavailable while another plan is computed, or where there is no solver.
  void order(control::PlanWish wish, base::Duration time_limit, Answer answer);

  /// Gives up what is being computed and refuses what comes after. Idempotent.
  void stop();

 private:
  struct Order {
    control::PlanWish wish;
    base::Duration time_limit{};
    Answer answer;
  };

  void run();
  base::Result<control::Plan> compute(const Order& order);

  const Engine& engine_;
  const planning::SolverFactory solver_;
  std::atomic<bool> stopping_ = false;
  std::mutex mutex_;
  std::condition_variable ordered_;
  std::optional<Order> waiting_;  ///< not yet taken up
  bool busy_ = false;             ///< an order waits or is being computed
  std::thread thread_;
};

}  // namespace tessera::service
