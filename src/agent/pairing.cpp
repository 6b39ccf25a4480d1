#include "agent/pairing.h"

#include <algorithm>
#include <set>

namespace tessera::agent {
namespace {

using device::GpuState;

std::uint16_t free_number(const std::set<std::uint16_t>& taken, std::uint16_t wanted) {
  if (!taken.contains(wanted)) return wanted;
  std::uint16_t number = 0;
  while (taken.contains(number)) ++number;
  return number;
}

}  // namespace

std::vector<Pair> pair_up(const fleet::NodeTarget* target, const device::Observation& observation) {
  std::vector<Pair> pairs;
  std::set<std::uint16_t> numbers;
  std::set<const GpuState*> taken;
  const auto take = [&](auto&& matches) -> const GpuState* {
    for (const auto& state : observation.gpus)
      if (!taken.contains(&state) && matches(state)) return *taken.insert(&state).first;
    return nullptr;
  };
  if (target != nullptr) {
    for (const auto& gpu : target->gpus)
      if (numbers.insert(gpu.number).second) pairs.push_back({gpu.number, &gpu, nullptr, nullptr});
    for (auto& pair : pairs)
      if (const auto& uuid = pair.target->uuid; !uuid.empty())
        pair.state = take([&](const GpuState& state) { return state.uuid == uuid; });
    for (auto& pair : pairs) {
      if (pair.state != nullptr) continue;
      const auto in_place = [&](const GpuState& state) { return state.number == pair.number; };
      if (pair.target->uuid.empty())
        pair.state = take(in_place);
      else
        pair.stranger = take(in_place);
    }
  }
  for (const auto& state : observation.gpus) {
    if (taken.contains(&state)) continue;
    const auto number = free_number(numbers, state.number);
    numbers.insert(number);
    pairs.push_back({number, nullptr, &state, nullptr});
  }
  std::ranges::sort(pairs, {}, &Pair::number);
  return pairs;
}

}  // namespace tessera::agent
