#include <algorithm>
#include <variant>

#include "base/check.h"
#include "control/apply_plans.h"
#include "control/prospect.h"
#include "control/state.h"

namespace tessera::control {

using fleet::Health;
using fleet::SlicePhase;
using request::LeaseState;
using request::RequestState;

/// What each event does to the state. An event says what has happened, so nothing here refuses:
/// an event that does not fit the state is a bug, and a CHECK.
class Applier {
 public:
  Applier(State& state, Instant at) : s_(state), at_(at), slices_(state), plans_(state, at) {}

  // --- documents ------------------------------------------------------------------------------
  void operator()(const TierPut& event) {
    // The tier's notice decides when its leases are looked at next.
    const auto each = [&](auto act) {
      for (const auto& [id, lease] : s_.leases_)
        if (lease.tier == event.tier.name) act(lease);
    };
    each([&](const request::Lease& lease) { s_.refile(lease, s_.file_of(lease), {}); });
    s_.tiers_[event.tier.name] = event.tier;
    each([&](const request::Lease& lease) { s_.refile(lease, {}, s_.file_of(lease)); });
    retune();
  }
  void operator()(const TierDeleted& event) {
    s_.tiers_.erase(event.name);
    retune();
  }
  void operator()(const TeamPut& event) { s_.teams_[event.team.name] = event.team; }
  void operator()(const TeamDeleted& event) { s_.teams_.erase(event.name); }

  void operator()(const PoolPut& event) {
    const auto known = s_.fleet_.find_pool(event.pool.name);
    const bool relaid = known && s_.fleet_.pool(*known).static_layout != event.pool.static_layout;
    const auto index = s_.fleet_.put_pool(event.pool);
    for (const auto node : s_.fleet_.nodes_of(index)) {
      for (const auto gpu : s_.fleet_.node(node).gpus) {
        if (relaid)
          std::erase_if(s_.fleet_.gpu(gpu).slices,
                        [](const auto& slice) { return slice.phase == SlicePhase::kIdle; });
        lay_out(gpu);
      }
    }
    s_.index_.refresh_pool(index, s_.fleet_, *s_.catalog_);
    retune();
  }

  void operator()(const PoolDeleted& event) {
    s_.fleet_.remove_pool(*s_.fleet_.find_pool(event.name));
    retune();
  }

  void operator()(const NodePut& event) {
    auto index = s_.fleet_.find_node(event.name);
    if (!index) {
      fleet::Node node;
      node.name = event.name;
      node.pool = *s_.fleet_.find_pool(event.pool);
      index = s_.fleet_.add_node(std::move(node), event.gpus);
    }
    s_.fleet_.grow_node(*index, event.gpus);
    auto& node = s_.fleet_.node(*index);
    node.cpu = event.cpu;
    node.memory = event.memory;
    node.nvlink = event.nvlink;
    for (const auto gpu : node.gpus) lay_out(gpu);
    refresh(*index);
  }

  void operator()(const NodeDeleted& event) {
    const auto index = *s_.fleet_.find_node(event.name);
    s_.index_.remove_node(index, s_.fleet_);
    s_.fleet_.remove_node(index);
    s_.use_marks_.erase(event.name);
  }

  void operator()(const TokenPut& event) {
    operator()(TokenDeleted{event.token.name});
    s_.tokens_[event.token.name] = event.token;
    s_.token_by_digest_[event.token.digest] = event.token.name;
  }

  void operator()(const TokenDeleted& event) {
    const auto found = s_.tokens_.find(event.name);
    if (found == s_.tokens_.end()) return;
    s_.token_by_digest_.erase(found->second.digest);
    s_.tokens_.erase(found);
  }

  // --- nodes and GPUs -------------------------------------------------------------------------
  void operator()(const NodeCordoned& event) {
    s_.fleet_.node(event.node).cordoned = event.cordoned;
    refresh(event.node);
  }

  void operator()(const NodeReady& event) {
    auto& node = s_.fleet_.node(event.node);
    node.phase = fleet::NodePhase::kReady;
    node.boot = event.boot;
    refresh(event.node);
  }

  void operator()(const NodeLost& event) {
    s_.fleet_.node(event.node).phase = fleet::NodePhase::kLost;
    refresh(event.node);
  }

  void operator()(const GpuIdentified& event) { s_.fleet_.gpu(event.gpu).uuid = event.uuid; }

  void operator()(const GpuHealthChanged& event) {
    auto& gpu = s_.fleet_.gpu(event.gpu);
    gpu.health = event.health;
    gpu.health_detail = event.detail;
    if (event.health == Health::kHealthy) lay_out(event.gpu);
    refresh(event.gpu);
  }

