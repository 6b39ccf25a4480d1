#include "simulation/books.h"

#include <algorithm>
#include <map>
#include <set>

#include "simulation/faults.h"

namespace tessera::simulation {

using base::Reason;
using control::Record;
using request::LeaseId;
using request::RequestState;

/// One record being entered.
class Entry {
 public:
  Entry(Books& books, const Record& record) : b_(books), record_(record) {}

  // --- documents and nodes --------------------------------------------------------------------
  void operator()(const control::TierPut& event) { b_.tiers_[event.tier.name] = event.tier; }
  void operator()(const control::TeamPut& event) { b_.teams_[event.team.name] = event.team; }
  void operator()(const control::PoolPut& event) {
    const auto known = std::ranges::find(b_.pools_, event.pool.name, &fleet::Pool::name);
    if (known == b_.pools_.end())
      b_.pools_.push_back(event.pool);
    else
      *known = event.pool;
  }
  void operator()(const control::NodePut& event) {
    auto known = std::ranges::find(b_.nodes_, event.name, &Books::NodePage::name);
    if (known == b_.nodes_.end())
      known = b_.nodes_.insert(known, {.name = event.name, .pool = event.pool});
    known->cpu = event.cpu;
    known->memory = event.memory;
    const auto index = static_cast<std::size_t>(known - b_.nodes_.begin());
    for (; known->gpus < static_cast<std::size_t>(event.gpus); ++known->gpus)
      b_.gpus_.push_back({.node = index, .last_generation = b_.retired_[event.name]});
  }
  void operator()(const control::NodeDeleted& event) {
    const auto known = std::ranges::find(b_.nodes_, event.name, &Books::NodePage::name);
    need(known != b_.nodes_.end(), "a node was deleted that is not there");
    for (const auto& page : b_.gpus_) {
      if (&b_.nodes_[page.node] != &*known) continue;
      need(page.held.empty(), "a node was deleted with slices on it");
      auto& last = b_.retired_[event.name];
      last = std::max(last, page.last_generation);
    }
    *known = {};  // its place stays: later nodes are numbered on
  }
  void operator()(const control::NodeCordoned& event) {
    node(event.node).cordoned = event.cordoned;
  }
  void operator()(const control::NodeReady& event) { node(event.node).ready = true; }
  void operator()(const control::NodeLost& event) { node(event.node).ready = false; }
  void operator()(const control::GpuHealthChanged& event) {
    gpu(event.gpu).healthy = event.health == fleet::Health::kHealthy;
  }

  // --- requests -------------------------------------------------------------------------------
  void operator()(const control::RequestSubmitted& event) {
    const auto& request = event.request;
    need(!b_.requests_.contains(request.id), "a request number was used twice");
    need(record_.actor.may_act_for(request.team), "a request by someone of another team");
    if (!request.idempotency_key.empty())
      need(b_.keys_.emplace(request.submitted_by, request.idempotency_key).second,
           "one key made two requests");
    b_.requests_[request.id] = {request.team, request.need, request.state, {}};
  }
  void operator()(const control::RequestMoved& event) {
    auto& page = request(event.request);
    need(may_follow(page.state, event.state), "a request moved where it cannot go");
    if (event.state == RequestState::kCancelled)
      need(record_.actor.may_act_for(page.team), "a request was cancelled by another team");
    page.state = event.state;
  }
  void operator()(const control::RequestForgotten& event) {
    need(request::terminal(request(event.request).state), "a living request was forgotten");
    for (const auto& [id, page] : b_.leases_)
      need(page.lease.request != event.request || page.ended,
           "a request was forgotten that still holds slices");
    b_.leases_.erase(request(event.request).lease);
    b_.requests_.erase(event.request);
  }

