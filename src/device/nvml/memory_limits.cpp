#include "device/nvml/memory_limits.h"

namespace tessera::device::nvml {

void MemoryLimits::want(std::map<Share, MemoryLimit> limits) {
  const std::scoped_lock lock(mutex_);
  wanted_ = std::move(limits);
  std::erase_if(held_, [&](const auto& each) { return !wanted_.contains(each.first); });
}

std::optional<MemoryLimit> MemoryLimits::wanted(const Share& share) const {
  const std::scoped_lock lock(mutex_);
  const auto found = wanted_.find(share);
  return found == wanted_.end() ? std::nullopt : std::optional(found->second);
}

void MemoryLimits::hold(const Share& share, std::optional<MemoryLimit> limit) {
  const std::scoped_lock lock(mutex_);
  if (limit)
    held_[share] = *limit;
  else
    held_.erase(share);
}

std::optional<MemoryLimit> MemoryLimits::held(const Share& share) const {
  const std::scoped_lock lock(mutex_);
  const auto found = held_.find(share);
  return found == held_.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace tessera::device::nvml
