#include "simulation/mig_fleet.h"

#include <algorithm>
#include <bit>
#include <string>

#include "base/check.h"
#include "control/decide.h"
#include "control/step.h"

namespace tessera::simulation {
namespace {

using namespace std::chrono_literals;
using catalog::Isolation;
using catalog::Technology;
using planning::Kind;

const tenancy::Actor kChurner{"simulation", tenancy::Role::kAdmin, {}};
constexpr auto kChurnTeam = "churn";
constexpr auto kChurnTier = "partitions";
constexpr auto kPool = "pool";
constexpr base::Instant kOneMoment{};
constexpr int kGpusPerNode = 8;

control::Apply documents_of(catalog::ModelIndex model, int gpus) {
  control::Apply apply;
  apply.documents.push_back(control::PutTier{{.name = kChurnTier,
                                              .isolation = Isolation::kPartition,
                                              .technologies = {Technology::kMig},
                                              .default_duration = 24h,
                                              .max_duration = 24h}});
  apply.documents.push_back(control::PutPool{
      {.name = kPool, .model = model, .tiers = {kChurnTier}, .technologies = {Technology::kMig}}});
  for (int first = 0; first < gpus; first += kGpusPerNode)
    apply.documents.push_back(control::PutNode{"node-" + std::to_string(first / kGpusPerNode),
                                               kPool,
                                               std::min(kGpusPerNode, gpus - first),
                                               {},
                                               {}});
  apply.documents.push_back(control::PutTeam{{.name = kChurnTeam}});
  return apply;
}

}  // namespace

MigFleet::MigFleet(std::shared_ptr<const catalog::Catalog> catalog, catalog::ModelIndex model,
                   int gpus)
    : state_(std::move(catalog)), model_(model), gpus_(static_cast<std::size_t>(gpus)) {
  const auto run = [&](const control::Command& command, const tenancy::Actor& actor) {
    const auto record = control::step(state_, command, actor, kOneMoment);
    CHECK_MSG(record.has_value(), base::to_string(record.error()));
  };
  free_slices_ = gpus * state_.catalog().model(model).memory_slices;
  run(documents_of(model, gpus), kChurner);
  for (std::size_t i = 0; i < state_.fleet().nodes().size(); ++i) {
    const auto name = state_.fleet().node(fleet::NodeIndex(i)).name;
    run(control::Report{{.node = name, .boot = "1"}}, {name, tenancy::Role::kAgent, name});
  }
}

void MigFleet::apply(std::vector<control::Event> events) {
  state_.apply(control::Record{state_.revision() + 1, kOneMoment, kChurner, std::move(events)});
}

request::Need MigFleet::need_of(std::uint16_t profile) const {
  const auto& wanted = state_.catalog().model(model_).profiles[profile];
  request::Need need;
  need.isolation = Isolation::kPartition;
  need.memory = wanted.memory.value_or(base::MiB());
  need.sms = wanted.sms.value_or(base::Sms());
  return need;
}

std::optional<placement::Spot> MigFleet::spot_for(const request::Need& need,
                                                  std::uint16_t profile) {
  const auto world = control::world_of(state_, *state_.find_team(kChurnTeam), &state_.rankings());
  auto matched = placement::match(world.for_matching(), need);
  CHECK_MSG(matched.has_value(), base::to_string(matched.error()));
  std::erase_if(matched->candidates, [&](const placement::Candidate& candidate) {
    return candidate.profile != profile;
  });
  auto spot = placement::place(world, *matched, need);
  if (!spot) return std::nullopt;
  return *std::move(spot);
}

placement::Spot MigFleet::spot_at(Place place) const {
  const auto& gpu = state_.fleet().gpu(place.gpu);
  const fleet::MigSlice slice{place.instance};
  return {.tier = kChurnTier,
          .pool = state_.fleet().node(gpu.node).pool,
          .node = gpu.node,
          .grants = {{.gpu = place.gpu, .shape = slice}},
          .cost = fleet::cost_of(slice, state_.catalog().model(model_))};
}

bool MigFleet::place(Job job) {
  const auto need = need_of(job.profile);
  const auto spot = spot_for(need, job.profile);
  if (!spot) return false;
  grant({.job = job}, *spot);
  return true;
}

int MigFleet::slices_of(std::uint16_t profile) const {
  return state_.catalog().model(model_).profiles[profile].memory_slices;
}

bool MigFleet::could_hold(Job job) const {
  return slices_of(job.profile) <= free_slices_;
}

/// A job without a request gets one.
void MigFleet::grant(Held held, const placement::Spot& spot) {
  const auto& slice = spot.grants.at(0);
  held.place = {slice.gpu, std::get<fleet::MigSlice>(slice.shape).instance};
  std::vector<control::Event> events;
  request::Request fresh{.id = state_.next_request(),
                         .state = request::RequestState::kApproved,
                         .tier = kChurnTier,
                         .need = need_of(held.job.profile),
                         .team = kChurnTeam};
  if (held.request.valid()) {
    events.emplace_back(control::grant(state_, *state_.find(held.request), spot, kOneMoment));
  } else {
    held.request = fresh.id;
    events.emplace_back(control::RequestSubmitted{fresh});
    events.emplace_back(control::grant(state_, fresh, spot, kOneMoment));
  }
  apply(std::move(events));
  free_slices_ -= slices_of(held.job.profile);
  jobs_[held.job.id] = held.place;
  gpus_[held.place.gpu.value()][held.place.instance] = held;
}

MigFleet::Held MigFleet::take_away(Place place, bool for_good) {
  auto& here = gpus_[place.gpu.value()];
  const auto held = here.at(place.instance);
  here.erase(place.instance);
  jobs_.erase(held.job.id);
  free_slices_ += slices_of(held.job.profile);
  const auto& lease = *state_.find(state_.find(held.request)->lease);
  const auto id = lease.id;
  std::vector<control::Event> events{control::LeaseEnding{
      id, for_good ? base::Reason::kReleased : base::Reason::kPreempted, "", !for_good}};
  events.emplace_back(control::SliceFreed{place.gpu, lease.slices.at(0).generation, false});
  events.emplace_back(control::LeaseEnded{id, kOneMoment});
  if (for_good) events.emplace_back(control::RequestForgotten{held.request, id});
  apply(std::move(events));
  return held;
}

void MigFleet::end(JobId job) {
  take_away(jobs_.at(job), true);
}

planning::Problem MigFleet::problem_of(const std::vector<std::size_t>& gpus) const {
  std::vector<planning::GpuState> states;
  for (const auto gpu : gpus) {
    planning::GpuState state{.model = model_};
    for (const auto& [instance, held] : gpus_[gpu]) {
      state.layout |= catalog::bit(instance);
      state.weights.push_back(planning::kUnit);
    }
    state.leased = state.layout;
    states.push_back(std::move(state));
  }
  planning::Problem problem;
  problem.classes = planning::merge(states, std::vector<std::int64_t>(gpus.size(), 1));
  // Entries are known by the number of their GPU from here on.
  for (auto& one : problem.classes)
    for (auto& share : one.entries) share.entry = gpus[share.entry];
  return problem;
}

planning::Problem MigFleet::problem() const {
  return problem(gpus_.size());
}

planning::Problem MigFleet::problem(std::size_t most) const {
  const auto& model = state_.catalog().model(model_);
  std::vector<std::pair<int, std::size_t>> order;
  for (std::size_t i = 0; i < gpus_.size(); ++i) {
    int held = 0;
    for (const auto& [instance, who] : gpus_[i]) held += model.profile_of(instance).memory_slices;
    order.emplace_back(held, i);
  }
  std::ranges::sort(order);
  if (order.size() > most) order.resize(most);
  std::vector<std::size_t> chosen;
  for (const auto& [held, gpu] : order) chosen.push_back(gpu);
  return problem_of(chosen);
}

std::vector<JobId> MigFleet::carry_out(const planning::Problem& problem, const planning::Plan& plan,
                                       const std::vector<Job>& jobs) {
  const auto& layouts = state_.catalog().model(model_).layouts;
  std::vector<Held> movers;
  std::map<std::uint16_t, std::vector<Place>> places;  // that are made, by profile
  std::vector<Place> leave;
  for (const auto& [gpus, target] : plan.layouts) {
    const auto& entries = problem.classes[gpus.of_class].entries;
    for (auto i = gpus.first; i < gpus.first + gpus.count; ++i) {
      const fleet::GpuIndex gpu(entries[static_cast<std::size_t>(i)].entry);
      const auto before = problem.classes[gpus.of_class].state.layout;
      for (auto rest = before & ~target; rest != 0; rest &= rest - 1)
        leave.push_back({gpu, static_cast<catalog::InstanceIndex>(std::countr_zero(rest))});
      for (auto rest = target & ~before; rest != 0; rest &= rest - 1) {
        const auto instance = static_cast<catalog::InstanceIndex>(std::countr_zero(rest));
        places[layouts.instance(instance).profile].push_back({gpu, instance});
      }
    }
  }
  for (const auto place : leave) movers.push_back(take_away(place, false));
  const auto next_place = [&](std::uint16_t profile) -> std::optional<Place> {
    auto& its = places[profile];
    if (its.empty()) return std::nullopt;
    const auto place = its.back();
    its.pop_back();
    return place;
  };
  for (const auto& held : movers) {
    const auto place = next_place(held.job.profile);
    CHECK(place.has_value());
    grant(held, spot_at(*place));
  }
  std::vector<JobId> served;
  for (const auto& job : jobs) {
    const auto place = next_place(job.profile);
    if (!place) continue;
    grant({.job = job}, spot_at(*place));
    served.push_back(job.id);
  }
  return served;
}

}  // namespace tessera::simulation
