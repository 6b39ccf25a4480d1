#include "control/apply_plans.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>
#include <vector>

#include "base/check.h"

namespace tessera::control {

void PlanChanges::operator()(const PlanPut& event) {
  CHECK(event.plan->id == s_.next_plan_);
  s_.next_plan_ = event.plan->id.next();
  s_.plans_.emplace(event.plan->id, *event.plan);
  for (auto it = s_.plans_.begin(); s_.plans_.size() > kPlansKept && it != s_.plans_.end();)
    it = it->second.state == PlanState::kApplying || it->second.state == PlanState::kScheduled
             ? std::next(it)
             : s_.plans_.erase(it);
}

void PlanChanges::operator()(const PlanStarted& event) {
  CHECK(!s_.applying_.valid());
  auto& started = plan(event.plan);
  started.state = PlanState::kApplying;
  started.may_restart = event.may_restart;
  started.started = started.progressed = at_;
  if (at_ < started.opens) started.opens = started.closes = {};  // before its window: without one
  s_.applying_ = event.plan;
  const auto left_out = [&](GpuIndex gpu) {
    return std::ranges::binary_search(event.left_out, gpu);
  };
  for (const auto& planned : started.gpus)
    if (!left_out(planned.gpu)) mark(planned.gpu, true);
  for (auto& move : started.moves)
    if (left_out(move.from) || left_out(move.to)) move.phase = MovePhase::kSkipped;
}

void PlanChanges::operator()(const PlanScheduled& event) {
  auto& scheduled = plan(event.plan);
  scheduled.state = PlanState::kScheduled;
  scheduled.opens = event.opens;
  scheduled.closes = event.closes;
  scheduled.may_restart = event.may_restart;
}

void PlanChanges::operator()(const PlanCutShort& event) {
  auto& cut = plan(event.plan);
  cut.cut_short = true;
  skip_waiting(cut);
}

void PlanChanges::operator()(const PlanTurnedBack& event) {
  auto& turned = plan(event.plan);
  turned.turns = event.as;
  turned.reason = event.reason;
  turned.message = event.message;
  turned.progressed = at_;
  skip_waiting(turned);
}

void PlanChanges::skip_waiting(Plan& plan) {
  for (auto& move : plan.moves)
    if (move.phase == MovePhase::kWaiting && !homeless(plan, move))
      move.phase = MovePhase::kSkipped;
}

void PlanChanges::operator()(const PlanAdvanced& event) {
  progress(plan(event.plan));
  for (const auto gpu : event.released) mark(gpu, false);
}

void PlanChanges::operator()(const PlanEnded& event) {
  auto& ended = plan(event.plan);
  if (ended.state == PlanState::kApplying) {
    for (auto& move : ended.moves)
      if (homeless(ended, move)) move.phase = MovePhase::kSkipped;
    account();
    s_.applying_ = {};
    for (const auto& planned : ended.gpus) mark(planned.gpu, false);
  }
  ended.state = event.state;
  ended.reason = event.reason;
  ended.message = event.message;
  ended.ended = at_;
}

void PlanChanges::operator()(const LeaseMoving& event) {
  auto& moving = plan(event.plan);
  auto& move = moving.moves.at(event.move);
  auto& lease = s_.leases_.at(event.lease);
  CHECK(!lease.arriving);
  for (const auto& retired : event.retired) slices_.erase(retired.gpu, retired.generation);
  slices_.add(event.to, event.lease);
  slices_.refresh(event.to.gpu);
  lease.arriving = event.to;
  move.phase = MovePhase::kPreparing;
  move.old_generation = lease.slices.front().generation;
  progress(moving);
}

void PlanChanges::operator()(const LeaseMoved& event) {
  auto& lease = s_.leases_.at(event.lease);
  CHECK(lease.arriving.has_value());
  auto& move = preparing(event.lease);
  const auto old = lease.slices.front();
  slices_.change_host_use(lease, -1);
  lease.leaving.push_back(old);
  lease.slices.front() = *lease.arriving;
  lease.arriving.reset();
  lease.node = s_.fleet_.gpu(lease.slices.front().gpu).node;
  lease.moved = request::LastMove{at_, event.before, event.after};
  slices_.change_host_use(lease, 1);
  slices_.scrub(old);
  move.phase = MovePhase::kSwitched;
  progress(*applying());
}

void PlanChanges::operator()(const LeaseStays& event) {
  auto& lease = s_.leases_.at(event.lease);
  preparing(event.lease).phase = MovePhase::kGivenUp;
  give_up(lease);
  applying()->message = event.message;
}

void PlanChanges::freed(GpuIndex gpu, std::uint64_t generation, LeaseId holder) {
  const auto lease = s_.leases_.find(holder);
  if (lease != s_.leases_.end())
    std::erase_if(lease->second.leaving, [&](const request::LeasedSlice& left) {
      return left.gpu == gpu && left.generation == generation;
    });
  auto* current = applying();
  if (current == nullptr) return;
  for (auto& move : current->moves) {
    if (move.lease != holder || move.from != gpu || move.old_generation != generation) continue;
    if (move.phase != MovePhase::kSwitched) continue;
    move.phase = MovePhase::kDone;
    progress(*current);
  }
}

void PlanChanges::operator()(const RestartAnnounced& event) {
  auto& announcing = plan(event.plan);
  announcing.moves.at(event.move).not_before = event.not_before;
  announcing.progressed = std::max(announcing.progressed, event.not_before);
}

void PlanChanges::operator()(const RestartPlaced& event) {
  auto& placing = plan(event.plan);
  auto& move = placing.moves.at(event.move);
  move.to = event.gpu;
  move.to_instance = event.instance;
  move.anew = event.lease;
  move.phase = MovePhase::kPreparing;
  progress(placing);
  account();
}

void PlanChanges::operator()(const RestartLeft& event) {
  plan(event.plan).moves.at(event.move).phase = MovePhase::kSkipped;
  account();
}

void PlanChanges::ending(request::Lease& lease, const LeaseEnding& event) {
  if (lease.arriving) give_up(lease);
  auto* current = applying();
  if (current == nullptr) return;
  const bool preempted = event.reason == Reason::kPreempted && event.requeue;
  for (auto& move : current->moves) {
    const bool anew = move.kind == MoveKind::kStart && move.anew == lease.id;
    if ((move.lease != lease.id && !anew) || move.phase > MovePhase::kPreparing) continue;
    if (anew && event.requeue) {
      move.phase = MovePhase::kGivenUp;
      current->message = event.message;
    } else if (move.kind == MoveKind::kStop && preempted) {
      move.phase = MovePhase::kSwitched;
      move.old_generation = lease.slices.front().generation;
      progress(*current);
    } else if (anew || !homeless(*current, move)) {
      move.phase = MovePhase::kSkipped;
    }
  }
  account();
}

void PlanChanges::activated(LeaseId lease) {
  auto* current = applying();
  if (current == nullptr) return;
  for (auto& move : current->moves) {
    if (move.kind != MoveKind::kStart || move.anew != lease) continue;
    if (move.phase != MovePhase::kPreparing) continue;
    move.phase = MovePhase::kDone;
    progress(*current);
  }
}

void PlanChanges::waits_no_more(RequestId request) {
  auto* current = applying();
  if (current == nullptr) return;
  for (auto& move : current->moves)
    if (move.request == request && homeless(*current, move)) move.phase = MovePhase::kSkipped;
  account();
}

void PlanChanges::account() {
  std::set<LeaseId> owed;
  if (const auto* current = applying())
    for (const auto id : owed_by(*current)) owed.insert(id);
  if (owed == s_.owed_) return;
  std::vector<std::pair<const request::Lease*, State::LeaseFile>> changed;
  std::vector<LeaseId> either;
  std::ranges::set_symmetric_difference(owed, s_.owed_, std::back_inserter(either));
  for (const auto id : either)
    if (const auto* lease = s_.find(id)) changed.emplace_back(lease, s_.file_of(*lease));
  s_.owed_ = std::move(owed);
  for (const auto& [lease, before] : changed) s_.refile(*lease, before, s_.file_of(*lease));
}

void PlanChanges::give_up(request::Lease& lease) {
  CHECK(lease.arriving.has_value());
  slices_.scrub(*lease.arriving);
  lease.leaving.push_back(*lease.arriving);
  lease.arriving.reset();
}

Plan& PlanChanges::plan(PlanId id) {
  const auto found = s_.plans_.find(id);
  CHECK_MSG(found != s_.plans_.end(), std::to_string(id.value()));
  return found->second;
}

Plan* PlanChanges::applying() {
  return s_.applying_.valid() ? &plan(s_.applying_) : nullptr;
}

void PlanChanges::progress(Plan& plan) {
  plan.progressed = std::max(plan.progressed, at_);
}

PlannedMove& PlanChanges::preparing(LeaseId lease) {
  auto* current = applying();
  CHECK(current != nullptr);
  const auto found = std::ranges::find_if(current->moves, [&](const PlannedMove& move) {
    return move.lease == lease && move.phase == MovePhase::kPreparing;
  });
  CHECK_MSG(found != current->moves.end(), std::to_string(lease.value()));
  return *found;
}

void PlanChanges::mark(GpuIndex index, bool changing) {
  auto& gpu = s_.fleet_.gpu(index);
  if (!gpu.node.valid() || gpu.changing == changing) return;  // its node may be deleted by now
  gpu.changing = changing;
  slices_.refresh(index);
}

}  // namespace tessera::control
