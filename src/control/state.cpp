#include "control/state.h"

#include <algorithm>

#include "base/check.h"
#include "control/plan_window.h"

namespace tessera::control {
namespace {

template <class Map, class Key>
auto* find_in(Map& map, const Key& key) {
  const auto found = map.find(key);
  return found == map.end() ? nullptr : &found->second;
}

/// Due times are kept as (when, id) in order.
template <class Id>
std::vector<Id> due(const base::SortedSet<std::pair<Instant, Id>>& timers, Instant now,
                    std::size_t most) {
  std::vector<Id> found;
  for (const auto& [at, id] : timers) {
    if (at > now || found.size() == most) break;
    found.push_back(id);
  }
  return found;
}

/// A broken node may hold on to the slices of a request that has ended long ago.
bool forgettable(const request::Request& request) {
  return request::terminal(request.state) && request.open_leases == 0;
}

bool waits(const request::Request& request) {
  return request.state == request::RequestState::kQueued ||
         request.state == request::RequestState::kPendingApproval;
}

}  // namespace

State::State(std::shared_ptr<const catalog::Catalog> catalog) : catalog_(std::move(catalog)) {}

State State::clone() const {
  State copy(catalog_);
  copy.revision_ = revision_;
  copy.last_change_ = last_change_;
  copy.next_request_ = next_request_;
  copy.next_lease_ = next_lease_;
  copy.tiers_ = tiers_;
  copy.teams_ = teams_;
  copy.tokens_ = tokens_;
  copy.fleet_ = fleet_;
  copy.requests_ = requests_;
  copy.leases_ = leases_;
  copy.demand_ = demand_;
  copy.use_marks_ = use_marks_;
  copy.incarnations_ = incarnations_;
  copy.writes_as_ = writes_as_;
  copy.report_order_ = report_order_;
  copy.next_plan_ = next_plan_;
  copy.plans_ = plans_;
  copy.history_ = history_;
  copy.rebuild();
  return copy;
}

const Plan* State::find(PlanId id) const {
  return find_in(plans_, id);
}

const request::Request* State::find(RequestId id) const {
  return find_in(requests_, id);
}
const request::Lease* State::find(LeaseId id) const {
  return find_in(leases_, id);
}
const tenancy::Tier* State::find_tier(std::string_view name) const {
  return find_in(tiers_, name);
}
const tenancy::Team* State::find_team(std::string_view name) const {
  return find_in(teams_, name);
}

const tenancy::Token* State::find_token_by_digest(std::string_view digest) const {
  const auto* name = find_in(token_by_digest_, digest);
  return name ? find_in(tokens_, *name) : nullptr;
}

const request::Request* State::find_by_key(std::string_view actor, std::string_view key) const {
  if (key.empty()) return nullptr;
  const auto* id = find_in(request_by_key_, std::pair(std::string(actor), std::string(key)));
  return id ? find(*id) : nullptr;
}

fleet::Cost State::usage(std::string_view team, fleet::PoolIndex pool) const {
  const auto& use = use_by(team);
  return pool.value() < use.size() ? use[pool.value()] : fleet::Cost{};
}

const placement::UseByPool& State::use_by(std::string_view team) const {
  const auto* use = find_in(use_, team);
  return use ? *use : no_use_;
}

std::uint64_t State::use_counted(std::string_view node, std::string_view stream) const {
  const auto* marks = find_in(use_marks_, node);
  if (marks == nullptr) return 0;
  const auto found = std::ranges::find(*marks, stream, &fleet::UseMark::stream);
  return found == marks->end() ? 0 : found->sequence;
}

std::optional<Instant> State::next_due() const {
  std::optional<Instant> next;
  const auto earliest = [&next](const auto& timers) {
    if (!timers.empty()) next = std::min(next.value_or(Instant::max()), timers.front().first);
  };
  earliest(lease_ends_);
  earliest(lease_notices_);
  earliest(request_timers_);
  if (const auto* plan = applying())
    next = std::min({next.value_or(Instant::max()), plan->progressed + kPlanPatience,
                     cut_short_at(*plan), next_stop(*plan)});
  if (const auto window = next_window(*this))
    next = std::min(next.value_or(Instant::max()), *window);
  return next;
}

std::vector<LeaseId> State::due_leases(Instant now, std::size_t most) const {
  auto leases = due(lease_ends_, now, most);
  for (const auto id : due(lease_notices_, now, most - leases.size()))
    if (find(id)->expires > now) leases.push_back(id);  // else it is among those that end
  return leases;
}
std::vector<RequestId> State::due_requests(Instant now, std::size_t most) const {
  return due(request_timers_, now, most);
}

int State::waiting_of(std::string_view team) const {
  const auto* waiting = find_in(waiting_by_team_, team);
  return waiting ? *waiting : 0;
}

void State::file(const request::Request& request) {
  if (waits(request)) ++waiting_by_team_[request.team];
  if (request.state == request::RequestState::kQueued) waiting_.add(request);
  if (forgettable(request)) request_timers_.emplace(request.ended + kRequestMemory, request.id);
}

void State::unfile(const request::Request& request) {
  if (waits(request) && --waiting_by_team_.at(request.team) == 0)
    waiting_by_team_.erase(request.team);
  if (request.state == request::RequestState::kQueued) waiting_.remove(request);
  if (forgettable(request)) request_timers_.erase({request.ended + kRequestMemory, request.id});
}

void State::file_key(const request::Request& request) {
  if (!request.idempotency_key.empty())
    request_by_key_[{request.submitted_by, request.idempotency_key}] = request.id;
}

void State::unfile_key(const request::Request& request) {
  if (!request.idempotency_key.empty())
    request_by_key_.erase({request.submitted_by, request.idempotency_key});
}

State::LeaseFile State::file_of(const request::Lease& lease) const {
  LeaseFile file{.counted = lease.state != request::LeaseState::kEnded || owed_.contains(lease.id)};
  if (!promised(lease)) return file;
  file.end = lease.expires;
  if (lease.state != request::LeaseState::kActive) return file;
  if (const auto* tier = find_tier(lease.tier)) file.notice = lease.expires - tier->notice;
  return file;
}

void State::refile(const request::Lease& lease, const LeaseFile& before, const LeaseFile& after) {
  const auto move = [&](auto& times, const auto& from, const auto& to) {
    if (from == to) return;
    if (from) times.erase({*from, lease.id});
    if (to) times.insert({*to, lease.id});
  };
  move(lease_ends_, before.end, after.end);
  move(lease_notices_, before.notice, after.notice);
  if (before.counted == after.counted) return;
  const int sign = after.counted ? 1 : -1;
  auto& use = use_[lease.team];
  if (use.size() <= lease.pool.value()) use.resize(lease.pool.value() + 1);
  const auto charge = [&](fleet::Cost& sum) {
    sum.compute += lease.cost.compute * sign;
    sum.memory += lease.cost.memory * sign;
  };
  charge(use[lease.pool.value()]);
  auto& tier = use_by_tier_[lease.tier];
  charge(tier.cost);
  tier.slices += sign * static_cast<int>(lease.slices.size());
}

void State::rebuild() {
  fleet_.reindex();
  applying_ = {};
  for (const auto& [id, plan] : plans_)
    if (plan.state == PlanState::kApplying) applying_ = id;
  owed_.clear();
  if (const auto* plan = applying())
    for (const auto id : owed_by(*plan)) owed_.insert(id);
  index_.rebuild(demand_.typical(), fleet_, *catalog_, tiers_);
  rankings_ = placement::NodeRankings();
  use_.clear();
  use_by_tier_.clear();
  waiting_.clear();
  waiting_by_team_.clear();
  lease_ends_.clear();
  lease_notices_.clear();
  request_timers_.clear();
  token_by_digest_.clear();
  request_by_key_.clear();
  history_.clear_levels();
  for (const auto& [name, token] : tokens_) token_by_digest_[token.digest] = name;
  for (const auto& [id, request] : requests_) {
    file(request);
    file_key(request);
    history_.count(shape_of(request), level_of(request));
  }
  for (const auto& [id, lease] : leases_) refile(lease, {}, file_of(lease));
}

void State::apply(const Record& record) {
  CHECK_MSG(record.revision == revision_ + 1, std::to_string(record.revision));
  for (const auto& event : record.events) apply(event, record.at);
  commit(record);
}

void State::commit(const Record& record) {
  revision_ = record.revision;
  last_change_ = record.at;
  if (incarnations_.empty() || incarnations_.back().number != record.incarnation) {
    CHECK_MSG(incarnations_.empty() || record.incarnation > incarnations_.back().number,
              std::to_string(record.incarnation));
    if (incarnations_.size() == kIncarnationsKept) incarnations_.erase(incarnations_.begin());
    incarnations_.push_back({record.incarnation, record.at, record.revision});
  }
  incarnations_.back().last_revision = record.revision;
}

void State::begin_incarnation(Instant clock) {
  const auto now = std::max<std::int64_t>(clock.time_since_epoch().count(), 0);
  writes_as_ = std::max(static_cast<std::uint64_t>(now), incarnation() + 1);
}

std::optional<Instant> State::parted_from(const fleet::Moment& moment) const {
  if (moment.revision == 0) return std::nullopt;  // it has heard nothing at all
  const auto next =
      std::ranges::upper_bound(incarnations_, moment.incarnation, {}, &Incarnation::number);
  if (next != incarnations_.begin()) {
    const auto& same = *std::prev(next);
    if (same.number == moment.incarnation && moment.revision <= same.last_revision)
      return std::nullopt;
  }
  return next == incarnations_.end() ? Instant::max() : next->since;
}

}  // namespace tessera::control
