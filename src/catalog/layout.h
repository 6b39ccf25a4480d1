#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

/// Layouts: the sets of MIG instances that one GPU can hold at once.
///
/// A model offers a fixed list of (profile, start) pairs, at most 64, called instances here; a
/// layout is a set of them, kept as a bit mask. Two instances exclude each other when their
/// intervals on the memory axis overlap, and a profile may allow fewer instances than it has
/// places. Nothing else restricts a layout (checked against the published counts in layout_test).
namespace tessera::catalog {

/// An interval on a GPU's memory axis, in memory slices. The axis is 8 long on most models, 4 on
/// A30 and 12 on RTX PRO 6000.
struct Placement {
  std::uint8_t start = 0;
  std::uint8_t size = 0;
  int end() const { return start + size; }
  bool overlaps(Placement other) const { return start < other.end() && other.start < end(); }
  friend bool operator==(Placement, Placement) = default;
};

using InstanceIndex = std::uint8_t;
/// A set of instances of one model: bit i is instance i.
using Layout = std::uint64_t;

constexpr Layout bit(InstanceIndex instance) {
  return Layout{1} << instance;
}

struct Instance {
  std::uint16_t profile = 0;  ///< index into GpuModel::profiles
  Placement placement;
};

struct MigProfile;

/// The legal layouts of one model and what each leaves possible. Immutable after construction,
/// freely shared between threads. No query but enumerate() allocates.
///
/// 1. Instances are numbered profile by profile, and within a profile by rising start.
/// 2. Places of one profile never overlap, so how many more of it fit is a count of bits.
class LayoutTable {
 public:
  LayoutTable() = default;
  /// The profiles must keep the two rules above and offer at most 64 instances (CHECK).
  explicit LayoutTable(std::span<const MigProfile> profiles);

  std::span<const Instance> instances() const { return instances_; }
  const Instance& instance(InstanceIndex index) const { return instances_[index]; }
  /// All instances of one profile, by rising start.
  Layout instances_of(std::size_t profile) const { return by_profile_[profile]; }
  /// Instances that cannot coexist with `index` because their intervals overlap; includes itself.
  Layout conflicts(InstanceIndex index) const { return conflicts_[index]; }

  bool legal(Layout layout) const;
  /// Instances that could be added to a legal `layout`.
  Layout addable(Layout layout) const;

  /// How much a legal layout still leaves open: for every plain profile, the number of instances
  /// of it that could be added at once, weighted by the profile's memory slices. Placing where
  /// this falls least keeps the largest future options open. Range 0 … a few hundred.
  int openness(Layout layout) const;

  /// Every legal layout of the given profiles (all when empty), in rising order of the mask, the
  /// empty one included. For tests, planning and pictures; not on the request path.
  std::vector<Layout> enumerate(std::span<const std::size_t> profiles = {}) const;

 private:
  /// A profile that allows fewer instances than it has places.
  struct Cap {
    Layout places = 0;
    int limit = 0;
    int worth = 0;  ///< of one instance, in openness; 0 unless plain
  };
  /// By the value of one byte of a mask: what the instances set in it are worth in openness.
  using ByteWorth = std::array<std::uint16_t, 256>;

  void add_profile(const MigProfile& profile);
  ByteWorth byte_worth(std::span<const MigProfile> profiles, std::size_t byte) const;

  std::vector<Instance> instances_;
  std::vector<Layout> conflicts_;
  std::vector<Layout> by_profile_;
  std::vector<Cap> caps_;
  std::vector<ByteWorth> worth_;  ///< per byte of the mask: a sum in a few loads
  Layout all_ = 0;
};

}  // namespace tessera::catalog
