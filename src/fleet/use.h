#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include "base/fields.h"
#include "base/quantity.h"
#include "base/time.h"
#include "fleet/slice.h"

/// How much of a GPU was really used, as agents measure it and the control plane keeps it.
///
/// Agents sum up, by lease, what they measure, and close the sum into a numbered batch now and
/// then. The control plane keeps the number it has counted up to; so a batch that is sent again,
/// doubled or overtaken counts once. Everything is durations by a clock that nobody sets: no time
/// of day goes into any sum.
namespace tessera::fleet {

using BusyTime = base::Quantity<struct BusyTimeTag>;      ///< microseconds
using MemoryTime = base::Quantity<struct MemoryTimeTag>;  ///< MiB held, times milliseconds
using Energy = base::Quantity<struct EnergyTag>;          ///< microjoules

/// What one lease used, its slices together. Only grows, and stays at kMost rather than overflow:
/// a lease of centuries, or an agent that makes things up.
struct Use {
  static constexpr std::int64_t kMost = 4'000'000'000'000'000'000;

  BusyTime busy;              ///< of `measured`, how long the slices computed
  MemoryTime memory;          ///< device memory
  Energy energy;              ///< the GPU's, by the part of it that the slices are
  base::Duration measured{};  ///< slice time of which it is known how busy it was

  /// Both hold between 0 and kMost of each.
  Use& operator+=(const Use& other) {
    const auto add = [](auto& sum, auto more) {
      sum = std::min(sum + more, std::remove_cvref_t<decltype(sum)>(kMost));
    };
    add(busy, other.busy);
    add(memory, other.memory);
    add(energy, other.energy);
    add(measured, other.measured);
    return *this;
  }
  friend bool operator==(const Use&, const Use&) = default;
  static void fields(auto& self, auto&& visit) {
    visit("busyMicroseconds", self.busy);
    visit("memoryMibMilliseconds", self.memory);
    visit("energyMicrojoules", self.energy);
    visit("measured", self.measured);
  }
};

struct LeaseUse {
  LeaseId lease;
  Use use;
  friend bool operator==(const LeaseUse&, const LeaseUse&) = default;
  static void fields(auto& self, auto&& visit) {
    visit("lease", self.lease);
    visit("use", self.use);
  }
};

/// Immutable once it has a number.
struct UseBatch {
  std::uint64_t sequence = 0;    ///< 1, 2, 3 … within a stream
  std::vector<LeaseUse> leases;  ///< by rising lease, each once
  friend bool operator==(const UseBatch&, const UseBatch&) = default;
};

/// What an agent has measured and not yet heard to be counted. A stream begins where an agent finds
/// nothing left of an earlier one: it outlives the agent's process and the machine's boot.
struct UseReport {
  std::string node;
  std::string stream;             ///< a random name
  std::vector<UseBatch> batches;  ///< by rising sequence, without gaps, the oldest unheard first
};

/// Everything of `stream` up to `sequence` is counted for good.
struct UseReceipt {
  std::string stream;
  std::uint64_t sequence = 0;
};

/// How far a stream of one node is counted.
struct UseMark {
  std::string stream;
  std::uint64_t sequence = 0;
  friend bool operator==(const UseMark&, const UseMark&) = default;
  static void fields(auto& self, auto&& visit) {
    visit("stream", self.stream);
    visit("sequence", self.sequence);
  }
};

}  // namespace tessera::fleet