  void operator()(const HistoryLost& event) {
    s_.writes_as_ = std::max(s_.writes_as_, event.incarnation + 1);
    s_.next_lease_ = std::max(s_.next_lease_, event.lease.next());
  }

  // --- requests -------------------------------------------------------------------------------
  void operator()(const RequestSubmitted& event) {
    const auto id = event.request.id;
    CHECK(id == s_.next_request_);
    s_.next_request_ = id.next();
    const auto [at, fresh] = s_.requests_.emplace(id, event.request);
    s_.file(at->second);
    s_.file_key(at->second);
    s_.history_.change(shape_of(at->second), {}, level_of(at->second), at_);
    if (s_.demand_.observe(event.request.need, event.request.tier)) retune();
  }

  void operator()(const RequestMoved& event) {
    if (!event.tier.empty()) change_tier(event.request, event.tier);
    change(event.request, [&](request::Request& request) { follow(request, event); });
    if (request::terminal(event.state)) plans_.waits_no_more(event.request);
  }

  void operator()(const RequestForgotten& event) {
    const auto found = s_.requests_.find(event.request);
    CHECK(found != s_.requests_.end());
    CHECK(found->second.open_leases == 0);
    s_.unfile(found->second);
    s_.unfile_key(found->second);
    s_.leases_.erase(event.lease);
    s_.requests_.erase(found);
  }

  // --- leases and slices ----------------------------------------------------------------------
  void operator()(const LeaseGranted& event) {
    const auto& lease = event.lease;
    CHECK(lease.id == s_.next_lease_);
    s_.next_lease_ = lease.id.next();
    plans_.waits_no_more(lease.request);
    for (const auto& retired : event.retired) slices_.erase(retired.gpu, retired.generation);
    for (const auto& leased : lease.slices) {
      slices_.add(leased, lease.id);
      refresh(leased.gpu);
    }
    forget_if_ended(s_.requests_.at(lease.request).lease);
    s_.leases_.emplace(lease.id, lease);
    s_.refile(lease, {}, s_.file_of(lease));
    slices_.change_host_use(lease, 1);
    change(lease.request, [&](request::Request& request) { follow(request, event); });
  }

  void operator()(const SliceReady& event) {
    auto& slice = slices_.at(event.gpu, event.generation);
    slice.phase = SlicePhase::kInUse;
    slice.device = event.device;
  }

  void operator()(const SliceFailed& event) {
    slices_.at(event.gpu, event.generation).phase = SlicePhase::kFailed;
    refresh(event.gpu);
  }

  void operator()(const SliceFreed& event) {
    auto& slice = slices_.at(event.gpu, event.generation);
    plans_.freed(event.gpu, event.generation, slice.holder);
    if (event.kept) {
      slice.phase = SlicePhase::kIdle;
      slice.holder = {};
    } else {
      slices_.erase(event.gpu, event.generation);
      if (s_.fleet_.gpu(event.gpu).health == Health::kHealthy) lay_out(event.gpu);
    }
    refresh(event.gpu);
  }

  void operator()(const LeaseActivated& event) {
    const auto& lease = change(event.lease, [&](request::Lease& changed) {
      changed.state = LeaseState::kActive;
      changed.activated = event.at;
    });
    change(lease.request, [](request::Request& r) { r.state = RequestState::kActive; });
    plans_.activated(event.lease);
  }

  void operator()(const LeaseExpiring& event) {
    const auto& lease =
        change(event.lease, [](request::Lease& changed) { changed.state = LeaseState::kExpiring; });
    change(lease.request, [](request::Request& r) { r.state = RequestState::kExpiring; });
  }

  void operator()(const LeaseRenewed& event) {
    const auto& lease = change(event.lease, [&](request::Lease& changed) {
      changed.expires = event.expires;
      changed.state = LeaseState::kActive;
    });
    change(lease.request, [](request::Request& r) { r.state = RequestState::kActive; });
  }

  void operator()(const LeaseEnding& event) {
    const auto& lease = change(event.lease, [&](request::Lease& changed) {
      changed.state = LeaseState::kReleasing;
      changed.end_reason = event.reason;
      plans_.ending(changed, event);
    });
    for (const auto& leased : lease.slices) slices_.scrub(leased);
    change(lease.request, [&](request::Request& request) {
      request.reason = event.reason;
      request.message = event.message;
      request.state = event.requeue ? RequestState::kQueued : RequestState::kReleasing;
      if (event.reason == Reason::kDeviceFailed) ++request.attempts;
    });
  }

