#include "device/simulated/driver.h"

#include <algorithm>
#include <utility>

namespace tessera::device::simulated {

using catalog::Technology;

SimulatedDriver::SimulatedDriver(Machine& machine, DriverOptions options)
    : machine_(&machine), options_(options), session_(machine.open()) {}

SimulatedDriver::~SimulatedDriver() {
  machine_->close(session_);
}

Capabilities SimulatedDriver::capabilities() const {
  return {{Technology::kTimeSlicing, Technology::kMig, Technology::kWhole},
          true,
          options_.max_in_flight};
}

std::expected<OperationId, Error> SimulatedDriver::submit(Operation operation) {
  const GpuNumber gpu = gpu_of(operation);
  if (!machine_->has(gpu))
    return std::unexpected(Error{ErrorCode::kNotFound, "no GPU " + std::to_string(gpu)});
  if (running_.size() + overdue_.size() >= options_.max_in_flight)
    return std::unexpected(Error{ErrorCode::kOverloaded,
                                 std::to_string(options_.max_in_flight) + " operations in flight"});
  const OperationId id = next_id_++;
  running_.emplace(id, Call{gpu, machine_->now() + options_.call_timeout});
  machine_->enqueue(session_, id, operation);
  return id;
}

void SimulatedDriver::collect() {
  for (auto& completion : machine_->collect(session_)) {
    if (overdue_.erase(completion.id) > 0) continue;
    running_.erase(completion.id);
    ended_.push_back(std::move(completion));
  }
  for (auto call = running_.begin(); call != running_.end();) {
    if (call->second.deadline > machine_->now()) {
      ++call;
      continue;
    }
    ended_.push_back(
        {call->first,
         Error{ErrorCode::kTimeout, "no answer within " + base::to_string(options_.call_timeout)},
         {},
         {}});
    overdue_.emplace(call->first, call->second.gpu);
    call = running_.erase(call);
  }
}

std::vector<Completion> SimulatedDriver::poll() {
  collect();
  return std::exchange(ended_, {});
}

Observation SimulatedDriver::observe() {
  collect();
  auto observation = machine_->observe();
  for (auto& gpu : observation.gpus) {
    if (hung(gpu.number)) {
      if (const auto last = last_read_.find(gpu.number); last != last_read_.end())
        gpu = last->second;
      gpu.condition = Condition::kHung;
    } else {
      last_read_[gpu.number] = gpu;
    }
  }
  return observation;
}

std::optional<Instant> SimulatedDriver::next_completion() const {
  if (!ended_.empty()) return machine_->now();
  if (running_.empty()) return std::nullopt;
  Instant next = machine_->next_due().value_or(Instant::max());
  for (const auto& [id, call] : running_) next = std::min(next, call.deadline);
  return next;
}

bool SimulatedDriver::hung(GpuNumber gpu) const {
  return std::ranges::any_of(overdue_, [&](const auto& call) { return call.second == gpu; });
}

}  // namespace tessera::device::simulated
