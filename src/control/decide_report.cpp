#include <algorithm>
#include <set>

#include "control/decide.h"

namespace tessera::control {
namespace {

using base::fail;
using fleet::Health;
using fleet::Slice;
using fleet::SlicePhase;
using fleet::SliceStatus;

/// How often a request may lose its slices to broken devices before it fails for good.
constexpr int kMostAttempts = 5;

/// How far ahead of this control plane a node may be after a restore. Numbers beyond are not
/// believed: an agent that makes them up would use up the rest of them.
constexpr std::uint64_t kMostLeasesLost = 1'000'000'000;
constexpr auto kMostTimeLost = std::chrono::years(10);

/// Turns one node's report into events. What it says twice counts once: the first time. Several
/// slices of one lease may change in one report, so what becomes of the leases is settled at the
/// end.
///
/// An agent that answers a target of a history this journal has lost (State::parted_from) speaks of
/// other slices under the same generations: of it only the machine's health is taken, until it has
/// heard from this control plane.
class ReportReader {
 public:
  ReportReader(const State& state, fleet::NodeIndex node, const fleet::NodeReport& report,
               Instant now)
      : state_(state),
        node_(node),
        report_(report),
        at_(now),
        parted_(state.parted_from(report.answers())) {}

  Events read() {
    const auto& node = state_.fleet().node(node_);
    if (node.phase != fleet::NodePhase::kReady || node.boot != report_.boot)
      events_.push_back(NodeReady{node_, report_.boot});
    std::vector<bool> seen(node.gpus.size());
    for (const auto& gpu : report_.gpus) {
      if (gpu.number >= seen.size() || seen[gpu.number]) continue;
      seen[gpu.number] = true;
      read_gpu(node.gpus[gpu.number], gpu);
    }
    settle_leases();
    catch_up();
    return std::move(events_);
  }

  /// Of a report that does not count: that a restored journal has lost what the node went through
  /// is true whenever it was said.
  Events read_history() {
    catch_up();
    return std::move(events_);
  }

 private:
  /// After a restore: makes this history's next record later than what the node has heard, so that
  /// it listens again, and numbers leases on from where the lost future had come.
  void catch_up() {
    const bool ahead = parted_ && state_.incarnation() <= report_.target_incarnation;
    if (ahead || report_.highest_lease >= state_.next_lease())
      events_.push_back(HistoryLost{node_, report_.target_incarnation, report_.highest_lease});
    if (!parted_) return;
    // What was granted here since may carry the number of another lease, whose programs run there.
    std::set<LeaseId> unsure;
    for (const auto gpu : state_.fleet().node(node_).gpus)
      for (const auto& slice : state_.fleet().gpu(gpu).slices)
        if (slice.phase == SlicePhase::kPreparing) unsure.insert(slice.holder);
    for (const auto id : unsure) {
      const auto& lease = *state_.find(id);
      if (lease.state != request::LeaseState::kProvisioning || lease.granted < *parted_ ||
          id > report_.highest_lease)
        continue;
      events_.push_back(LeaseEnding{id, Reason::kNodesAway,
                                    "node " + report_.node +
                                        " was ahead of the restored journal; waiting for a slice "
                                        "that nobody held meanwhile",
                                    true});
    }
  }

  void read_gpu(GpuIndex index, const fleet::GpuReport& report) {
    const auto& gpu = state_.fleet().gpu(index);
    identify(index, gpu, report);
    if (report.health == Health::kQuarantined) quarantine(index, report.detail);
    if (parted_) return;
    std::vector<const Slice*> seen;
    for (const auto& slice_report : report.slices) {
      const auto* slice = gpu.find(slice_report.generation);
      if (slice == nullptr || std::ranges::find(seen, slice) != seen.end()) continue;
      seen.push_back(slice);
      read_slice(index, *slice, slice_report);
    }
  }

  void identify(GpuIndex index, const fleet::Gpu& gpu, const fleet::GpuReport& report) {
    if (!report.uuid.empty() && report.uuid != gpu.uuid) {
      events_.push_back(GpuIdentified{index, report.uuid});
      if (!gpu.uuid.empty())
        quarantine(index, "the GPU was replaced: it was " + gpu.uuid + ", now it is " +
                              report.uuid + "; restore it once the exchange is confirmed");
    }
    const auto& pool = state_.fleet().pool_of(index);
    const auto& expected = state_.catalog().model(pool.model).pci_ids;
    if (report.pci_id == 0 || std::ranges::find(expected, report.pci_id) != expected.end()) return;
    const auto model = state_.catalog().find_pci(report.pci_id);
    if (model)
      quarantine(index, "it is a " + state_.catalog().model(*model).key + ", pool " + pool.name +
                            " has " + state_.catalog().model(pool.model).key);
  }