  void operator()(const LeaseEnded& event) {
    const auto& lease = change(event.lease, [&](request::Lease& changed) {
      changed.state = LeaseState::kEnded;
      changed.ended = event.at;
    });
    slices_.change_host_use(lease, -1);
    const auto& request = s_.requests_.at(lease.request);
    change(lease.request, [](request::Request& changed) { --changed.open_leases; });
    if (request.lease != lease.id) {  // the request was granted anew meanwhile
      forget_if_ended(lease.id);
      return;
    }
    if (request.state != RequestState::kReleasing) return;
    change(lease.request, [&](request::Request& changed) {
      changed.state = lease.end_reason == Reason::kCancelled      ? RequestState::kCancelled
                      : lease.end_reason == Reason::kDeviceFailed ? RequestState::kFailed
                                                                  : RequestState::kReleased;
    });
  }

  void operator()(const UseRecorded& event) {
    // A node has one stream at a time; a few old ones are known for messages that come late.
    constexpr std::size_t kMostStreams = 4;
    auto& marks = s_.use_marks_[event.node];
    std::erase_if(marks, [&](const auto& mark) { return mark.stream == event.stream; });
    if (marks.size() >= kMostStreams) marks.erase(marks.begin());
    marks.push_back({event.stream, event.sequence});
    for (const auto& each : event.leases) {
      const auto found = s_.leases_.find(each.lease);
      CHECK(found != s_.leases_.end());
      found->second.use += each.use;
    }
  }
  // --- plans ----------------------------------------------------------------------------------
  template <class PlanEvent>
  requires std::is_invocable_v<PlanChanges&, const PlanEvent&>
  void operator()(const PlanEvent& event) { plans_(event); }

 private:
  /// Changes a request and keeps the queue and the timers in step with it.
  template <class Change>
  void change(RequestId id, Change change) {
    const auto found = s_.requests_.find(id);
    CHECK(found != s_.requests_.end());
    auto& request = found->second;
    s_.unfile(request);
    const bool had_ended = request::terminal(request.state);
    const auto before = level_of(request);
    change(request);
    if (!had_ended && request::terminal(request.state)) request.ended = at_;
    s_.file(request);
    s_.history_.change(shape_of(request), before, level_of(request), at_);
  }

  /// What is asked for becomes another shape.
  void change_tier(RequestId id, const std::string& tier) {
    auto& request = s_.requests_.at(id);
    if (request.tier == tier) return;
    const auto level = level_of(request);
    s_.unfile(request);
    s_.history_.change(shape_of(request), level, {}, at_);
    request.tier = tier;
    s_.history_.change(shape_of(request), {}, level, at_);
    s_.file(request);
  }

  template <class Change>
  const request::Lease& change(LeaseId id, Change change) {
    const auto found = s_.leases_.find(id);
    CHECK(found != s_.leases_.end());
    const auto before = s_.file_of(found->second);
    change(found->second);
    s_.refile(found->second, before, s_.file_of(found->second));
    return found->second;
  }

  /// Of the leases of one request only the last is kept.
  void forget_if_ended(LeaseId id) {
    const auto found = s_.leases_.find(id);
    if (found != s_.leases_.end() && found->second.state == LeaseState::kEnded)
      s_.leases_.erase(found);
  }

  /// Adds the instances of the pool's static layout that the GPU lacks and has room for.
  void lay_out(GpuIndex index) {
    const auto& pool = s_.fleet_.pool_of(index);
    if (!pool.fixed()) return;
    const auto& layouts = s_.catalog_->model(pool.model).layouts;
    auto& gpu = s_.fleet_.gpu(index);
    const auto occupancy = fleet::occupancy_of(gpu);
    catalog::Layout present = occupancy.held | occupancy.idle;
    if (!occupancy.empty() && occupancy.technology != catalog::Technology::kMig) return;
    for (std::size_t i = 0; i < layouts.instances().size(); ++i) {
      const auto instance = static_cast<catalog::InstanceIndex>(i);
      const auto wanted = catalog::bit(instance) & pool.static_layout & layouts.addable(present);
      if (wanted == 0) continue;
      present |= wanted;
      gpu.slices.push_back(
          {fleet::MigSlice{instance}, SlicePhase::kIdle, ++gpu.generation, LeaseId(), {}});
    }
  }

  void retune() { s_.index_.retune(s_.demand_.typical(), s_.fleet_, *s_.catalog_, s_.tiers_); }
  void refresh(GpuIndex gpu) { slices_.refresh(gpu); }
  void refresh(NodeIndex node) { s_.index_.refresh_node(node, s_.fleet_, *s_.catalog_); }

  State& s_;
  Instant at_;
  SliceChanges slices_;
  PlanChanges plans_;
};

void State::apply(const Event& event, Instant at) {
  std::visit(Applier(*this, at), event);
}

}  // namespace tessera::control
