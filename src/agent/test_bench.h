#pragma once

#include <memory>
#include <string>
#include <vector>

#include "agent/agent.h"
#include "device/simulated/driver.h"
#include "device/simulated/hand_clock.h"
#include "device/simulated/machine.h"

/// A node for tests: a simulated machine, an agent on it, and a clock moved by hand.
namespace tessera::agent {

class Bench {
 public:
  explicit Bench(std::string_view model = "H100-80GB-SXM5", std::size_t gpus = 2,
                 AgentOptions options = {})
      : options_(options),
        index_(catalog_->find(model).value()),
        machine_(catalog_, clock_,
                 {.gpus = std::vector<catalog::ModelIndex>(gpus, index_), .seed = 5}) {
    restart();
  }

  /// Kills agent and driver; new ones start with nothing but the machine.
  void restart() {
    agent_.reset();
    driver_.reset();
    driver_ = std::make_unique<device::simulated::SimulatedDriver>(machine_);
    agent_ = std::make_unique<Agent>("node-1", *driver_, catalog_, options_);
  }

  /// Ticks the agent whenever it asks for it; the reports it sent. last() is what holds at the end.
  std::vector<fleet::NodeReport> run(base::Duration span) {
    std::vector<fleet::NodeReport> sent;
    const auto end = clock_.now() + span;
    while (true) {
      const auto step = agent_->tick(clock_.now());
      if (step.report) {
        last_ = *step.report;
        sent.push_back(last_);
      }
      if (step.wake > end) break;
      clock_.pass(step.wake - clock_.now());
    }
    clock_.pass(end - clock_.now());
    return sent;
  }

  /// Sends a target in which GPU 0 has these slices, at the next revision.
  void want(bool mig, std::vector<fleet::TargetSlice> slices) {
    agent_->on_target({"node-1", ++revision_, {{0, {}, mig, std::move(slices)}}});
  }
  fleet::TargetSlice mig(std::string_view profile, int start, std::uint64_t generation,
                         fleet::SlicePhase phase, std::uint64_t lease = 0) const {
    const auto instance = catalog_->model(index_).find_instance(profile, start).value();
    return {fleet::MigSlice{instance}, generation, phase, fleet::LeaseId(lease)};
  }

  device::GpuState gpu(device::GpuNumber number = 0) { return machine_.observe().gpus.at(number); }
  const fleet::GpuReport& told(std::size_t number = 0) const { return last_.gpus.at(number); }
  const fleet::SliceReport& told_slice(std::size_t position = 0) const {
    return told().slices.at(position);
  }
  std::uint32_t start(const std::string& device, std::uint64_t lease, base::Duration linger = {}) {
    return machine_
        .start({.device = device,
                .memory = base::MiB(512),
                .tenant = fleet::LeaseId(lease),
                .linger = linger})
        .value();
  }

  AgentOptions options_;
  std::shared_ptr<const catalog::Catalog> catalog_ =
      std::make_shared<const catalog::Catalog>(catalog::Catalog::built_in());
  device::simulated::HandClock clock_;
  catalog::ModelIndex index_;
  device::simulated::Machine machine_;
  std::unique_ptr<device::simulated::SimulatedDriver> driver_;
  std::unique_ptr<Agent> agent_;
  fleet::NodeReport last_;
  std::uint64_t revision_ = 0;
};

}  // namespace tessera::agent
