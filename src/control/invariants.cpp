#include "control/invariants.h"

#include <algorithm>
#include <bit>
#include <map>
#include <set>
#include <variant>

#include "control/decide.h"
#include "control/plan_invariants.h"
#include "control/step.h"

namespace tessera::control {
namespace {

using catalog::Layout;
using fleet::Gpu;
using fleet::MigSlice;
using fleet::SlicePhase;
using Violation = std::optional<std::string>;

/// The GPUs whose slices a step may have changed.
class ChangedGpus {
 public:
  explicit ChangedGpus(const State& state) : state_(state) {}
  std::set<GpuIndex> take() { return std::move(gpus_); }

  void operator()(const LeaseGranted& event) {
    for (const auto& slice : event.lease.slices) gpus_.insert(slice.gpu);
  }
  void operator()(const LeaseEnding& event) { add(event.lease); }
  void operator()(const LeaseMoving& event) { gpus_.insert(event.to.gpu); }
  void operator()(const LeaseMoved& event) { add(event.lease); }
  void operator()(const LeaseStays& event) { add(event.lease); }
  void operator()(const SliceReady& event) { gpus_.insert(event.gpu); }
  void operator()(const SliceFailed& event) { gpus_.insert(event.gpu); }
  void operator()(const SliceFreed& event) { gpus_.insert(event.gpu); }
  void operator()(const GpuHealthChanged& event) { gpus_.insert(event.gpu); }
  void operator()(const PoolPut& event) {
    if (const auto pool = state_.fleet().find_pool(event.pool.name))
      for (const auto node : state_.fleet().nodes_of(*pool)) add(node);
  }
  void operator()(const NodePut& event) {
    if (const auto node = state_.fleet().find_node(event.name)) add(*node);
  }
  void operator()(const auto&) {}

 private:
  void add(LeaseId id) {
    if (const auto* lease = state_.find(id))
      for (const auto& slice : request::held_by(*lease)) gpus_.insert(slice.gpu);
  }
  void add(fleet::NodeIndex node) {
    const auto& gpus = state_.fleet().node(node).gpus;
    gpus_.insert(gpus.begin(), gpus.end());
  }
  const State& state_;
  std::set<GpuIndex> gpus_;
};

/// An invariant of single GPUs: looks at those the step changed.
class PerGpu : public Invariant {
 public:
  Violation check(const State& state, const Record& record) override {
    ChangedGpus changed(state);
    for (const auto& event : record.events) std::visit(changed, event);
    for (const auto index : changed.take())
      if (auto broken = check_index(state, index)) return broken;
    return std::nullopt;
  }

  Violation check_all(const State& state) override {
    for (std::size_t i = 0; i < state.fleet().gpus().size(); ++i)
      if (auto broken = check_index(state, GpuIndex(i))) return broken;
    return std::nullopt;
  }

 private:
  Violation check_index(const State& state, GpuIndex index) {
    const auto& gpu = state.fleet().gpu(index);
    if (!gpu.node.valid()) return std::nullopt;
    const auto& model = state.catalog().model(state.fleet().pool_of(index).model);
    if (auto broken = check_gpu(state, gpu, model))
      return state.fleet().gpu_name(index) + ": " + *broken;
    return std::nullopt;
  }

  virtual Violation check_gpu(const State& state, const Gpu& gpu,
                              const catalog::GpuModel& model) = 0;
};

/// Every slice that is not idle has exactly one lease, which knows it.
class NoSliceHeldTwice final : public PerGpu {
  std::string_view name() const override { return "NoSliceHeldTwice"; }

  Violation check_gpu(const State& state, const Gpu& gpu, const catalog::GpuModel&) override {
    std::set<std::uint64_t> generations;
    for (const auto& slice : gpu.slices) {
      const auto label = "slice " + std::to_string(slice.generation);
      if (!generations.insert(slice.generation).second) return label + " is there twice";
      if (slice.generation > gpu.generation) return label + " is newer than the GPU's last";
      if (slice.phase == SlicePhase::kIdle) {
        if (slice.holder.valid()) return label + " is idle and held";
        continue;
      }
      const auto* lease = state.find(slice.holder);
      if (!lease) return label + " is held by a lease that does not exist";
      const bool known = std::ranges::any_of(request::held_by(*lease), [&](const auto& leased) {
        return leased.generation == slice.generation && leased.shape == slice.shape &&
               &state.fleet().gpu(leased.gpu) == &gpu;
      });
      if (!known) return label + " is unknown to its lease";
    }
    return std::nullopt;
  }
};

/// One technology per GPU; MIG instances form a layout the catalog allows; a whole GPU is alone.
class LayoutIsLegal final : public PerGpu {
  std::string_view name() const override { return "LayoutIsLegal"; }

