#pragma once

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "control/state.h"
#include "placement/spot.h"
#include "simulation/trace.h"

namespace tessera::simulation {

using request::RequestId;

/// A fleet that fills with the pods of a trace, on the production control plane: a pod that asks
/// for GPUs is a Submit to control::step, so it is matched and placed by the code that serves real
/// requests. Leases never end, but they may be moved.
///
/// Tessera lends GPUs; a pod without one is not among its requests. It takes CPU and memory of a
/// GPU node all the same, where it does least harm.
class Filling {
 public:
  /// One who holds room on a node.
  struct Tenant {
    RequestId id;
    std::size_t kind = 0;     ///< kind_of() its request
    std::int64_t cpu = 0;     ///< of the host, thousandths
    std::int64_t memory = 0;  ///< of the host, MiB
    std::int64_t share = 0;   ///< of each of its GPUs, in thousandths
    std::vector<fleet::GpuIndex> gpus;
    bool on(fleet::GpuIndex gpu) const { return std::ranges::find(gpus, gpu) != gpus.end(); }
    std::int64_t held() const { return share * std::ssize(gpus); }
  };

  explicit Filling(const std::vector<TraceNode>& nodes);

  /// Places a pod where production would. Where there is no room now its request waits;
  /// none: no node could ever hold it, or it asks for no GPU and there is no room.
  std::optional<RequestId> arrive(const TracePod& pod);
  bool holds(RequestId request) const;
  void give_up(RequestId request);  ///< of a request that waits

  /// Takes a lease away; its request waits. What it held, for put_back().
  placement::Spot take_away(RequestId request);
  void put_back(RequestId request, const placement::Spot& spot);
  /// Places a waiting request where production would; false if there is no room.
  bool place(RequestId request);
  /// The same one share on another GPU.
  placement::Spot moved_to(placement::Spot spot, fleet::GpuIndex gpu) const;
  /// Is there room for one more like this?
  bool has_room(RequestId like) { return spot_for(request(like)).has_value(); }

  const control::State& state() const { return state_; }
  const request::Request& request(RequestId id) const { return *state_.find(id); }
  /// Those that hold room on a node, in no particular order.
  const std::vector<Tenant>& tenants_of(fleet::NodeIndex node) const {
    return tenants_[node.value()];
  }
  std::size_t running() const { return running_; }
  /// A number for all requests that ask for the same; counted from zero.
  std::size_t kind_of(RequestId request);

 private:
  control::Record run(const control::Command& command, const tenancy::Actor& actor);
  void apply(std::vector<control::Event> events);
  std::optional<placement::Spot> spot_for(const request::Request& request);
  void note_tenant(RequestId request);

  /// Slices, compute, CPU, memory, models.
  using Asked = std::tuple<int, std::int64_t, std::int64_t, std::int64_t, std::vector<std::string>>;

  control::State state_;
  std::map<Asked, std::size_t> kinds_;
  std::vector<std::vector<Tenant>> tenants_;  ///< by node
  std::size_t running_ = 0;
};

}  // namespace tessera::simulation
