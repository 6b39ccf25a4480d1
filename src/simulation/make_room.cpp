#include "simulation/make_room.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

namespace tessera::simulation {
namespace {

using fleet::GpuIndex;
using fleet::NodeIndex;
using Tenant = Filling::Tenant;

constexpr std::int64_t kWholeShare = 1000;
/// Ways tried for one request.
constexpr std::size_t kMostTries = 16;
/// Tenants that leave one node.
constexpr std::size_t kMostLeaving = 3;
/// Partners looked at for one pair of sizes.
constexpr int kMostPartners = 8;
/// Pods that are placed before a search in vain is repeated.
constexpr std::size_t kNewcomers = 50;

bool allows(const request::Need& need, const std::string& model) {
  return need.models.empty() || std::ranges::find(need.models, model) != need.models.end();
}

}  // namespace

/// The ways in which some tenants of one node leave.
class RoomMaker::Leaving {
 public:
  Leaving(RoomMaker& maker, const request::Need& need, NodeIndex node, std::size_t most,
          std::vector<Way>& found)
      : need_(need),
        tenants_(maker.filling_.tenants_of(node)),
        gpus_(maker.filling_.state().fleet().node(node).gpus),
        most_(std::min(most, kMostLeaving)),
        found_(found) {
    const auto& entry = maker.filling_.state().index().nodes().of(node);
    lacks_cpu_ = need.cpu.count() - entry.cpu;
    lacks_memory_ = need.host_memory.count() - entry.memory;
    for (const auto& tenant : tenants_)
      if (maker.could_go(tenant)) movable_.push_back(&tenant);
  }

  void run() {
    if (movable_.empty()) return;
    if (need_.compute.count() > 0)
      for (const auto gpu : gpus_) for_a_share(gpu);
    else
      for_whole_gpus();
  }

 private:
  bool host_enough(std::int64_t cpu, std::int64_t memory) const {
    return cpu >= lacks_cpu_ && memory >= lacks_memory_;
  }

  /// One or two of the node's tenants leave enough of this GPU.
  void for_a_share(GpuIndex gpu) {
    std::int64_t lacks = need_.compute.count() - kWholeShare;
    for (const auto& tenant : tenants_)
      if (tenant.on(gpu)) lacks += tenant.share;
    const auto gives = [&](const Tenant& tenant) { return tenant.on(gpu) ? tenant.share : 0; };
    for (std::size_t i = 0; i < movable_.size(); ++i) {
      const auto& one = *movable_[i];
      if (lacks > 0 && !one.on(gpu)) continue;
      if (gives(one) >= lacks && host_enough(one.cpu, one.memory)) {
        add({&one}, gives(one) - lacks);
        continue;
      }
      if (most_ < 2) continue;
      for (std::size_t j = 0; j < movable_.size(); ++j) {
        const auto& other = *movable_[j];
        if (i == j || (j < i && (lacks <= 0 || other.on(gpu)))) continue;
        if (gives(other) >= lacks && host_enough(other.cpu, other.memory)) continue;
        const auto both = gives(one) + gives(other);
        if (both >= lacks && host_enough(one.cpu + other.cpu, one.memory + other.memory))
          add({&one, &other}, both - lacks);
      }
    }
  }

  /// The GPUs with the fewest tenants are cleared; for a single GPU each is a way of its own.
  void for_whole_gpus() {
    std::vector<std::tuple<std::size_t, std::int64_t, GpuIndex>> order;
    for (const auto gpu : gpus_) {
      std::size_t count = 0;
      std::int64_t held = 0;
      for (const auto* tenant : movable_)
        if (tenant->on(gpu)) ++count, held += tenant->held();
      const auto all =
          std::ranges::count_if(tenants_, [&](const Tenant& tenant) { return tenant.on(gpu); });
      if (std::cmp_equal(all, count)) order.emplace_back(count, held, gpu);
    }
    std::ranges::sort(order);
    const auto wanted = static_cast<std::size_t>(need_.count);
    for (std::size_t first = 0; first + wanted <= order.size(); ++first) {
      std::vector<const Tenant*> leave;
      for (std::size_t i = first; i < first + wanted; ++i)
        for (const auto* tenant : movable_)
          if (tenant->on(std::get<GpuIndex>(order[i])) &&
              std::ranges::find(leave, tenant) == leave.end())
            leave.push_back(tenant);
      with_host(std::move(leave));
      if (wanted > 1) break;
    }
  }

