#include "placement/explain.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "tenancy/price.h"

namespace tessera::placement {

std::string_view to_string(Alternative::Kind kind) {
  constexpr std::array<std::string_view, 6> kNames = {"smaller",    "weaker",    "other-tier",
                                                      "other-pool", "any-model", "later"};
  return kNames[static_cast<std::size_t>(kind)];
}

namespace {

using base::MiB;
using catalog::Technology;
using fleet::SlicePhase;
using request::Need;

std::string plural(int count, const char* thing) {
  return std::to_string(count) + " " + thing + (count == 1 ? "" : "s");
}

/// The GPU's slices without those that `drop` names.
template <class Drop>
fleet::Occupancy occupancy_without(fleet::Gpu gpu, Drop drop) {
  std::erase_if(gpu.slices, drop);
  return occupancy_of(gpu);
}

class Explainer {
 public:
  Explainer(const World& world, const Need& need, const std::vector<Ending>& endings,
            const std::string& asked_tier)
      : world_(world), need_(need), endings_(endings), asked_tier_(asked_tier) {
    if (world_.rankings == nullptr) world_.rankings = &rankings_;
  }

  Explanation run() {
    const auto matched = match(world_.for_matching(), need_);
    if (!matched) {
      out_.reason = matched.error().reason;
      out_.message = base::to_string(matched.error());
      offer_all(nullptr);
      return std::move(out_);
    }
    out_.tier = matched->tier->name;
    add_unit_hint(*matched);
    auto placed = place(world_, *matched, need_);
    if (placed) {
      out_.spot = std::move(*placed);
      add_link_hints();
      return std::move(out_);
    }
    out_.reason = placed.error().reason;
    out_.message = placed.error().message;
    add_blockers(*matched);
    offer_all(&*matched);
    return std::move(out_);
  }

 private:
  // --- blockers -------------------------------------------------------------------------------

  /// One blocker per pool and technology, for the least slice that would do there.
  void add_blockers(const Match& matched) {
    std::set<std::pair<fleet::PoolIndex, Technology>> seen;
    for (const auto& candidate : matched.candidates)
      if (seen.emplace(candidate.pool, candidate.technology).second)
        out_.blockers.push_back(blocker(candidate));
  }

  Blocker blocker(const Candidate& candidate) const {
    const auto& pool = world_.fleet.pool(candidate.pool);
    Blocker found{
        .pool = pool.name, .technology = candidate.technology, .profile = name(candidate)};
    for (const auto node : world_.fleet.nodes_of(candidate.pool))
      for (const auto gpu : world_.fleet.node(node).gpus) classify(candidate, gpu, found);
    found.reason = deciding_reason(candidate, found);
    found.detail = sentence(found);
    return found;
  }

  std::string name(const Candidate& candidate) const {
    return name_of(candidate, world_.catalog.model(world_.fleet.pool(candidate.pool).model));
  }

  void classify(const Candidate& candidate, fleet::GpuIndex index, Blocker& counts) const {
    ++counts.gpus;
    if (!world_.index.open(index)) {
      ++counts.away;
      return;
    }
    const auto& pool = world_.fleet.pool(candidate.pool);
    const auto& model = world_.catalog.model(pool.model);
    const auto& gpu = world_.fleet.gpu(index);
    const auto& node = world_.fleet.node(gpu.node);
    if (fit(model, pool, occupancy_of(gpu), candidate)) {
      const bool cpu = node.cpu.count() == 0 || node.cpu - node.cpu_used >= need_.cpu;
      const bool memory =
          node.memory.count() == 0 || node.memory - node.memory_used >= need_.host_memory;
      ++(cpu && memory ? counts.fitting : counts.host);
      return;
    }
    const auto cleaned = occupancy_without(
        gpu, [](const fleet::Slice& s) { return s.phase == SlicePhase::kScrubbing; });
    if (fit(model, pool, cleaned, candidate)) {
      ++counts.scrubbing;
      return;
    }
    ++(free_of(gpu, model, candidate) ? counts.wrong_layout : counts.full);
  }

