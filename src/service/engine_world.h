#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "catalog/gpu_model.h"
#include "control/command.h"
#include "journal/codec.h"
#include "service/engine.h"
#include "service/manual_clock.h"

/// What the engine's tests share: a small fleet, who acts on it, and a node that answers.
namespace tessera::service {

inline const tenancy::Actor kAdmin{"admin", tenancy::Role::kAdmin, {}};
inline constexpr const char* kNode = "node-1";
inline constexpr int kGpus = 8;

inline std::shared_ptr<const catalog::Catalog> shared_catalog() {
  static const auto catalog =
      std::make_shared<const catalog::Catalog>(catalog::Catalog::built_in());
  return catalog;
}

/// One pool of eight H100 on one node, the three default tiers, one team.
inline control::Apply small_fleet() {
  control::Apply apply;
  fleet::Pool pool;
  pool.name = "h100";
  pool.model = shared_catalog()->find("H100-80GB-SXM5").value();
  pool.technologies = {catalog::Technology::kTimeSlicing, catalog::Technology::kMig,
                       catalog::Technology::kWhole};
  for (auto& tier : tenancy::default_tiers()) {
    pool.tiers.push_back(tier.name);
    apply.documents.push_back(control::PutTier{std::move(tier)});
  }
  apply.documents.push_back(control::PutPool{pool});
  apply.documents.push_back(control::PutNode{kNode, "h100", kGpus, {}, {}});
  tenancy::Team team;
  team.name = "vision";
  apply.documents.push_back(control::PutTeam{team});
  return apply;
}

/// The node's agent says what its GPUs are, and that all their slices are ready or clean, as the
/// target asks.
inline control::Report report_of(const control::State& state) {
  control::Report report;
  report.report.node = kNode;
  report.report.boot = "boot-1";
  const auto target = control::target_of(state, state.fleet().find_node(kNode).value());
  report.report.target_revision = target.revision;
  report.report.target_incarnation = target.incarnation;
  report.report.heard_process = target.process;
  for (const auto& gpu : target.gpus) {
    fleet::GpuReport said;
    said.number = gpu.number;
    said.uuid = "GPU-" + std::to_string(gpu.number);
    said.pci_id = state.catalog().model(state.fleet().pools().front().model).pci_ids.front();
    for (const auto& slice : gpu.slices) {
      const bool clean =
          slice.phase == fleet::SlicePhase::kScrubbing || slice.phase == fleet::SlicePhase::kFailed;
      said.slices.push_back({slice.generation,
                             clean ? fleet::SliceStatus::kClean : fleet::SliceStatus::kReady,
                             "MIG-" + std::to_string(slice.generation),
                             {}});
    }
    report.report.gpus.push_back(std::move(said));
  }
  return report;
}

inline const tenancy::Actor kAgent{"agent", tenancy::Role::kAgent, kNode};

/// 10 GB in a partition: eight GPUs have room for 56.
inline control::Submit small_request(const std::string& purpose = {}) {
  control::Submit submit;
  submit.team = "vision";
  submit.purpose = purpose;
  submit.need.memory = base::MiB(9'537);
  submit.need.isolation = catalog::Isolation::kPartition;
  submit.need.duration = std::chrono::hours(8);
  return submit;
}

/// The lease that a record granted; none if it granted nothing.
inline fleet::LeaseId granted_in(const control::Record& record) {
  for (const auto& event : record.events) {
    if (const auto* granted = std::get_if<control::LeaseGranted>(&event)) return granted->lease.id;
  }
  return {};
}

/// The request that a record submitted; none if it submitted nothing.
inline request::RequestId submitted_in(const control::Record& record) {
  for (const auto& event : record.events) {
    if (const auto* submitted = std::get_if<control::RequestSubmitted>(&event))
      return submitted->request.id;
  }
  return {};
}

inline EngineOptions quick_options() {
  EngineOptions options;
  options.idle_wait = std::chrono::milliseconds(5);
  return options;
}

}  // namespace tessera::service
