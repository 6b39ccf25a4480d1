#include "simulation/inflation.h"

#include <algorithm>

#include "base/random.h"
#include "simulation/filling.h"
#include "simulation/make_room.h"
#include "simulation/packing_bound.h"

namespace tessera::simulation {
namespace {

/// Indices of the pods in the order of their arrival.
std::vector<std::size_t> arrivals(const std::vector<TracePod>& pods, std::int64_t wanted,
                                  std::uint64_t seed) {
  base::SeededRandom random(seed);
  std::vector<std::size_t> order(pods.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  for (std::size_t i = order.size() - 1; i > 0; --i)
    std::swap(order[i], order[random.below(i + 1)]);
  std::int64_t sum = 0;
  std::size_t kept = 0;
  while (kept < order.size() && sum < wanted) sum += pods[order[kept++]].milli_gpus();
  order.resize(kept);
  while (sum < wanted) {
    order.push_back(random.below(pods.size()));
    sum += pods[order.back()].milli_gpus();
  }
  return order;
}

/// The protocol while it runs.
class Inflation {
 public:
  Inflation(const std::vector<TraceNode>& nodes, const InflationOptions& options,
            const std::function<void(int)>& progress, InflationResult& result)
      : nodes_(nodes),
        options_(options),
        progress_(progress),
        result_(result),
        filling_(nodes),
        room_maker_(filling_) {}

  void arrive(const TracePod& pod) {
    for (; (asked_ + pod.milli_gpus()) * 100 > result_.fleet_milli_gpus * next_percent_;
         next_percent_ += 10)
      note(next_percent_);
    ++result_.arrived;
    asked_ += pod.milli_gpus();
    arrived_.push_back(&pod);
    if (!finds_room(pod)) return;
    ++result_.placed;
    result_.allocated_milli_gpus += pod.milli_gpus();
  }

  void note(int percent) {
    result_.allocation[percent] = percent_of_fleet(result_.allocated_milli_gpus);
    const bool wanted = percent == 100 || percent == options_.inflate_percent;
    if (options_.solver && wanted) {
      const auto bound = [&](Scope scope) {
        return percent_of_fleet(packing_bound(nodes_, arrived_, scope, options_.solver).milli_gpus);
      };
      result_.bound[percent] = bound(Scope::kNodes);
      result_.bound_on_gpus_alone[percent] = bound(Scope::kGpusAlone);
    }
    result_.lost = result_.arrived - result_.placed;
    result_.most_moves = most_moves();
    if (progress_) progress_(percent);
  }

 private:
  bool finds_room(const TracePod& pod) {
    const auto id = filling_.arrive(pod);
    if (!id || filling_.holds(*id)) return id.has_value();
    const auto moved = room_maker_.make_room(*id, worth_moving_for(pod));
    if (!moved) {
      filling_.give_up(*id);
      return false;
    }
    result_.moved += static_cast<std::uint64_t>(*moved);
    return true;
  }

  int worth_moving_for(const TracePod& pod) const {
    const auto left = static_cast<std::int64_t>(most_moves() - result_.moved);
    return static_cast<int>(std::min(left, pod.milli_gpus() / kWorthAMove));
  }

  /// Never falls, because nothing leaves.
  std::uint64_t most_moves() const {
    return static_cast<std::uint64_t>(options_.max_moved * static_cast<double>(filling_.running()));
  }

  double percent_of_fleet(auto milli_gpus) const {
    return 100 * static_cast<double>(milli_gpus) / static_cast<double>(result_.fleet_milli_gpus);
  }

  const std::vector<TraceNode>& nodes_;
  const InflationOptions& options_;
  const std::function<void(int)>& progress_;
  InflationResult& result_;
  Filling filling_;
  RoomMaker room_maker_;
  std::vector<const TracePod*> arrived_;
  std::int64_t asked_ = 0;
  int next_percent_ = 10;
};

}  // namespace

base::Result<InflationResult> inflate(const std::vector<TraceNode>& nodes,
                                      const std::vector<TracePod>& pods,
                                      const InflationOptions& options,
                                      const std::function<void(int percent)>& progress) {
  InflationResult result;
  for (const auto& node : nodes) result.fleet_milli_gpus += node.gpus * 1000;
  std::int64_t asked = 0;
  for (const auto& pod : pods) asked += pod.milli_gpus();
  if (result.fleet_milli_gpus == 0 || asked == 0)
    return base::fail(base::Reason::kInvalidDocument, "there is no GPU in the list",
                      result.fleet_milli_gpus == 0 ? "nodes" : "pods",
                      "give lists with at least one GPU each");

  Inflation inflation(nodes, options, progress, result);
  const auto wanted = result.fleet_milli_gpus * options.inflate_percent / 100;
  for (const auto index : arrivals(pods, wanted, options.seed)) inflation.arrive(pods[index]);
  inflation.note(options.inflate_percent);
  return result;
}

}  // namespace tessera::simulation
