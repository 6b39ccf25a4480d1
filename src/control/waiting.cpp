#include "control/waiting.h"

#include <iterator>

namespace tessera::control {

std::string WaitingLines::key_of(const request::Request& request) {
  const auto& need = request.need;
  std::string key = request.team + '\0' + request.tier + '\0' + need.pool + '\0';
  for (const auto& model : need.models) key += model + ',';
  for (const std::int64_t part :
       {need.memory.count(), need.compute.count(), need.sms.count(),
        static_cast<std::int64_t>(need.isolation), std::int64_t{need.count}, need.cpu.count(),
        need.host_memory.count(), static_cast<std::int64_t>(need.duration.count()),
        std::int64_t{need.nodes}, static_cast<std::int64_t>(need.nvlink)})
    key += '\0' + std::to_string(part);
  return key;
}

void WaitingLines::add(const request::Request& request) {
  const auto key = key_of(request);
  auto& line = lines_[key];
  if (!line.empty()) by_age_.erase(*line.begin());
  if (line.insert(request.id).second) ++count_;
  by_age_[*line.begin()] = key;
  by_tier_[request.tier].insert(request.id);
}

void WaitingLines::remove(const request::Request& request) {
  const auto found = lines_.find(key_of(request));
  if (found == lines_.end()) return;
  auto& line = found->second;
  by_age_.erase(*line.begin());
  count_ -= line.erase(request.id);
  if (const auto tier = by_tier_.find(request.tier); tier != by_tier_.end()) {
    tier->second.erase(request.id);
    if (tier->second.empty()) by_tier_.erase(tier);
  }
  if (line.empty())
    lines_.erase(found);
  else
    by_age_[*line.begin()] = found->first;
}

void WaitingLines::clear() {
  *this = WaitingLines();
}

std::vector<RequestId> WaitingLines::heads() const {
  std::vector<RequestId> heads;
  heads.reserve(by_age_.size());
  for (const auto& [id, key] : by_age_) heads.push_back(id);
  return heads;
}

std::optional<RequestId> WaitingLines::head_of(const request::Request& request) const {
  const auto found = lines_.find(key_of(request));
  if (found == lines_.end()) return std::nullopt;
  return *found->second.begin();
}

int WaitingLines::position(const request::Request& request) const {
  const auto tier = by_tier_.find(request.tier);
  if (tier == by_tier_.end()) return 0;
  const auto found = tier->second.find(request.id);
  if (found == tier->second.end()) return 0;
  return 1 + static_cast<int>(std::distance(tier->second.begin(), found));
}

int WaitingLines::last_position(std::string_view tier) const {
  const auto found = by_tier_.find(tier);
  return found == by_tier_.end() ? 1 : 1 + static_cast<int>(found->second.size());
}

}  // namespace tessera::control