  /// Adds tenants until the host has enough.
  void with_host(std::vector<const Tenant*> leave) {
    std::int64_t cpu = 0, memory = 0;
    for (const auto* tenant : leave) cpu += tenant->cpu, memory += tenant->memory;
    while (leave.size() < most_ && !host_enough(cpu, memory)) {
      const Tenant* best = nullptr;
      for (const auto* tenant : movable_)
        if (std::ranges::find(leave, tenant) == leave.end() &&
            (best == nullptr || rank(*tenant, cpu, memory) > rank(*best, cpu, memory)))
          best = tenant;
      if (best == nullptr) return;
      leave.push_back(best);
      cpu += best->cpu;
      memory += best->memory;
    }
    if (host_enough(cpu, memory)) add(leave, 0);
  }

  /// Those that free enough come first, and of them those that hold little of GPUs.
  std::tuple<bool, std::int64_t, std::int64_t> rank(const Tenant& tenant, std::int64_t cpu,
                                                    std::int64_t memory) const {
    const bool enough = host_enough(cpu + tenant.cpu, memory + tenant.memory);
    return {enough, enough ? -tenant.held() : 0, cpu < lacks_cpu_ ? tenant.cpu : tenant.memory};
  }

  void add(const std::vector<const Tenant*>& leave, std::int64_t left) {
    if (leave.empty() || leave.size() > most_) return;
    Way way{.left = left};
    for (const auto* tenant : leave) {
      way.leave.push_back({tenant->id, std::nullopt});
      way.held += tenant->held();
    }
    found_.push_back(std::move(way));
  }

  const request::Need& need_;
  const std::vector<Tenant>& tenants_;
  std::vector<const Tenant*> movable_;  ///< of those, that have somewhere to go
  const std::vector<GpuIndex>& gpus_;
  std::size_t most_;
  std::vector<Way>& found_;
  std::int64_t lacks_cpu_ = 0, lacks_memory_ = 0;
};

/// The ways in which two shares change places: `large` leaves the GPU that the request is to get,
/// and `small` comes there.
class RoomMaker::Swaps {
 public:
  Swaps(const Filling& filling, const request::Need& need, std::vector<Way>& found)
      : filling_(filling), need_(need), found_(found) {
    const auto& fleet = filling.state().fleet();
    for (std::size_t i = 0; i < fleet.nodes().size(); ++i) {
      const auto& tenants = filling.tenants_of(NodeIndex(i));
      std::map<GpuIndex, std::int64_t> held;
      for (const auto& tenant : tenants)
        for (const auto gpu : tenant.gpus) held[gpu] += tenant.share;
      for (const auto& tenant : tenants)
        if (tenant.share > 0 && tenant.share < kWholeShare)
          by_size_[tenant.share].push_back(
              {&tenant, NodeIndex(i), tenant.gpus[0], kWholeShare - held[tenant.gpus[0]]});
    }
    for (auto& [size, holders] : by_size_) std::ranges::stable_sort(holders, {}, &Holder::left);
  }

  void run() {
    for (const auto& [large, its] : by_size_)
      for (const auto& [small, others] : by_size_)
        if (small < large) pair(its, others, large - small);
  }

 private:
  /// A share with what is left over on its GPU.
  struct Holder {
    const Tenant* tenant = nullptr;
    NodeIndex node;
    GpuIndex gpu;
    std::int64_t left = 0;
  };
  using Holders = std::vector<Holder>;

  /// The tightest of each size that would do.
  void pair(const Holders& larger, const Holders& smaller, std::int64_t difference) {
    const auto wanted = need_.compute.count() - difference;
    auto first = std::ranges::lower_bound(larger, wanted, {}, &Holder::left);
    for (int i = 0; first != larger.end() && i < kMostPartners; ++first, ++i) {
      auto second = std::ranges::lower_bound(smaller, difference, {}, &Holder::left);
      for (int j = 0; second != smaller.end() && j < kMostPartners; ++second, ++j) {
        if (!fits(*first, *second)) continue;
        found_.push_back({{{first->tenant->id, second->gpu}, {second->tenant->id, first->gpu}},
                          first->tenant->share + second->tenant->share,
                          first->left + second->left - need_.compute.count()});
        return;
      }
    }
  }