  void quarantine(GpuIndex index, const std::string& detail) {
    if (state_.fleet().gpu(index).health == Health::kQuarantined) return;
    if (!quarantined_.insert(index).second) return;
    events_.push_back(GpuHealthChanged{index, Health::kQuarantined, detail});
  }

  void read_slice(GpuIndex index, const Slice& slice, const fleet::SliceReport& report) {
    switch (report.status) {
      case SliceStatus::kPending:
        return;
      case SliceStatus::kReady:
        if (slice.phase == SlicePhase::kPreparing) {
          events_.push_back(SliceReady{index, slice.generation, report.device});
          auto& settled = settled_of(slice.holder);
          settled.ready += 1;
          if (arriving(index, slice)) settled.arrived = report.device;
        } else if (slice.phase == SlicePhase::kInUse && slice.device != report.device) {
          // Made anew after the machine was booted: the same slice, another device.
          events_.push_back(SliceReady{index, slice.generation, report.device});
        }
        return;
      case SliceStatus::kClean:
        if (slice.phase != SlicePhase::kScrubbing && slice.phase != SlicePhase::kFailed) return;
        // A failed slice of a lease that still stands is not given away under it.
        if (slice.phase == SlicePhase::kFailed && promised(index, slice)) return;
        events_.push_back(SliceFreed{index, slice.generation, kept(index, slice)});
        settled_of(slice.holder).freed += 1;
        return;
      case SliceStatus::kFailed:
        if (slice.phase != SlicePhase::kPreparing && slice.phase != SlicePhase::kInUse) return;
        events_.push_back(SliceFailed{index, slice.generation, report.detail});
        if (!walled_off(slice)) quarantine(index, report.detail);
        if (arriving(index, slice))
          settled_of(slice.holder).stays = report.detail;
        else
          settled_of(slice.holder).failed = report.detail;
        return;
    }
  }

  /// A MIG instance has hardware of its own: that one fails says nothing of its neighbours, and as
  /// a failed slice its place stays taken until it is verified clean. Whether the GPU itself is
  /// sick is the agent's to say.
  static bool walled_off(const Slice& slice) {
    return std::holds_alternative<fleet::MigSlice>(slice.shape);
  }

  /// Does the lease that holds the slice still count on it?
  bool promised(GpuIndex index, const Slice& slice) const {
    const auto* lease = state_.find(slice.holder);
    return lease && lease->state <= request::LeaseState::kExpiring &&
           std::ranges::any_of(lease->slices, [&](const auto& own) {
             return own.gpu == index && own.generation == slice.generation;
           });
  }

  /// Is its lease to change over to it?
  bool arriving(GpuIndex index, const Slice& slice) const {
    const auto* lease = state_.find(slice.holder);
    return lease && lease->arriving && lease->arriving->gpu == index &&
           lease->arriving->generation == slice.generation;
  }

  /// A clean MIG instance may stay for the next one to take.
  bool kept(GpuIndex index, const Slice& slice) const {
    if (slice.phase == SlicePhase::kFailed) return false;
    const auto* mig = std::get_if<fleet::MigSlice>(&slice.shape);
    if (!mig) return false;
    const auto& pool = state_.fleet().pool_of(index);
    return !pool.fixed() || (pool.static_layout & catalog::bit(mig->instance)) != 0;
  }

  /// What the report says of one lease's slices.
  struct Settled {
    LeaseId lease;
    int ready = 0;
    int freed = 0;
    std::optional<std::string> failed;
    std::optional<std::string> arrived;  ///< the device that the lease changes over to
    std::optional<std::string> stays;    ///< why that could not be made
  };

  Settled& settled_of(LeaseId lease) {
    const auto known = std::ranges::find(settled_, lease, &Settled::lease);
    return known != settled_.end() ? *known : settled_.emplace_back(Settled{.lease = lease});
  }

  void settle_leases() {
    std::ranges::sort(settled_, {}, &Settled::lease);
    for (const auto& settled : settled_) {
      const auto id = settled.lease;
      const auto* lease = state_.find(id);
      if (!lease) continue;
      if (settled.failed) {
        end_failed(*lease, *settled.failed);
      } else if (settled.stays) {
        events_.push_back(LeaseStays{id, "a device failed: " + *settled.stays});
      } else if (settled.arrived) {
        const auto& own = lease->slices.front();
        const auto* left = state_.fleet().gpu(own.gpu).find(own.generation);
        events_.push_back(LeaseMoved{id, left ? left->device : std::string(), *settled.arrived});
      } else if (settled.ready > 0 && lease->state == request::LeaseState::kProvisioning &&
                 count(*lease, SlicePhase::kInUse) + settled.ready == size(*lease)) {
        events_.push_back(LeaseActivated{id, at_});
      }
      if (settled.freed > 0 && left(*lease) == settled.freed)
        events_.push_back(LeaseEnded{id, at_});
    }
  }