  // --- leases ---------------------------------------------------------------------------------
  void check_queue(request::RequestId id) const;
  void operator()(const control::LeaseGranted& event);
  void operator()(const control::SliceReady& event) {
    auto& held = slice(event.gpu, event.generation);
    need(held.phase == Books::Phase::kPreparing || held.phase == Books::Phase::kReady,
         "a slice became ready that nobody waits for");
    need(!event.device.empty(), "a slice is ready without a device");
    held.phase = Books::Phase::kReady;
  }
  void operator()(const control::SliceFailed& event) {
    slice(event.gpu, event.generation).phase = Books::Phase::kFailed;
    some_slice_failed_ = true;
  }
  void operator()(const control::SliceFreed& event) {
    auto& page = lease(slice(event.gpu, event.generation).lease);
    const auto left = std::erase_if(page.leaving, [&](const request::LeasedSlice& each) {
      return each.gpu == event.gpu && each.generation == event.generation;
    });
    need(page.ending || left == 1, "a slice was freed under its lease");
    gpu(event.gpu).held.erase(event.generation);
  }
  void operator()(const control::LeaseActivated& event) {
    auto& page = lease(event.lease);
    for (const auto& each : page.lease.slices)
      need(slice(each.gpu, each.generation).phase == Books::Phase::kReady,
           "a lease became active before all its slices were ready");
    page.activated = event.at;
    set(page, RequestState::kActive);
  }
  void operator()(const control::LeaseExpiring& event) {
    set(lease(event.lease), RequestState::kExpiring);
  }
  void operator()(const control::LeaseRenewed& event) {
    auto& page = lease(event.lease);
    need(!page.ending, "a lease that is over was renewed");
    need(record_.actor.may_act_for(page.lease.team), "a lease was renewed by another team");
    need(event.expires > page.lease.expires, "a renewal shortened a lease");
    need(event.expires - record_.at <= b_.tiers_.at(page.lease.tier).max_duration,
         "a renewal beyond the tier's longest");
    page.lease.expires = event.expires;
    set(page, RequestState::kActive);
  }
  void operator()(const control::LeaseEnding& event);
  void operator()(const control::LeaseEnded& event) {
    auto& page = lease(event.lease);
    need(page.ending && !page.ended, "a lease ended that was not ending");
    for (const auto& each : page.lease.slices)
      need(!gpu(each.gpu).held.contains(each.generation),
           "a lease ended before all its slices were verified free");
    need(!page.arriving && page.leaving.empty(),
         "a lease ended while something of a move of it was left");
    page.ended = true;
    use_of(page.lease) -= page.lease.cost;
    for (const auto index : hosts_of(page.lease)) {
      auto& on = node(index);
      on.cpu_used -= page.lease.cpu;
      on.memory_used -= page.lease.host_memory;
    }
    auto& asked = request(page.lease.request);
    if (asked.lease == event.lease && asked.state == RequestState::kReleasing)
      asked.state = RequestState::kReleased;
  }

  // --- plans ----------------------------------------------------------------------------------
  void operator()(const control::PlanPut& event) {
    need(!b_.plans_.contains(event.plan->id), "a plan number was used twice");
    b_.plans_[event.plan->id] = {*event.plan};
  }
  void operator()(const control::PlanStarted& event);
  void operator()(const control::PlanAdvanced& event) {
    need(plan(event.plan).applying, "a plan went on that is not being applied");
    for (const auto index : event.released) gpu(index).changing = false;
  }
  void operator()(const control::PlanEnded& event);
  void operator()(const control::LeaseMoving& event);
  void operator()(const control::LeaseMoved& event);
  void operator()(const control::RestartAnnounced& event);
  void operator()(const control::RestartPlaced& event) { placed_ = event.lease; }
  void operator()(const control::LeaseStays& event) { give_up(lease(event.lease)); }
  void operator()(const auto&) {}

 private:
  void need(bool promise, const std::string& what) const {
    if (!promise)
      throw Violation("Books: revision " + std::to_string(record_.revision) + " at " +
                      base::to_string(record_.at) + ": " + what);
  }
  template <class Map, class Key>
  auto& find(Map& map, Key key, const char* what) const {
    const auto found = map.find(key);
    need(found != map.end(), std::string("an event names ") + what + " that is not there");
    return found->second;
  }
  Books::NodePage& node(fleet::NodeIndex index) const { return b_.nodes_.at(index.value()); }
  Books::GpuPage& gpu(fleet::GpuIndex index) const { return b_.gpus_.at(index.value()); }
  /// The nodes of a lease.
  std::set<fleet::NodeIndex> hosts_of(const request::Lease& lease) const {
    std::set<fleet::NodeIndex> hosts;
    for (const auto& each : lease.slices) hosts.insert(fleet::NodeIndex(gpu(each.gpu).node));
    return hosts;
  }
  Books::RequestPage& request(request::RequestId id) const {
    return find(b_.requests_, id, "a request");
  }
  Books::LeasePage& lease(LeaseId id) const { return find(b_.leases_, id, "a lease"); }
  Books::PlanPage& plan(control::PlanId id) const { return find(b_.plans_, id, "a plan"); }
  Books::Held& slice(fleet::GpuIndex index, std::uint64_t generation) const {
    return find(gpu(index).held, generation, "a slice");
  }
  fleet::Cost& use_of(const request::Lease& lease) const {
    return b_.use_[{lease.team, b_.pools_.at(lease.pool.value()).name}];
  }
  bool deletes(const std::string& node) const {
    return std::ranges::any_of(record_.events, [&](const auto& event) {
      const auto* deleted = std::get_if<control::NodeDeleted>(&event);
      return deleted != nullptr && deleted->name == node;
    });
  }
  void set(const Books::LeasePage& page, RequestState state) const {
    request(page.lease.request).state = state;
  }

