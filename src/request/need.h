#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "fleet/slice.h"

namespace tessera::request {

using base::Duration;
using base::MiB;
using base::MilliCpu;
using base::MilliShare;
using base::Sms;

/// Do the GPUs that a request gets on one node have to be linked by NVLink?
enum class Nvlink : std::uint8_t {
  kPreferred,  ///< linked where that is free, else not
  kRequired,   ///< linked, or nothing
};
std::string_view to_string(Nvlink nvlink);

/// What a team asks for: never a profile, always what the work requires. All-or-nothing: `count`
/// slices on each of `nodes` nodes of one pool.
struct Need {
  MiB memory;          ///< of the GPU, per slice; 0: any
  MilliShare compute;  ///< thousandths of a GPU, per slice; 0: any
  Sms sms;             ///< per slice, instead of `compute`; 0: any
  catalog::Isolation isolation = catalog::Isolation::kShared;  ///< the least accepted
  int count = 1;                                               ///< slices on each node; 1 … 64
  Duration duration{};                                         ///< 0: the tier's default
  std::vector<std::string> models;     ///< acceptable GPU models by key; empty: any
  std::string pool;                    ///< by name; empty: any
  std::string tier;                    ///< by name; empty: the least that satisfies
  MilliCpu cpu;                        ///< of each host, for all slices there together
  MiB host_memory;                     ///< of each host, for all slices there together
  int nodes = 1;                       ///< so many alike: a gang, all of it or none; 1 … 64
  Nvlink nvlink = Nvlink::kPreferred;  ///< between the whole GPUs of each node

  /// All slices of the request.
  int slices() const { return count * nodes; }
  bool linked() const { return nvlink == Nvlink::kRequired; }
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
    visit("nodes", self.nodes);
    visit("nvlink", self.nvlink);
  }
};

}  // namespace tessera::request