  void end_failed(const request::Lease& lease, const std::string& detail) {
    if (lease.state > request::LeaseState::kExpiring) return;
    const auto* request = state_.find(lease.request);
    const bool again = request && request->attempts + 1 < kMostAttempts;
    events_.push_back(LeaseEnding{
        lease.id, Reason::kDeviceFailed,
        "a device failed: " + detail + (again ? "; waiting for another" : "; given up"), again});
  }

  static int size(const request::Lease& lease) { return static_cast<int>(lease.slices.size()); }

  int count(const request::Lease& lease, SlicePhase phase) const {
    return static_cast<int>(std::ranges::count_if(lease.slices, [&](const auto& leased) {
      const auto* slice = state_.fleet().gpu(leased.gpu).find(leased.generation);
      return slice && slice->phase == phase;
    }));
  }

  /// Slices of the lease that were not verified free before this report.
  int left(const request::Lease& lease) const {
    int left = 0;
    request::each_held_by(lease, [&](const request::LeasedSlice& leased) {
      const auto* slice = state_.fleet().gpu(leased.gpu).find(leased.generation);
      if (slice && slice->holder == lease.id) ++left;
    });
    return left;
  }

  const State& state_;
  fleet::NodeIndex node_;
  const fleet::NodeReport& report_;
  Instant at_;
  std::optional<Instant> parted_;  ///< since when this history is not the one the report answers
  Events events_;
  std::set<GpuIndex> quarantined_;
  std::vector<Settled> settled_;
};

base::Result<void> check_numbers(const State& state, const fleet::NodeReport& report, Instant now) {
  const auto latest =
      std::chrono::duration_cast<base::Duration>(now.time_since_epoch() + kMostTimeLost);
  if (report.target_incarnation >
      std::max(state.next_incarnation(), static_cast<std::uint64_t>(latest.count())))
    return fail(Reason::kInvalidDocument, "no control plane had that incarnation",
                "targetIncarnation", "restart the agent");
  if (report.highest_lease.value() > state.next_lease().value() + kMostLeasesLost)
    return fail(Reason::kInvalidDocument, "no lease had that number", "highestLease",
                "restart the agent, and the node if it says so again");
  return {};
}

}  // namespace

Decision decide_report(const State& state, const Report& command, Instant now) {
  const auto node = state.fleet().find_node(command.report.node);
  if (!node) return unknown("node", command.report.node);
  const bool fresh = state.report_order().fresh(command.report, state.next_incarnation());
  if (!fresh && command.report.heard_process == state.next_incarnation()) return Events{};
  if (const auto sane = check_numbers(state, command.report, now); !sane)
    return std::unexpected(sane.error());
  ReportReader reader(state, *node, command.report, now);
  return fresh ? reader.read() : reader.read_history();
}

Decision decide_silent(const State& state, const NodeSilent& command) {
  const auto node = state.fleet().find_node(command.node);
  if (!node) return unknown("node", command.node);
  if (state.fleet().node(*node).phase != fleet::NodePhase::kReady) return Events{};
  Events events{NodeLost{*node}};
  // Whoever has all its slices keeps them, but nobody should wait for what a lost node may never
  // make, or be let in where a part is out of reach.
  std::set<LeaseId> waiting;
  for (const auto gpu : state.fleet().node(*node).gpus)
    for (const auto& slice : state.fleet().gpu(gpu).slices)
      if (slice.holder.valid()) waiting.insert(slice.holder);
  for (const auto id : waiting)
    if (state.find(id)->state == request::LeaseState::kProvisioning)
      events.push_back(LeaseEnding{
          id, Reason::kNodesAway, "node " + command.node + " was lost; waiting for another", true});
  return events;
}

Decision decide_cordon(const State& state, const Cordon& command) {
  const auto node = state.fleet().find_node(command.node);
  if (!node) return unknown("node", command.node);
  if (state.fleet().node(*node).cordoned == command.cordoned) return Events{};
  return Events{NodeCordoned{*node, command.cordoned}};
}

Decision decide_restore(const State& state, const Restore& command) {
  const auto gpu = state.fleet().find_gpu(command.gpu);
  if (!gpu) return unknown("gpu", command.gpu);
  if (state.fleet().gpu(*gpu).health == Health::kHealthy) return Events{};
  return Events{GpuHealthChanged{*gpu, Health::kHealthy, {}}};
}

}  // namespace tessera::control