  /// What was being prepared for a lease is taken down.
  void give_up(Books::LeasePage& page) const {
    need(page.arriving.has_value(), "a lease stays that was not moving");
    const auto found = gpu(page.arriving->gpu).held.find(page.arriving->generation);
    if (found != gpu(page.arriving->gpu).held.end()) found->second.phase = Books::Phase::kEnding;
    page.leaving.push_back(*page.arriving);
    page.arriving.reset();
  }
  void check_stop(const Books::LeasePage& page, const control::LeaseEnding& event) const;
  void check_promise(const request::Lease& lease, const Books::RequestPage& asked) const;
  void hold(const request::Lease& lease, const request::LeasedSlice& slice, bool for_plan) const;
  void charge(const request::Lease& lease) const;

  Books& b_;
  const Record& record_;
  bool some_slice_failed_ = false;
  LeaseId placed_;  ///< granted by a plan to what it has stopped
};

void Entry::operator()(const control::LeaseGranted& event) {
  const auto& lease = event.lease;
  auto& asked = request(lease.request);
  need(!b_.leases_.contains(lease.id), "a lease number was used twice");
  need(asked.state == RequestState::kQueued || asked.state == RequestState::kApproved ||
           asked.state == RequestState::kPendingApproval,
       "a lease was granted to a request that does not wait");
  need(lease.team == asked.team, "a lease was granted to another team");
  check_promise(lease, asked);
  const bool restarted = placed_ == lease.id;
  for (const auto& each : lease.slices) hold(lease, each, restarted);
  charge(lease);
  asked.state = RequestState::kProvisioning;
  asked.lease = lease.id;
  b_.leases_[lease.id] = {lease};
  ++b_.granted_;
}

/// May one more request of the team wait?
void Entry::check_queue(request::RequestId id) const {
  const auto waits = [](const Books::RequestPage& page) {
    return page.state == RequestState::kQueued || page.state == RequestState::kPendingApproval;
  };
  const auto& asked = request(id);
  if (!waits(asked)) return;
  const auto waiting = std::ranges::count_if(b_.requests_, [&](const auto& entry) {
    return entry.second.team == asked.team && waits(entry.second);
  });
  need(waiting <= find(b_.teams_, asked.team, "a team").max_waiting,
       "more requests of a team wait than may");
}

/// Is it what was asked for?
void Entry::check_promise(const request::Lease& lease, const Books::RequestPage& asked) const {
  const auto& pool = b_.pools_.at(lease.pool.value());
  const auto& model = b_.catalog_.model(pool.model);
  const auto& tier = find(b_.tiers_, lease.tier, "a tier");
  std::map<fleet::NodeIndex, int> parts;
  for (const auto& each : lease.slices) ++parts[fleet::NodeIndex(gpu(each.gpu).node)];
  for (const auto& [index, slices] : parts) {
    const auto& on = node(index);
    need(on.ready && !on.cordoned && on.pool == pool.name, "a grant on a node that takes none");
    need(slices == asked.need.count, "not the count asked");
  }
  need(parts.size() == static_cast<std::size_t>(asked.need.nodes), "not the nodes asked");
  need(pool.carries(tier.name) && tier.admits(lease.team), "a grant in a tier that is closed");
  need(asked.need.models.empty() || std::ranges::count(asked.need.models, model.key) == 1,
       "not a model asked for");
  need(asked.need.pool.empty() || asked.need.pool == pool.name, "not the pool asked for");
  need(lease.expires - lease.granted <= tier.max_duration, "longer than the tier lends");
  for (const auto& each : lease.slices) {
    const auto given = tier.isolation_with(fleet::technology_of(each.shape));
    need(given && *given >= asked.need.isolation, "weaker isolation than asked");
    need(fleet::memory_of(each.shape, model) >= asked.need.memory, "less memory than asked");
  }
}

/// Is it free?
void Entry::hold(const request::Lease& lease, const request::LeasedSlice& leased,
                 bool for_plan) const {
  auto& page = gpu(leased.gpu);
  const auto& model = b_.catalog_.model(b_.pools_.at(lease.pool.value()).model);
  need(page.healthy, "a grant on a GPU that is out of service");
  need(page.changing == for_plan,
       "a grant on a GPU that a plan changes, or a move to one it does "
       "not");
  need(leased.generation > page.last_generation, "a generation was handed out twice");
  page.last_generation = leased.generation;
  base::MiB shared;
  for (const auto& [generation, held] : page.held) {
    const auto label = " of lease-" + std::to_string(held.lease.value()) + ", not verified free";
    need(held.shape.index() == leased.shape.index(), "a grant beside another technology" + label);
    need(!std::holds_alternative<fleet::WholeSlice>(leased.shape), "a whole GPU over one" + label);
    if (const auto* mig = std::get_if<fleet::MigSlice>(&leased.shape)) {
      const auto& other = std::get<fleet::MigSlice>(held.shape);
      need(!model.layouts.instance(mig->instance)
                .placement.overlaps(model.layouts.instance(other.instance).placement),
           "a grant over a slice" + label);
    }
    const auto* theirs = std::get_if<fleet::ShareSlice>(&held.shape);
    const auto* ours = std::get_if<fleet::ShareSlice>(&leased.shape);
    if (theirs == nullptr || ours == nullptr) continue;
    shared += theirs->memory;
    need(std::min(theirs->tenants, ours->tenants) > page.held.size(),
         "a share on a GPU with more tenants than promised" + label);
    need(theirs->isolation == ours->isolation, "a guarded share beside an unguarded one" + label);
  }
  if (const auto* share = std::get_if<fleet::ShareSlice>(&leased.shape))
    need(shared + share->memory <= model.memory, "more memory was shared out than there is");
  page.held[leased.generation] = {leased.shape, lease.id};
}

void Entry::operator()(const control::PlanStarted& event) {
  for (const auto& [id, page] : b_.plans_) need(!page.applying, "two plans at once");
  auto& page = plan(event.plan);
  page.applying = true;
  page.may_restart = event.may_restart;
  for (const auto& planned : page.plan.gpus)
    if (!std::ranges::binary_search(event.left_out, planned.gpu)) gpu(planned.gpu).changing = true;
}

void Entry::operator()(const control::PlanEnded& event) {
  auto& page = plan(event.plan);
  if (page.applying) {
    for (const auto& planned : page.plan.gpus) gpu(planned.gpu).changing = false;
    for (const auto& [id, each] : b_.leases_)
      need(!each.arriving, "a plan ended while a lease was moving");
  }
  page.applying = false;
}

/// May the lease be moved there, and is it one of the plan's moves?
void Entry::operator()(const control::LeaseMoving& event) {
  auto& page = lease(event.lease);
  const auto& moves = plan(event.plan).plan.moves;
  need(plan(event.plan).applying && event.move < moves.size() &&
           moves[event.move].lease == event.lease && moves[event.move].to == event.to.gpu,
       "a move that is not the plan's");
  need(!page.ending && !page.arriving, "a lease was moved that is over or moves already");
  need(page.lease.slices.size() == 1, "a lease of several slices was moved");
  need(find(b_.tiers_, page.lease.tier, "a tier").movable, "a lease was moved that must stay");
  const auto& own = page.lease.slices.front();
  need(slice(own.gpu, own.generation).phase == Books::Phase::kReady,
       "a lease was moved from a slice that it does not use");
  const auto& pool = b_.pools_.at(page.lease.pool.value());
  const auto& model = b_.catalog_.model(pool.model);
  const auto profile = [&](const fleet::SliceShape& shape) {
    const auto* mig = std::get_if<fleet::MigSlice>(&shape);
    need(mig != nullptr, "something other than an instance was moved");
    return model.layouts.instance(mig->instance).profile;
  };
  need(profile(own.shape) == profile(event.to.shape), "a lease was moved to another profile");
  const auto& on = b_.nodes_.at(gpu(event.to.gpu).node);
  need(on.ready && !on.cordoned && on.pool == pool.name, "a move to a node that takes none");
  hold(page.lease, event.to, true);
  page.arriving = event.to;
}

/// It changes over to what is ready, and what it leaves is cleaned.
void Entry::operator()(const control::LeaseMoved& event) {
  auto& page = lease(event.lease);
  need(!page.ending && page.arriving.has_value(), "a lease changed over that was not moving");
  need(slice(page.arriving->gpu, page.arriving->generation).phase == Books::Phase::kReady,
       "a lease changed over to a slice that is not ready");
  auto& own = page.lease.slices.front();
  slice(own.gpu, own.generation).phase = Books::Phase::kEnding;
  page.leaving.push_back(own);
  own = *page.arriving;
  page.arriving.reset();
  auto& before = node(page.lease.node);
  page.lease.node = fleet::NodeIndex(gpu(own.gpu).node);
  auto& after = node(page.lease.node);
  before.cpu_used -= page.lease.cpu;
  before.memory_used -= page.lease.host_memory;
  after.cpu_used += page.lease.cpu;
  after.memory_used += page.lease.host_memory;
  need(after.cpu.count() == 0 || after.cpu_used <= after.cpu,
       "more host CPU was given than there is");
  need(after.memory.count() == 0 || after.memory_used <= after.memory,
       "more host memory was given than there is");
  ++b_.moved_;
}

/// May the team have it, and has the host room?
void Entry::charge(const request::Lease& lease) const {
  const auto& pool = b_.pools_.at(lease.pool.value());
  auto& use = use_of(lease);
  use += lease.cost;
  const auto* quota = find(b_.teams_, lease.team, "a team").quota(pool.name);
  if (quota != nullptr && quota->limit)
    need(use.within(*quota->limit), "a team is above its limit");
  for (const auto index : hosts_of(lease)) {
    auto& on = node(index);
    on.cpu_used += lease.cpu;
    on.memory_used += lease.host_memory;
    need(on.cpu.count() == 0 || on.cpu_used <= on.cpu, "more host CPU was given than there is");
    need(on.memory.count() == 0 || on.memory_used <= on.memory,
         "more host memory was given than there is");
  }
}

/// Only a plan that may restart leases ends one to make room: one of those it names, which it has
/// told, after the notice and not in its least time.
void Entry::check_stop(const Books::LeasePage& page, const control::LeaseEnding& event) const {
  const auto plan =
      std::ranges::find_if(b_.plans_, [](const auto& entry) { return entry.second.applying; });
  need(plan != b_.plans_.end() && plan->second.may_restart && event.requeue,
       "a lease was stopped that nobody agreed to");
  need(std::ranges::any_of(plan->second.plan.moves,
                           [&](const control::PlannedMove& move) {
                             return move.kind == control::MoveKind::kStop &&
                                    move.lease == event.lease;
                           }),
       "a lease was stopped that the plan does not name");
  const auto& tier = find(b_.tiers_, page.lease.tier, "a tier");
  need(tier.movable, "a lease was stopped that must stay");
  need(page.stop_not_before && record_.at >= *page.stop_not_before,
       "a lease was stopped before its holder was told so");
  need(record_.at >= page.activated + tier.min_runtime, "a lease was stopped in its least time");
}

/// Its holder is told early enough.
void Entry::operator()(const control::RestartAnnounced& event) {
  auto& page = lease(event.lease);
  need(!page.ending, "a restart of a lease that is over was announced");
  need(event.not_before >= record_.at + find(b_.tiers_, page.lease.tier, "a tier").notice,
       "a restart was announced without the tier's notice");
  page.stop_not_before = event.not_before;
}

/// Did somebody end it who may?
void Entry::operator()(const control::LeaseEnding& event) {
  auto& page = lease(event.lease);
  need(!page.ending, "a lease was ended twice");
  switch (event.reason) {
    case Reason::kExpired:
      need(record_.at >= page.lease.expires, "a lease expired before its time");
      break;
    case Reason::kReleased:
    case Reason::kCancelled:
      need(record_.actor.may_act_for(page.lease.team), "a lease was ended by another team");
      break;
    case Reason::kDeviceFailed:
      need(some_slice_failed_, "a device failed that did not");
      break;
    case Reason::kNodesAway:
      need(std::ranges::any_of(
               hosts_of(page.lease),
               [&](const auto index) { return !node(index).ready || deletes(node(index).name); }),
           "a node is away that is not");
      break;
    case Reason::kPreempted:
      check_stop(page, event);
      ++b_.restarted_;
      break;
    default:
      need(false, "a lease ended for no reason known");
  }
  page.ending = true;
  if (page.arriving) give_up(page);
  for (const auto& each : page.lease.slices) {
    const auto found = gpu(each.gpu).held.find(each.generation);
    if (found != gpu(each.gpu).held.end()) found->second.phase = Books::Phase::kEnding;
  }
  set(page, event.requeue ? RequestState::kQueued : RequestState::kReleasing);
}

void Books::note(const Record& record) {
  Entry entry(*this, record);
  for (const auto& event : record.events) std::visit(entry, event);
  for (const auto& event : record.events)
    if (const auto* submitted = std::get_if<control::RequestSubmitted>(&event))
      entry.check_queue(submitted->request.id);
}

std::string Books::overdue(base::Instant before) const {
  for (const auto& [id, page] : leases_)
    if (!page.ending && page.lease.expires < before)
      return "lease-" + std::to_string(id.value()) + " should have ended at " +
             base::to_string(page.lease.expires);
  return {};
}

}  // namespace tessera::simulation