  bool fits(const Holder& large, const Holder& small) const {
    if (large.gpu == small.gpu) return false;
    if (!allows(need_, model(large.node)) || !may_go(large, small.node) ||
        !may_go(small, large.node))
      return false;
    const auto& nodes = filling_.state().index().nodes();
    const auto& here = nodes.of(large.node);
    const auto& there = nodes.of(small.node);
    const auto& out = *large.tenant;
    const auto& in = *small.tenant;
    if (large.node == small.node)
      return here.cpu >= need_.cpu.count() && here.memory >= need_.host_memory.count();
    return here.cpu + out.cpu >= in.cpu + need_.cpu.count() &&
           here.memory + out.memory >= in.memory + need_.host_memory.count() &&
           there.cpu + in.cpu >= out.cpu && there.memory + in.memory >= out.memory;
  }

  const std::string& model(NodeIndex node) const {
    const auto& state = filling_.state();
    return state.catalog().model(state.fleet().pool(state.fleet().node(node).pool).model).key;
  }
  bool may_go(const Holder& who, NodeIndex node) const {
    return allows(filling_.request(who.tenant->id).need, model(node));
  }

  const Filling& filling_;
  const request::Need& need_;
  std::vector<Way>& found_;
  std::map<std::int64_t, Holders> by_size_;
};

std::vector<RoomMaker::Way> RoomMaker::ways(const request::Need& need, int most) {
  const auto& state = filling_.state();
  std::vector<Way> found;
  for (std::size_t i = 0; i < state.fleet().nodes().size(); ++i) {
    const NodeIndex node(i);
    const auto& pool = state.fleet().pool(state.fleet().node(node).pool);
    if (allows(need, state.catalog().model(pool.model).key) &&
        state.index().nodes().of(node).shape.could_hold({need.cpu, need.host_memory}))
      Leaving(*this, need, node, static_cast<std::size_t>(most), found).run();
  }
  if (need.compute.count() > 0 && most >= 2) Swaps(filling_, need, found).run();
  std::ranges::stable_sort(
      found, {}, [](const Way& way) { return std::tuple(way.leave.size(), way.left, way.held); });
  if (found.size() > kMostTries) found.resize(kMostTries);
  return found;
}

std::optional<int> RoomMaker::make_room(RequestId request, int most) {
  if (most < 1) return std::nullopt;
  const auto& need = filling_.request(request).need;
  auto& vain = vain_[filling_.kind_of(request)];
  if (vain.moved == moved_ && vain.most >= most && filling_.running() < vain.running + kNewcomers)
    return std::nullopt;
  for (const auto& way : ways(need, most)) {
    if (!attempt(way, request)) continue;
    const auto moves = static_cast<int>(way.leave.size());
    moved_ += moves;
    return moves;
  }
  vain = {filling_.running(), moved_, most};
  return std::nullopt;
}

bool RoomMaker::could_go(const Tenant& tenant) {
  auto& known = could_go_[tenant.kind];
  // Nothing leaves: who had no room has none until something moves.
  const bool holds = known.running > 0 && known.moved == moved_ &&
                     (!known.could || known.running == filling_.running());
  if (!holds) known = {filling_.has_room(tenant.id), filling_.running(), moved_};
  return known.could;
}

bool RoomMaker::attempt(const Way& way, RequestId request) {
  done_.clear();
  for (const auto& one : way.leave) done_.push_back({one.id, filling_.take_away(one.id)});
  for (std::size_t i = 0; i < way.leave.size(); ++i) {
    if (!way.leave[i].to) continue;
    filling_.put_back(way.leave[i].id, filling_.moved_to(*done_[i].was, *way.leave[i].to));
    done_.push_back({way.leave[i].id, std::nullopt});
  }
  std::vector<RequestId> rest{request};
  for (const auto& one : way.leave)
    if (!one.to) rest.push_back(one.id);
  for (const auto id : rest) {
    if (!filling_.place(id)) {
      undo();
      return false;
    }
    done_.push_back({id, std::nullopt});
  }
  return true;
}

void RoomMaker::undo() {
  for (; !done_.empty(); done_.pop_back()) {
    const auto& last = done_.back();
    if (last.was)
      filling_.put_back(last.request, *last.was);
    else
      filling_.take_away(last.request);
  }
}

}  // namespace tessera::simulation