  /// Is as much free on the GPU as the slice needs, though not in one piece or not so cut?
  bool free_of(const fleet::Gpu& gpu, const catalog::GpuModel& model,
               const Candidate& candidate) const {
    fleet::Cost free{base::kWholeGpu, base::kWholeGpu};
    for (const auto& slice : gpu.slices)
      if (slice.phase != SlicePhase::kIdle) free -= fleet::cost_of(slice.shape, model);
    return candidate.cost.within(free);
  }

  Reason deciding_reason(const Candidate& candidate, const Blocker& counts) const {
    if (!within_limit(world_, candidate, need_.slices())) return Reason::kQuotaReached;
    if (counts.away == counts.gpus) return Reason::kNodesAway;
    if (counts.host > 0 && counts.fitting == 0) return Reason::kHostResources;
    if (counts.scrubbing > 0) return Reason::kWaitingForScrub;
    // Some GPUs fit, but no node holds all the slices asked for.
    if (counts.fitting > 0 || counts.wrong_layout > 0) return Reason::kFragmented;
    return Reason::kNoCapacity;
  }

  std::string sentence(const Blocker& counts) const {
    std::string text = plural(counts.gpus, "GPU") + " in " + counts.pool + ": ";
    std::string parts;
    const auto add = [&](int count, const std::string& what) {
      if (count == 0) return;
      if (!parts.empty()) parts += ", ";
      parts += std::to_string(count) + " " + what;
    };
    add(counts.full, "full");
    add(counts.wrong_layout, "with enough free but not in one piece");
    add(counts.scrubbing, "being scrubbed");
    add(counts.away, "away, cordoned or quarantined");
    add(counts.host, "without host CPU or memory");
    add(counts.fitting, counts.reason == Reason::kQuotaReached
                            ? "with room, beyond the team's limit"
                            : "with room for one slice, not for all " + place_of_all());
    return text + (parts.empty() ? "none" : parts);
  }

  std::string place_of_all() const {
    auto text = need_.nodes == 1 ? std::string("on one node")
                                 : "on " + std::to_string(need_.nodes) + " nodes at once";
    if (need_.linked()) text += " and linked by NVLink";
    return text;
  }

  // --- what would make it fit -----------------------------------------------------------------

  /// Places a changed need; its profile's name if it fits now.
  std::optional<std::string> fits(const Need& changed) const {
    const auto matched = match(world_.for_matching(), changed);
    if (!matched) return std::nullopt;
    const auto placed = place(world_, *matched, changed);
    if (!placed) return std::nullopt;
    const auto& model = world_.catalog.model(world_.fleet.pool(placed->pool).model);
    return fleet::profile_name(placed->grants.front().shape, model) + " on " +
           world_.fleet.pool(placed->pool).name + " (tier " + placed->tier + ")";
  }

  bool offer(Alternative::Kind kind, Need changed, const std::string& what) {
    const auto profile = fits(changed);
    if (!profile) return false;
    out_.alternatives.push_back({.kind = kind,
                                 .text = "fits now " + what + ": " + *profile,
                                 .need = std::move(changed),
                                 .profile = *profile});
    return true;
  }

  void offer_all(const Match* matched) {
    offer_smaller();
    offer_weaker();
    offer_fewer_nodes();
    offer_unlinked();
    if (matched != nullptr) offer_other_tiers(*matched->tier);
    if (!need_.pool.empty()) {
      Need changed = need_;
      changed.pool.clear();
      changed.tier = asked_tier_;
      offer(Alternative::Kind::kOtherPool, changed, "in another pool");
    }
    if (!need_.models.empty()) {
      Need changed = need_;
      changed.models.clear();
      changed.tier = asked_tier_;
      offer(Alternative::Kind::kAnyModel, changed, "on another GPU model");
    }
    if (matched != nullptr) offer_later(*matched);
  }

  /// The largest memory below the asked one that fits now, among the sizes the fleet comes in.
  void offer_smaller() {
    std::set<MiB, std::greater<>> sizes;
    for (const auto& pool : world_.fleet.pools()) {
      if (pool.name.empty()) continue;
      const auto& model = world_.catalog.model(pool.model);
      if (model.memory.count() > 0) sizes.insert(model.memory);
      for (const auto& profile : model.profiles)
        if (profile.plain() && profile.memory) sizes.insert(*profile.memory);
      for (const auto& type : model.vgpu_types) sizes.insert(type.framebuffer);
    }
    for (const auto size : sizes) {
      if (size >= need_.memory) continue;
      Need changed = need_;
      changed.memory = size;
      if (offer(Alternative::Kind::kSmaller, changed, "with " + base::to_string(size))) return;
    }
  }

