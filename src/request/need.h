#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "fleet/slice.h"

namespace tessera::request {

using base::Duration;
using base::MiB;
using base::MilliCpu;
using base::MilliShare;
using base::Sms;

/// What a team asks for: never a profile, always what the work requires. All-or-nothing: `count`
/// slices on one node.
struct Need {
  MiB memory;          ///< of the GPU, per slice; 0: any
  MilliShare compute;  ///< thousandths of a GPU, per slice; 0: any
  Sms sms;             ///< per slice, instead of `compute`; 0: any
  catalog::Isolation isolation = catalog::Isolation::kShared;  ///< the least accepted
  int count = 1;                                               ///< slices; 1 … 64
  Duration duration{};                                         ///< 0: the tier's default
  std::vector<std::string> models;  ///< acceptable GPU models by key; empty: any
  std::string pool;                 ///< by name; empty: any
  std::string tier;                 ///< by name; empty: the least that satisfies
  MilliCpu cpu;                     ///< of the host, for all slices together
  MiB host_memory;                  ///< of the host, for all slices together

  friend bool operator==(const Need&, const Need&) = default;
  static void fields(auto& self, auto&& visit) {
    visit("memory", self.memory);
    visit("compute", self.compute);
    visit("sms", self.sms);
    visit("isolation", self.isolation);
    visit("count", self.count);
    visit("duration", self.duration);
    visit("models", self.models);
    visit("pool", self.pool);
    visit("tier", self.tier);
    visit("cpu", self.cpu);
    visit("hostMemory", self.host_memory);
  }
};

}  // namespace tessera::request
