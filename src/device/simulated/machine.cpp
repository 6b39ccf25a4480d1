#include "device/simulated/machine.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "device/simulated/synthetic.h"

namespace tessera::device::simulated {

Machine::Machine(std::shared_ptr<const catalog::Catalog> catalog, const base::Clock& clock,
                 const MachineOptions& options)
    : catalog_(std::move(catalog)),
      clock_(&clock),
      latencies_(options.latencies),
      seed_(options.seed),
      random_(options.seed),
      boot_(new_uuid("", random_)) {
  for (std::size_t i = 0; i < options.gpus.size(); ++i)
    gpus_.push_back({Gpu(static_cast<GpuNumber>(i), catalog_->model(options.gpus[i]),
                         new_uuid("GPU-", random_)),
                     {},
                     {},
                     false});
}

std::expected<std::uint32_t, Error> Machine::start(const Program& program) {
  advance();
  for (auto& bay : gpus_) {
    const auto error = bay.gpu.start(program, next_pid_);
    if (!error) return next_pid_++;
    if (error->code != ErrorCode::kNotFound && error->code != ErrorCode::kGpuLost)
      return std::unexpected(*error);
  }
  return std::unexpected(Error{ErrorCode::kNotFound, "no device " + program.device});
}

bool Machine::stop(std::uint32_t pid) {
  advance();
  return std::ranges::any_of(gpus_, [&](Bay& bay) { return bay.gpu.stop(pid); });
}

Observation Machine::observe() {
  advance();
  Observation observation{boot_, {}};
  for (const auto& bay : gpus_) observation.gpus.push_back(bay.gpu.state());
  return observation;
}

void Machine::fail_next(const InjectedFailure& failure) {
  gpus_.at(failure.gpu).failures.push_back(failure);
}

void Machine::hang_next(GpuNumber gpu) {
  gpus_.at(gpu).hang_next = true;
}

void Machine::release(GpuNumber gpu) {
  auto& bay = gpus_.at(gpu);
  bay.hang_next = false;
  const bool stuck = !bay.jobs.empty() && bay.jobs.front().hangs;
  for (auto& job : bay.jobs) job.hangs = false;
  if (stuck) schedule(bay, now());
}

void Machine::lose(GpuNumber gpu) {
  advance();
  gpus_.at(gpu).gpu.lose();
}

void Machine::raise_xid(GpuNumber gpu, int code) {
  gpus_.at(gpu).gpu.raise_xid(code);
}

void Machine::leave_memory(GpuNumber gpu, const std::string& device, MiB amount, Duration span) {
  gpus_.at(gpu).gpu.leave_memory(device, amount, now() + span);
}

void Machine::reboot() {
  advance();
  boot_ = new_uuid("", random_);
  for (auto& bay : gpus_) {
    for (const auto& job : bay.jobs)
      if (const auto box = mailboxes_.find(job.session); box != mailboxes_.end())
        box->second.push_back(
            {job.id, Error{ErrorCode::kUnknown, "the machine was rebooted"}, {}, {}});
    bay.jobs.clear();
    bay.hang_next = false;
    bay.gpu.boot();
  }
}

Machine::Session Machine::open() {
  mailboxes_.try_emplace(next_session_);
  return next_session_++;
}

void Machine::close(Session session) {
  mailboxes_.erase(session);
}

void Machine::enqueue(Session session, OperationId id, const Operation& operation) {
  advance();
  auto& bay = gpus_.at(gpu_of(operation));
  bay.jobs.push_back({session, id, operation, {}, std::exchange(bay.hang_next, false)});
  if (bay.jobs.size() == 1) schedule(bay, now());
}

std::vector<Completion> Machine::collect(Session session) {
  advance();
  return std::exchange(mailboxes_.at(session), {});
}

std::optional<Instant> Machine::next_due() const {
  std::optional<Instant> next;
  for (const auto& bay : gpus_)
    if (!bay.jobs.empty() && !bay.jobs.front().hangs)
      next = std::min(next.value_or(Instant::max()), bay.jobs.front().due);
  return next;
}

void Machine::advance() {
  const Instant until = now();
  while (Bay* bay = earliest(until)) finish(*bay);
  for (auto& bay : gpus_) bay.gpu.settle(until);
}

Machine::Bay* Machine::earliest(Instant until) {
  Bay* first = nullptr;
  for (auto& bay : gpus_) {
    if (bay.jobs.empty() || bay.jobs.front().hangs || bay.jobs.front().due > until) continue;
    if (first == nullptr || bay.jobs.front().due < first->jobs.front().due) first = &bay;
  }
  return first;
}

void Machine::finish(Bay& bay) {
  const Job job = std::move(bay.jobs.front());
  bay.jobs.pop_front();
  bay.gpu.settle(job.due);
  Completion completion{job.id, injected(bay, kind_of(job.operation)), {}, {}};
  if (!completion.error) {
    auto done = bay.gpu.apply(job.operation, job.due, random_);
    if (!done)
      completion.error = done.error();
    else
      completion.device = std::move(*done);
    if (done && kind_of(job.operation) == OperationKind::kReadUse)
      completion.samples = bay.gpu.samples(job.due, seed_);
  }
  if (const auto box = mailboxes_.find(job.session); box != mailboxes_.end())
    box->second.push_back(std::move(completion));
  schedule(bay, job.due);
}

void Machine::schedule(Bay& bay, Instant from) {
  if (bay.jobs.empty()) return;
  auto& job = bay.jobs.front();
  job.due = from + latency_of(kind_of(job.operation));
}

std::optional<Error> Machine::injected(Bay& bay, OperationKind kind) {
  const auto found = std::ranges::find(bay.failures, kind, &InjectedFailure::kind);
  if (found == bay.failures.end()) return std::nullopt;
  const Error error{found->code, "injected: " + std::string(to_string(found->code))};
  if (--found->times <= 0) bay.failures.erase(found);
  return error;
}

Duration Machine::latency_of(OperationKind kind) const {
  switch (kind) {
    case OperationKind::kSetMigMode:
      return latencies_.mode;
    case OperationKind::kCreate:
      return latencies_.create;
    case OperationKind::kDestroy:
      return latencies_.destroy;
    case OperationKind::kScrub:
      return latencies_.scrub;
    case OperationKind::kReadUse:
      return latencies_.read;
  }
  return latencies_.create;
}

}  // namespace tessera::device::simulated