  void offer_weaker() {
    for (int level = static_cast<int>(need_.isolation) - 1; level >= 0; --level) {
      Need changed = need_;
      changed.isolation = static_cast<catalog::Isolation>(level);
      changed.tier.clear();
      const auto text = "with isolation " + std::string(catalog::to_string(changed.isolation));
      if (offer(Alternative::Kind::kWeaker, changed, text)) return;
    }
  }

  /// The most nodes below those asked for that fit now. Fewer nodes fit wherever more do, so
  /// halving finds them.
  void offer_fewer_nodes() {
    Need changed = need_;
    int fits_on = 0, too_many = need_.nodes;
    while (too_many - fits_on > 1) {
      changed.nodes = fits_on + (too_many - fits_on) / 2;
      (fits(changed) ? fits_on : too_many) = changed.nodes;
    }
    if (fits_on == 0) return;
    changed.nodes = fits_on;
    offer(Alternative::Kind::kSmaller, changed, "on " + plural(fits_on, "node"));
  }

  void offer_unlinked() {
    if (!need_.linked()) return;
    Need changed = need_;
    changed.nvlink = request::Nvlink::kPreferred;
    offer(Alternative::Kind::kWeaker, changed, "on GPUs that NVLink does not all link");
  }

  void offer_other_tiers(const tenancy::Tier& matched) {
    for (const auto& [name, tier] : world_.tiers) {
      if (!tenancy::lesser(matched, tier)) continue;
      Need changed = need_;
      changed.tier = name;
      offer(Alternative::Kind::kOtherTier, changed, "in tier " + name);
    }
  }

  /// The first declared end of a lease after which the need fits, if nothing else comes first.
  void offer_later(const Match& matched) {
    std::map<fleet::GpuIndex, std::set<std::uint64_t>> freed;
    std::size_t looked = 0;
    for (const auto& ending : endings_) {
      if (++looked > kForecastDepth) return;
      for (const auto& slice : ending.lease->slices) freed[slice.gpu].insert(slice.generation);
      for (const auto& candidate : matched.candidates) {
        if (candidate.pool != ending.lease->pool) continue;
        if (!within_limit(world_, candidate, need_.slices())) continue;
        if (!gang_fits_after(candidate, freed)) continue;
        const auto lease = "lease-" + std::to_string(ending.lease->id.value());
        out_.alternatives.push_back({.kind = Alternative::Kind::kLater,
                                     .text = "fits after " + lease + " ends at " +
                                             base::to_string(ending.at) +
                                             ", going by declared ends only",
                                     .need = need_,
                                     .profile = name(candidate),
                                     .at = ending.at,
                                     .after = ending.lease->id});
        return;
      }
    }
  }

  /// On the nodes where something was freed, and those that have room already.
  bool gang_fits_after(const Candidate& candidate,
                       const std::map<fleet::GpuIndex, std::set<std::uint64_t>>& freed) const {
    std::set<fleet::NodeIndex> touched, good;
    for (const auto& [gpu, generations] : freed) touched.insert(world_.fleet.gpu(gpu).node);
    const auto wanted = static_cast<std::size_t>(need_.nodes);
    if (wanted > 1) {
      const NodeNeed part{candidate, need_.count, {need_.cpu, need_.host_memory}, need_.linked()};
      for (const auto& best : world_.rankings->first(world_.view(), part, wanted))
        good.insert(best.node);
    }
    for (const auto node : touched)
      if (good.size() < wanted && fits_after(candidate, node, freed)) good.insert(node);
    return good.size() >= wanted;
  }

