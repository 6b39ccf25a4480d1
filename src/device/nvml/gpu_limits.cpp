// The memory limits of control groups that drivers from 615 on keep.

#include <algorithm>

#include "device/nvml/gpu.h"

namespace tessera::device::nvml {

/// False where the driver will not.
bool Gpu::limit_group(const std::string& group, const MemoryLimit& limit) const {
  constexpr std::uint64_t kBytesOfMiB = 1 << 20;
  // The driver refuses a limit that is above what the GPU has.
  abi::Memory memory{};
  if (nvml().nvmlDeviceGetMemoryInfo(handle_, &memory) != abi::kSuccess) return false;
  const auto bytes = [&](MiB size) {
    return std::min(static_cast<std::uint64_t>(size.count()) * kBytesOfMiB, memory.total);
  };
  abi::MemoryLimits limits{group.c_str(), bytes(limit.guaranteed), bytes(limit.most)};
  return nvml().nvmlDeviceSetMemoryLimits_v1(handle_, &limits) == abi::kSuccess;
}

/// A group keeps its limit as long as it is there; so it is told again only where another one is
/// wanted, or where the driver refused. What it has already stays, whatever the limit.
void Gpu::hold_to_limits(const std::vector<Process>& processes) {
  const auto& limits = around_.limits;
  if (!limits || nvml().nvmlDeviceSetMemoryLimits_v1 == nullptr || around_.read_only) return;
  std::map<ControlGroup, MemoryLimit> limited;
  for (const auto& process : processes) {
    const MemoryLimits::Share share{process.tenant, uuid_};
    const auto wanted = process.device == uuid_ ? limits->wanted(share) : std::nullopt;
    if (!wanted) continue;
    const auto group = around_.processes->group_of(process.pid);
    if (!group || limited.contains(*group)) continue;
    const auto before = limited_.find(*group);
    const bool holds = (before != limited_.end() && before->second == *wanted) ||
                       limit_group(group->folder, *wanted);
    if (holds) limited.emplace(*group, *wanted);
    limits->hold(share, holds ? wanted : std::nullopt);
  }
  limited_ = std::move(limited);
}

}  // namespace tessera::device::nvml
