#include "catalog/layout.h"

#include <algorithm>
#include <bit>

#include "base/check.h"
#include "catalog/gpu_model.h"

namespace tessera::catalog {
namespace {

constexpr std::size_t kMostInstances = 64;  // bits of a Layout

/// Calls `visit(InstanceIndex)` for each member of `layout`, lowest first.
template <class Visit>
void for_each(Layout layout, Visit visit) {
  for (; layout != 0; layout &= layout - 1)
    visit(static_cast<InstanceIndex>(std::countr_zero(layout)));
}

}  // namespace

LayoutTable::LayoutTable(std::span<const MigProfile> profiles) {
  for (const MigProfile& profile : profiles) add_profile(profile);
  for (const Instance& one : instances_) {
    Layout overlapping = 0;
    for (std::size_t i = 0; i < instances_.size(); ++i)
      if (one.placement.overlaps(instances_[i].placement))
        overlapping |= bit(static_cast<InstanceIndex>(i));
    conflicts_.push_back(overlapping);
  }
  for (std::size_t byte = 0; byte * 8 < instances_.size(); ++byte)
    worth_.push_back(byte_worth(profiles, byte));
}

void LayoutTable::add_profile(const MigProfile& profile) {
  CHECK_MSG(profile.max_instances > 0, profile.name + ": allows no instance");
  Layout places = 0;
  for (std::size_t i = 0; i < profile.placements.size(); ++i) {
    const Placement placement = profile.placements[i];
    CHECK_MSG(placement.size > 0, profile.name + ": a placement of no size");
    CHECK_MSG(i == 0 || profile.placements[i - 1].end() <= placement.start,
              profile.name + ": its placements must rise and not overlap");
    CHECK_MSG(instances_.size() < kMostInstances, profile.name + ": more than 64 instances");
    places |= bit(static_cast<InstanceIndex>(instances_.size()));
    instances_.push_back({static_cast<std::uint16_t>(by_profile_.size()), placement});
  }
  by_profile_.push_back(places);
  all_ |= places;
  if (profile.max_instances < std::popcount(places))
    caps_.push_back({places, profile.max_instances, profile.plain() ? profile.memory_slices : 0});
}

LayoutTable::ByteWorth LayoutTable::byte_worth(std::span<const MigProfile> profiles,
                                               std::size_t byte) const {
  ByteWorth worth{};
  for (unsigned value = 1; value < worth.size(); ++value) {
    const auto lowest = byte * 8 + static_cast<std::size_t>(std::countr_zero(value));
    worth[value] = worth[value & (value - 1)];
    if (lowest >= instances_.size()) continue;
    const MigProfile& profile = profiles[instances_[lowest].profile];
    if (profile.plain()) worth[value] += static_cast<std::uint16_t>(profile.memory_slices);
  }
  return worth;
}

bool LayoutTable::legal(Layout layout) const {
  if ((layout & ~all_) != 0) return false;
  for (Layout rest = layout; rest != 0; rest &= rest - 1) {
    const auto lowest = static_cast<InstanceIndex>(std::countr_zero(rest));
    if ((conflicts_[lowest] & layout) != bit(lowest)) return false;
  }
  return std::ranges::all_of(
      caps_, [&](const Cap& cap) { return std::popcount(layout & cap.places) <= cap.limit; });
}

Layout LayoutTable::addable(Layout layout) const {
  Layout blocked = 0;
  for_each(layout, [&](InstanceIndex held) { blocked |= conflicts_[held]; });
  for (const Cap& cap : caps_) {
    const Layout used = layout & cap.places;  // most often none, which needs no counting
    if (used != 0 && std::popcount(used) >= cap.limit) blocked |= cap.places;
  }
  return all_ & ~blocked;
}

int LayoutTable::openness(Layout layout) const {
  const Layout open = addable(layout);
  int sum = 0;
  Layout rest = open;
  for (const ByteWorth& worth : worth_) {
    sum += worth[rest & 0xFF];
    rest >>= 8;
  }
  // A capped profile may have more free places than it may use.
  for (const Cap& cap : caps_) {
    if (cap.worth == 0) continue;
    const int room = cap.limit - std::popcount(layout & cap.places);
    sum -= std::max(0, std::popcount(open & cap.places) - room) * cap.worth;
  }
  return sum;
}

std::vector<Layout> LayoutTable::enumerate(std::span<const std::size_t> profiles) const {
  Layout wanted = profiles.empty() ? all_ : 0;
  for (const std::size_t profile : profiles) wanted |= by_profile_[profile];

  // Breadth first: each layout is reached once, by adding its members from the lowest up.
  std::vector<Layout> found = {0};
  for (std::size_t next = 0; next < found.size(); ++next) {
    const Layout layout = found[next];
    const Layout above = layout == 0 ? ~Layout{0} : ~(std::bit_floor(layout) * 2 - 1);
    for_each(addable(layout) & wanted & above,
             [&](InstanceIndex added) { found.push_back(layout | bit(added)); });
  }
  std::ranges::sort(found);
  return found;
}

}  // namespace tessera::catalog