  Violation check_gpu(const State&, const Gpu& gpu, const catalog::GpuModel& model) override {
    Layout layout = 0;
    std::set<catalog::Technology> technologies;
    for (const auto& slice : gpu.slices) {
      technologies.insert(fleet::technology_of(slice.shape));
      const auto* mig = std::get_if<MigSlice>(&slice.shape);
      if (!mig) continue;
      if (layout & catalog::bit(mig->instance)) return "an instance is there twice";
      layout |= catalog::bit(mig->instance);
    }
    if (!model.layouts.legal(layout)) return "the MIG layout is not legal";
    if (technologies.size() > 1) return "slices of several technologies";
    if (technologies.contains(catalog::Technology::kWhole) && gpu.slices.size() > 1)
      return "a whole GPU that is shared";
    return std::nullopt;
  }
};

/// No GPU gives more memory or compute than it has, and no grant exceeds its team's limit.
class CapacityNeverExceeded final : public PerGpu {
  std::string_view name() const override { return "CapacityNeverExceeded"; }

  Violation check(const State& state, const Record& record) override {
    for (const auto& event : record.events) {
      const auto* granted = std::get_if<LeaseGranted>(&event);
      if (!granted) continue;
      const auto& pool = state.fleet().pool(granted->lease.pool);
      const auto* team = state.find_team(granted->lease.team);
      const auto* quota = team ? team->quota(pool.name) : nullptr;
      if (quota && quota->limit &&
          !state.usage(team->name, granted->lease.pool).within(*quota->limit))
        return "team " + team->name + " is above its limit in pool " + pool.name;
    }
    return PerGpu::check(state, record);
  }

  Violation check_gpu(const State&, const Gpu& gpu, const catalog::GpuModel& model) override {
    const auto occupancy = fleet::occupancy_of(gpu);
    fleet::Cost held;
    base::Sms sms;
    base::MiB memory;
    for (const auto& slice : gpu.slices) {
      if (slice.phase == SlicePhase::kIdle) continue;
      held += fleet::cost_of(slice.shape, model);
      sms += fleet::sms_of(slice.shape, model);
      memory += fleet::memory_of(slice.shape, model);
    }
    if (occupancy.technology == catalog::Technology::kMig && model.sms.count() > 0 &&
        sms > model.sms)
      return "its slices were promised more SMs than it has";
    if (model.memory.count() > 0 && memory > model.memory)
      return "its slices were promised more memory than it has";
    // Every share's compute is rounded up to a whole unit, memory likewise.
    const base::GpuFraction rounding(occupancy.tenants);
    const fleet::Cost whole{base::kWholeGpu + rounding, base::kWholeGpu + rounding};
    if (occupancy.share_compute.count() > 1000 * occupancy.share_ceiling)
      return "more compute is shared out than promised";
    for (const auto& slice : gpu.slices) {
      const auto* share = std::get_if<fleet::ShareSlice>(&slice.shape);
      if (share == nullptr) continue;
      if (occupancy.tenants > share->tenants) return "more tenants share it than one was promised";
      if (share->isolation != occupancy.share_isolation)
        return "guarded and unguarded tenants share it";
    }
    if (occupancy.technology != catalog::Technology::kTimeSlicing && !held.within(whole))
      return "slices take more than the whole";
    return std::nullopt;
  }
};

/// The leases' books and the GPUs' own say the same: what leases are charged for, less what was
/// verified free already, is what slices take; and a promised lease has all its slices. Looks at
/// everything every few steps.
class LedgerConserves final : public Invariant {
  std::string_view name() const override { return "LedgerConserves"; }

  using Books = std::map<fleet::PoolIndex, fleet::Cost>;

  static std::string text_of(const fleet::Cost& cost) {
    return std::to_string(cost.compute.count()) + " of compute and " +
           std::to_string(cost.memory.count()) + " of memory";
  }

  static Violation add_leases(const State& state, Books& books) {
    for (const auto& [id, lease] : state.leases()) {
      if (lease.state == request::LeaseState::kEnded) continue;
      const auto& model = state.catalog().model(state.fleet().pool(lease.pool).model);
      auto& charged = books[lease.pool];
      charged += lease.cost;
      for (const auto& leased : lease.slices) {
        const auto* slice = state.fleet().gpu(leased.gpu).find(leased.generation);
        if (slice && slice->holder == id) continue;
        if (lease.state <= request::LeaseState::kExpiring)
          return "lease-" + std::to_string(id.value()) + " lost a slice";
        charged -= fleet::cost_of(leased.shape, model);
      }
      // While it moves a lease has more slices than its team is charged for.
      const auto held = request::held_by(lease);
      for (std::size_t i = lease.slices.size(); i < held.size(); ++i) {
        const auto* slice = state.fleet().gpu(held[i].gpu).find(held[i].generation);
        if (slice && slice->holder == id) charged += fleet::cost_of(held[i].shape, model);
      }
    }
    return std::nullopt;
  }

