#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "request/need.h"

/// What teams have been asking for lately.
namespace tessera::placement {

/// Requests that count as alike. Amounts of the host are coarse, so that a thousand requests make
/// tens of kinds.
struct DemandKind {
  int count = 0;
  base::MilliShare compute;
  base::MiB memory;
  base::Sms sms;
  catalog::Isolation isolation{};
  std::int32_t cpu_step = 0;          ///< of the host's CPU, on a logarithmic scale
  std::int32_t host_memory_step = 0;  ///< of the host's memory, likewise
  std::string tier;
  std::string pool;
  std::vector<std::string> models;
  friend auto operator<=>(const DemandKind&, const DemandKind&) = default;
  static void fields(auto& self, auto&& visit) {
    visit("count", self.count);
    visit("compute", self.compute);
    visit("memory", self.memory);
    visit("sms", self.sms);
    visit("isolation", self.isolation);
    visit("cpuStep", self.cpu_step);
    visit("hostMemoryStep", self.host_memory_step);
    visit("tier", self.tier);
    visit("pool", self.pool);
    visit("models", self.models);
  }
};

/// How much of a kind has arrived: weights and weighted sums, in units of 1 / kArrival.
struct DemandTally {
  static constexpr std::int64_t kArrival = 256;
  std::int64_t weight = 0;
  base::MilliCpu cpu;
  base::MiB host_memory;
  base::MilliShare compute;
  static void fields(auto& self, auto&& visit) {
    visit("weight", self.weight);
    visit("cpu", self.cpu);
    visit("hostMemory", self.host_memory);
    visit("compute", self.compute);
  }
};

/// One look at the demand.
struct DemandPicture {
  using Tallies = std::map<DemandKind, DemandTally>;
  Tallies needs;  ///< what arrived, by kind
  Tallies sizes;  ///< the same by the exact part of a GPU alone: how pieces fit depends on it
  std::int64_t weight = 0;  ///< of all needs
  static void fields(auto& self, auto&& visit) {
    visit("needs", self.needs);
    visit("sizes", self.sizes);
    visit("weight", self.weight);
  }
};

/// The demand distribution that placement learns: the only thing it knows of the future. Counts
/// every request that arrives, granted or not, and forgets slowly: whenever kMemory arrivals have
/// come in twice over, all weights are halved.
///
/// Part of the stored state, changed by events alone, so that a state read from a snapshot places
/// like the one it replaces. What placement goes by is `typical()`, which stays as it is until the
/// demand has visibly moved away from it: then everything that depends on it is worked out anew.
class Demand {
 public:
  static constexpr std::int64_t kMemory = 8192;  ///< arrivals
  /// What placement takes for granted before it has learned counts like so many arrivals.
  static constexpr std::int64_t kPrior = 32;

  /// Counts a request in the tier it was matched to. True if typical() has changed.
  bool observe(const request::Need& need, const std::string& tier);

  const DemandPicture& typical() const { return typical_; }

  static void fields(auto& self, auto&& visit) {
    visit("recent", self.recent_);
    visit("typical", self.typical_);
    visit("unchecked", self.unchecked_);
  }

 private:
  void forget();
  /// Half the sum of differences between the recent and the typical distribution, both beside the
  /// prior: 0 … 1.
  double distance() const;

  DemandPicture recent_;
  DemandPicture typical_;
  std::int64_t unchecked_ = 0;  ///< arrivals since the two were last compared
};

/// A need that stands for all of a kind: host amounts and compute are their means.
request::Need typical_need(const DemandKind& kind, const DemandTally& tally);

}  // namespace tessera::placement