  bool fits_after(const Candidate& candidate, fleet::NodeIndex index,
                  const std::map<fleet::GpuIndex, std::set<std::uint64_t>>& freed) const {
    const auto& node = world_.fleet.node(index);
    if (node.pool != candidate.pool) return false;
    if (node.cpu.count() > 0 && node.cpu < need_.cpu) return false;
    if (node.memory.count() > 0 && node.memory < need_.host_memory) return false;
    const auto& pool = world_.fleet.pool(candidate.pool);
    const auto& model = world_.catalog.model(pool.model);
    const auto all_fit_on = [&](const std::vector<fleet::GpuIndex>& part) {
      std::vector<NodeGpu> gpus;
      for (const auto gpu : part) {
        if (!world_.index.open(gpu)) continue;
        const auto ended = freed.find(gpu);
        gpus.push_back({gpu, occupancy_without(world_.fleet.gpu(gpu), [&](const fleet::Slice& s) {
                          return s.phase == SlicePhase::kScrubbing ||
                                 (ended != freed.end() && ended->second.contains(s.generation));
                        })});
      }
      return pack(model, pool, std::move(gpus), candidate, need_.count).has_value();
    };
    if (!need_.linked()) return all_fit_on(node.gpus);
    return std::ranges::any_of(node.nvlink, [&](const auto& island) {
      std::vector<fleet::GpuIndex> linked;
      for (const auto number : island) linked.push_back(node.gpus[number]);
      return all_fit_on(linked);
    });
  }

  // --- hints ----------------------------------------------------------------------------------

  /// Whether NVLink links the GPUs that were found, where several whole ones were asked for and
  /// anything is known of links.
  void add_link_hints() {
    if (need_.count < 2) return;
    std::map<fleet::NodeIndex, std::vector<std::uint16_t>> numbers;
    for (const auto& grant : out_.spot->grants) {
      if (!std::holds_alternative<fleet::WholeSlice>(grant.shape)) return;
      const auto& gpu = world_.fleet.gpu(grant.gpu);
      numbers[gpu.node].push_back(gpu.number);
    }
    for (const auto& [index, gpus] : numbers) {
      const auto& node = world_.fleet.node(index);
      if (node.nvlink.empty()) continue;
      const bool linked = std::ranges::any_of(node.nvlink, [&](const auto& island) {
        return std::ranges::all_of(
            gpus, [&](auto number) { return std::ranges::find(island, number) != island.end(); });
      });
      out_.hints.push_back("NVLink " + std::string(linked ? "links" : "does not link") + " all " +
                           plural(static_cast<int>(gpus.size()), "GPU") + " on " + node.name);
    }
  }

  /// "10 GiB" where "10 GB" would take a smaller slice: the trap of the profile names.
  void add_unit_hint(const Match& matched) {
    const auto gib = need_.memory.count() / 1024;
    if (gib == 0 || need_.memory.count() % 1024 != 0 || matched.candidates.empty()) return;
    Need decimal = need_;
    decimal.memory = *base::parse_memory(std::to_string(gib) + "GB");
    const auto other = match(world_.for_matching(), decimal);
    if (!other) return;
    const auto& asked = matched.candidates.front();
    const auto& smaller = other->candidates.front();
    const auto total = [](const Candidate& c) { return c.cost.compute + c.cost.memory; };
    if (asked.technology == Technology::kTimeSlicing || total(smaller) >= total(asked)) return;
    const auto price = [](const Candidate& c, const tenancy::Tier& tier) {
      return tenancy::money_text(tenancy::price_per_hour(c.cost, tier));
    };
    const auto n = std::to_string(gib);
    const auto in_mib = [](MiB memory) { return std::to_string(memory.count()) + " MiB"; };
    out_.hints.push_back(n + " GiB is " + in_mib(need_.memory) + " and takes " + name(asked) +
                         " (" + price(asked, *matched.tier) + " per hour); " + n + " GB is " +
                         in_mib(decimal.memory) + " and fits " + name(smaller) + " (" +
                         price(smaller, *other->tier) + " per hour)");
  }

  NodeRankings rankings_;  ///< many needs are placed, and several more than once
  World world_;
  const Need& need_;
  const std::vector<Ending>& endings_;
  const std::string& asked_tier_;
  Explanation out_;
};

}  // namespace

Explanation explain(const World& world, const Need& need, const std::vector<Ending>& endings,
                    const std::string& asked_tier) {
  return Explainer(world, need, endings, asked_tier).run();
}

}  // namespace tessera::placement