  Violation check(const State& state, const Record& record) override {
    return record.revision % 16 == 0 ? check_all(state) : std::nullopt;
  }

  Violation check_all(const State& state) override {
    Books charged;
    if (auto broken = add_leases(state, charged)) return broken;
    Books taken;
    for (std::size_t i = 0; i < state.fleet().gpus().size(); ++i) {
      const auto& gpu = state.fleet().gpu(GpuIndex(i));
      if (!gpu.node.valid()) continue;
      const auto& pool = state.fleet().pool_of(GpuIndex(i));
      for (const auto& slice : gpu.slices)
        if (slice.phase != SlicePhase::kIdle)
          taken[state.fleet().node(gpu.node).pool] +=
              fleet::cost_of(slice.shape, state.catalog().model(pool.model));
    }
    for (const auto& [pool, cost] : charged)
      if (cost != taken[pool])
        return "pool " + state.fleet().pool(pool).name + ": leases are charged " + text_of(cost) +
               ", slices take " + text_of(taken[pool]);
    return std::nullopt;
  }
};

/// A lease that stands has all that its request asked for: so many slices on each of so many nodes,
/// no more and no fewer; and where it asked for linked GPUs it was granted such. Looks at grants,
/// and at all leases every few steps.
class GangIsWhole final : public Invariant {
  std::string_view name() const override { return "GangIsWhole"; }

  Violation check(const State& state, const Record& record) override {
    for (const auto& event : record.events)
      if (const auto* granted = std::get_if<LeaseGranted>(&event))
        if (auto broken = check_links(state, granted->lease)) return broken;
    return record.revision % 16 == 0 ? check_all(state) : std::nullopt;
  }

  Violation check_all(const State& state) override {
    for (const auto& [id, lease] : state.leases())
      if (lease.state <= request::LeaseState::kExpiring)
        if (auto broken = check_parts(state, lease)) return broken;
    return std::nullopt;
  }

  static Violation check_parts(const State& state, const request::Lease& lease) {
    const auto& need = state.find(lease.request)->need;
    const auto label = "lease-" + std::to_string(lease.id.value());
    std::map<fleet::NodeIndex, int> parts;
    for (const auto& own : lease.slices) {
      const auto* slice = state.fleet().gpu(own.gpu).find(own.generation);
      if (slice == nullptr || slice->holder != lease.id) return label + " lacks a slice";
      ++parts[state.fleet().gpu(own.gpu).node];
    }
    if (parts.size() != static_cast<std::size_t>(need.nodes))
      return label + " is on " + std::to_string(parts.size()) + " nodes, not on " +
             std::to_string(need.nodes);
    for (const auto& [node, slices] : parts)
      if (slices != need.count) return label + " has an incomplete part";
    return std::nullopt;
  }

  static Violation check_links(const State& state, const request::Lease& lease) {
    if (auto broken = check_parts(state, lease)) return broken;
    if (!state.find(lease.request)->need.linked()) return std::nullopt;
    for (const auto index : request::nodes_of(lease, state.fleet())) {
      const auto in_island = [&](const auto& island) {
        return std::ranges::all_of(lease.slices, [&](const auto& own) {
          const auto& gpu = state.fleet().gpu(own.gpu);
          return gpu.node != index || std::ranges::find(island, gpu.number) != island.end();
        });
      };
      if (std::ranges::none_of(state.fleet().node(index).nvlink, in_island))
        return "lease-" + std::to_string(lease.id.value()) + " was granted GPUs without a link";
    }
    return std::nullopt;
  }
};

/// Nothing is granted over a slice that was not verified free. Keeps its own books from the
/// events, apart from the state's.
class ScrubBeforeReuse final : public Invariant {
  std::string_view name() const override { return "ScrubBeforeReuse"; }

  Violation check(const State& state, const Record& record) override {
    for (const auto& event : record.events) {
      if (const auto* freed = std::get_if<SliceFreed>(&event))
        live_[freed->gpu].erase(freed->generation);
      if (const auto* granted = std::get_if<LeaseGranted>(&event))
        for (const auto& slice : granted->lease.slices)
          if (auto broken = add(state, slice)) return broken;
      if (const auto* moving = std::get_if<LeaseMoving>(&event))
        if (auto broken = add(state, moving->to)) return broken;
    }
    return std::nullopt;
  }

