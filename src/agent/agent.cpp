#include "agent/agent.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "agent/pairing.h"

namespace tessera::agent {
namespace {

using base::Instant;
using fleet::GpuReport;
using fleet::Health;
using fleet::NodeReport;

/// The target means a GPU that is not there. Another one in its place is told, so that the control
/// plane can take it on; its slices are lost either way.
GpuReport report_absent(const Pair& pair) {
  GpuReport report;
  report.number = pair.number;
  report.health = Health::kQuarantined;
  report.uuid = pair.target->uuid;
  report.detail = "the GPU is not found on the machine";
  if (pair.stranger != nullptr) {
    report.uuid = pair.stranger->uuid;
    report.pci_id = pair.stranger->pci_id;
    report.detail = "GPU " + pair.target->uuid + " was replaced by " + pair.stranger->uuid;
  }
  report.slices = slices_of_lost(*pair.target, report.detail);
  return report;
}

}  // namespace

Agent::Agent(std::string node, device::Driver& driver,
             std::shared_ptr<const catalog::Catalog> catalog, AgentOptions options)
    : node_(std::move(node)), driver_(&driver), catalog_(std::move(catalog)), options_(options) {}

void Agent::on_target(const fleet::NodeTarget& target) {
  if (target.node != node_) return;
  heard_process_ = target.process;
  if (target.moment() < moment()) return;
  if (target.incarnation != moment().incarnation)
    for (auto& [uuid, worker] : workers_) worker.forget_generations();
  target_ = target;
}

Agent::Step Agent::tick(Instant now) {
  wake_ = now + options_.look_every;
  if (session_ == 0)
    session_ =
        static_cast<std::uint64_t>(std::max<std::int64_t>(now.time_since_epoch().count(), 1));
  hear_completions(now);
  const auto observation = driver_->observe();
  notice_boot(observation);
  Step step;
  holdings_.clear();
  step.report = report({.node = node_,
                        .boot = boot_,
                        .target_revision = moment().revision,
                        .gpus = work(observation, now),
                        .target_incarnation = moment().incarnation,
                        .highest_lease = highest_lease(observation),
                        .heard_process = heard_process_},
                       now);
  if (meter_ != nullptr)
    wake_ = std::min(wake_, meter_->sample(*driver_, observation, std::move(holdings_), now));
  if (!calls_.empty())
    wake_ = std::min(wake_, driver_->next_completion().value_or(now + options_.poll_every));
  wake_ = std::min(wake_, last_sent_ + options_.heartbeat);
  step.wake = std::max(wake_, now + base::Duration(1));
  return step;
}

void Agent::hear_completions(Instant now) {
  for (const auto& completion : driver_->poll()) {
    if (meter_ != nullptr && meter_->take(completion)) continue;
    const auto call = calls_.find(completion.id);
    if (call == calls_.end()) continue;
    workers_[call->second].on_completion(completion, now, options_);
    calls_.erase(call);
  }
}

/// After a boot nothing that was verified, tried or started counts any more.
void Agent::notice_boot(const device::Observation& observation) {
  if (observation.boot == boot_) return;
  boot_ = observation.boot;
  workers_.clear();
  calls_.clear();
}

std::vector<GpuReport> Agent::work(const device::Observation& observation, Instant now) {
  std::vector<GpuReport> reports;
  for (const auto& pair : pair_up(target_ ? &*target_ : nullptr, observation)) {
    if (pair.state == nullptr)
      reports.push_back(report_absent(pair));
    else if (pair.target == nullptr)
      reports.push_back(workers_[pair.state->uuid].look(*pair.state, now));
    else
      reports.push_back(work_on(*pair.target, *pair.state, now));
    reports.back().number = pair.number;
  }
  if (keeper_ != nullptr && target_) keep_shares(observation, reports);
  return reports;
}

/// What leases hold is kept to until their slices are free: while they are scrubbed their programs
/// still run. Which GPU a slice is on is known by its number.
void Agent::keep_shares(const device::Observation& observation, std::vector<GpuReport>& reports) {
  std::vector<GuardedShare> shares;
  for (const auto& target : target_->gpus) {
    const auto* state = observation.find(target.number);
    for (const auto& slice : target.slices) {
      const auto* share = std::get_if<fleet::ShareSlice>(&slice.shape);
      if (state == nullptr || share == nullptr || !slice.holder.valid() ||
          share->isolation != catalog::Isolation::kLimited ||
          slice.phase == fleet::SlicePhase::kIdle)
        continue;
      shares.push_back({.lease = slice.holder,
                        .gpu = state->uuid,
                        .memory = share->memory,
                        .compute = share->compute,
                        .latency_critical = share->latency_critical,
                        .processes = {}});
      std::ranges::copy_if(
          state->processes, std::back_inserter(shares.back().processes),
          [&](const device::Process& process) { return process.tenant == slice.holder; });
    }
  }
  const auto trouble = keeper_->keep(shares);
  if (trouble.empty()) return;
  for (const auto& target : target_->gpus) {
    const auto report = std::ranges::find(reports, target.number, &GpuReport::number);
    if (report == reports.end()) continue;
    for (std::size_t i = 0; i < std::min(target.slices.size(), report->slices.size()); ++i) {
      auto& told = report->slices[i];
      const auto found = trouble.find(target.slices[i].holder);
      if (found == trouble.end() || told.status != fleet::SliceStatus::kReady) continue;
      told.status = fleet::SliceStatus::kPending;
      told.detail = found->second;
    }
  }
}

GpuReport Agent::work_on(const fleet::GpuTarget& target, const device::GpuState& state,
                         Instant now) {
  auto& worker = workers_[state.uuid];
  const auto index = catalog_->find_pci(state.pci_id);
  const auto* model = index ? &catalog_->model(*index) : nullptr;
  auto turn = worker.turn(target, state, model, driver_->capabilities(), now, options_);
  if (turn.wake_at) wake_ = std::min(wake_, *turn.wake_at);
  if (turn.submit) {
    const auto id = driver_->submit(*turn.submit);
    if (id) {
      worker.submitted(*id, *turn.submit);
      calls_.emplace(*id, state.uuid);
    } else {
      wake_ = std::min(wake_, now + options_.first_retry);  // the driver is full: soon again
    }
  }
  if (model != nullptr) note_holdings(target, turn.report, *model);
  return std::move(turn.report);
}

/// Which devices leases hold, for the meter: those that are ready, from being in use on.
void Agent::note_holdings(const fleet::GpuTarget& target, const GpuReport& report,
                          const catalog::GpuModel& model) {
  for (std::size_t i = 0; i < report.slices.size(); ++i) {
    const auto& slice = target.slices[i];
    if (slice.phase != fleet::SlicePhase::kInUse || !slice.holder.valid() ||
        report.slices[i].status != fleet::SliceStatus::kReady)
      continue;
    holdings_.push_back({.device = report.slices[i].device,
                         .lease = slice.holder,
                         .shared = std::holds_alternative<fleet::ShareSlice>(slice.shape),
                         .part = fleet::cost_of(slice.shape, model).compute});
  }
}

/// Of all it knows: the next control plane's leases are numbered on from there, whatever journal
/// it has.
fleet::LeaseId Agent::highest_lease(const device::Observation& observation) const {
  fleet::LeaseId highest;
  for (const auto& gpu : observation.gpus)
    for (const auto& process : gpu.processes) highest = std::max(highest, process.tenant);
  if (!target_) return highest;
  for (const auto& gpu : target_->gpus)
    for (const auto& slice : gpu.slices) highest = std::max(highest, slice.holder);
  return highest;
}

std::optional<NodeReport> Agent::report(NodeReport fresh, Instant now) {
  const bool changed = !last_report_ || last_report_->boot != fresh.boot ||
                       last_report_->target_incarnation != fresh.target_incarnation ||
                       last_report_->heard_process != fresh.heard_process ||
                       last_report_->gpus != fresh.gpus;
  // One that falls due before half a look has passed goes with this look: it costs none of its own.
  if (!changed &&
      now - last_sent_ < options_.heartbeat - std::min(options_.look_every, options_.heartbeat) / 2)
    return std::nullopt;
  fresh.session = session_;
  fresh.sequence = ++sequence_;
  last_report_ = std::move(fresh);
  last_sent_ = now;
  return last_report_;
}

}  // namespace tessera::agent
