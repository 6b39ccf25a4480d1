#pragma once

#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "control/step.h"
#include "tenancy/tier.h"

namespace tessera::control {

/// A fleet of nodes with eight H100s, most of their room held by a mix of needs, so that its state
/// is as mixed as after months of use. Engine only: no journal, no network.
class BusyFleet {
 public:
  /// `cpu` and `memory` of each node's host; 0: not counted. Asks for `needs` until `leases` are
  /// held.
  BusyFleet(int gpus, base::MilliCpu cpu, base::MiB memory, std::span<const request::Need> needs,
            std::size_t leases)
      : state_(std::make_shared<const catalog::Catalog>(catalog::Catalog::built_in())),
        needs_(needs) {
    for (const auto& tier : tenancy::default_tiers()) run(PutTier{tier}, kAdmin);
    fleet::Pool pool{.name = "h100",
                     .model = *state_.catalog().find("H100-80GB-SXM5"),
                     .tiers = {"production", "development"},
                     .technologies = {catalog::Technology::kTimeSlicing, catalog::Technology::kMig,
                                      catalog::Technology::kWhole}};
    run(PutPool{pool}, kAdmin);
    run(PutTeam{{.name = "bench"}}, kAdmin);
    for (int i = 0; i * 8 < gpus; ++i) {
      const auto name = "node-" + std::to_string(i);
      run(PutNode{name, "h100", 8, cpu, memory}, kAdmin);
      report({.node = name, .boot = "1"});
    }
    while (held_.size() < leases)
      if (!grant_one()) release_one();
  }

  /// Asks for one of the needs. What does not fit is withdrawn.
  bool grant_one() {
    const auto record = run(Submit{"bench", {}, needs_[random_.below(needs_.size())], {}}, kAdmin);
    if (const auto* granted = std::get_if<LeaseGranted>(&record.events.back())) {
      held_.push_back(granted->lease.id);
      return true;
    }
    run(Cancel{std::get<RequestMoved>(record.events.back()).request}, kAdmin);
    return false;
  }

  /// Releases a lease, and its node reports the slices clean.
  void release_one() {
    const auto at = random_.below(held_.size());
    std::swap(held_[at], held_.back());
    const auto id = held_.back();
    held_.pop_back();
    run(Release{id}, kAdmin);
    const auto& lease = *state_.find(id);
    fleet::NodeReport clean{.node = state_.fleet().node(lease.node).name, .boot = "1"};
    for (const auto& slice : lease.slices)
      clean.gpus.push_back({.number = state_.fleet().gpu(slice.gpu).number,
                            .slices = {{slice.generation, fleet::SliceStatus::kClean, {}, {}}}});
    report(std::move(clean));
    now_ += std::chrono::seconds(1);
  }

  const State& state() const { return state_; }
  const tenancy::Actor& admin() const { return kAdmin; }

 private:
  Record run(const Command& command, const tenancy::Actor& actor) {
    auto record = step(state_, command, actor, now_);
    if (!record) throw std::runtime_error(base::to_string(record.error()));
    return std::move(*record);
  }

  void report(fleet::NodeReport report) {
    const tenancy::Actor agent{"agent", tenancy::Role::kAgent, report.node};
    run(Report{std::move(report)}, agent);
  }

  const tenancy::Actor kAdmin{"bench", tenancy::Role::kAdmin, ""};
  State state_;
  std::span<const request::Need> needs_;
  base::SeededRandom random_{42};
  base::Instant now_{};
  std::vector<LeaseId> held_;
};

}  // namespace tessera::control