  Violation add(const State& state, const request::LeasedSlice& slice) {
    auto& live = live_[slice.gpu];
    for (const auto& [generation, shape] : live)
      if (collide(state, slice.gpu, shape, slice.shape))
        return state.fleet().gpu_name(slice.gpu) + ": granted over slice " +
               std::to_string(generation) + ", which was not verified free";
    live.emplace(slice.generation, slice.shape);
    return std::nullopt;
  }

  static bool collide(const State& state, GpuIndex gpu, const fleet::SliceShape& a,
                      const fleet::SliceShape& b) {
    if (a.index() != b.index() || std::holds_alternative<fleet::WholeSlice>(a)) return true;
    const auto* mig_a = std::get_if<MigSlice>(&a);
    const auto* mig_b = std::get_if<MigSlice>(&b);
    if (!mig_a || !mig_b) return false;
    const auto& layouts = state.catalog().model(state.fleet().pool_of(gpu).model).layouts;
    return (layouts.conflicts(mig_a->instance) & catalog::bit(mig_b->instance)) != 0;
  }

  std::map<GpuIndex, std::map<std::uint64_t, fleet::SliceShape>> live_;
};

/// Nobody waits for what fits, everybody who waits for what cannot be is told so, and every "fits
/// now if" fits. Looks at the heads of the queue after every step; at all that is offered to them,
/// and at those behind them, every few steps.
class ExplainAgreesWithPlace final : public Invariant {
  std::string_view name() const override { return "ExplainAgreesWithPlace"; }

  Violation check(const State& state, const Record& record) override {
    if (record.revision % 16 == 0) return check_all(state);
    for (const auto id : state.waiting().heads())
      if (auto broken = check_wait(state, *state.find(id))) return broken;
    return std::nullopt;
  }

  Violation check_all(const State& state) override {
    for (const auto& [id, request] : state.requests())
      if (request.state == request::RequestState::kQueued)
        if (auto broken = check_wait(state, request)) return broken;
    for (const auto id : state.waiting().heads())
      if (auto broken = check_explanation(state, *state.find(id))) return broken;
    return std::nullopt;
  }

  static std::string label_of(const request::Request& request) {
    return "req-" + std::to_string(request.id.value());
  }

  static Violation check_wait(const State& state, const request::Request& request) {
    const auto world = world_of(state, *state.find_team(request.team));
    const auto need = matched_need(request);
    const auto matched = placement::match(world.for_matching(), need);
    const bool says_never = request.reason && placement::refuses_for_good(*request.reason);
    if (matched && says_never) return label_of(request) + " is said to fit nowhere, but may";
    if (!matched && request.reason != matched.error().reason)
      return label_of(request) + " waits for what cannot be, and is not told";
    if (matched && placement::place(world, *matched, need))
      return label_of(request) + " waits, but fits now";
    return std::nullopt;
  }

  static Violation check_explanation(const State& state, const request::Request& request) {
    const auto why = explain(state, request);
    if (why.spot) return label_of(request) + " waits, but its explanation has a place for it";
    for (const auto& other : why.alternatives) {
      if (other.kind == placement::Alternative::Kind::kLater) continue;
      if (!explain(state, request.team, other.need).spot)
        return label_of(request) + " was offered what does not fit: " + other.text;
    }
    return std::nullopt;
  }
};

/// Everything derived is what it would be if it were built anew from what is stored. Looks every
/// few steps.
class DerivedMatchesStored final : public Invariant {
  std::string_view name() const override { return "DerivedMatchesStored"; }

  Violation check(const State& state, const Record& record) override {
    return record.revision % 32 == 0 ? check_all(state) : std::nullopt;
  }

  Violation check_all(const State& state) override {
    auto difference = state.derived_difference(state.clone());
    if (difference.empty()) return std::nullopt;
    return difference;
  }
};

}  // namespace

std::vector<std::unique_ptr<Invariant>> all_invariants() {
  std::vector<std::unique_ptr<Invariant>> all;
  all.push_back(std::make_unique<NoSliceHeldTwice>());
  all.push_back(std::make_unique<LayoutIsLegal>());
  all.push_back(std::make_unique<CapacityNeverExceeded>());
  all.push_back(std::make_unique<LedgerConserves>());
  all.push_back(std::make_unique<GangIsWhole>());
  all.push_back(std::make_unique<ScrubBeforeReuse>());
  all.push_back(std::make_unique<ExplainAgreesWithPlace>());
  all.push_back(std::make_unique<DerivedMatchesStored>());
  all.push_back(std::make_unique<PlanKeepsItsWord>());
  return all;
}

}  // namespace tessera::control
