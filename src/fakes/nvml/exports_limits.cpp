// Memory limits of control groups, as drivers from 615 on have them. They are kept and told, and
// not enforced: the stand-in libcuda.so.1 does not look at them.

#include <algorithm>
#include <cstring>
#include <iterator>
#include <string_view>

#include "fakes/nvml/library.h"

using namespace tessera::fakes;

namespace {

constexpr std::uint64_t kMebibyte = 1024 * 1024;

/// What a driver of this machine's version answers at all.
abi::Return known_here() {
  const auto machine = open_machine(kRead);
  if (!machine) return machine.error();
  const std::string_view version = machine->header().driver_version;
  return version >= "615" ? abi::kSuccess : abi::kNotSupported;
}

GroupLimitRecord* find_limit(GpuRecord& gpu, std::string_view group) {
  const auto found = std::ranges::find_if(
      gpu.limits, [&](const GroupLimitRecord& each) { return group == each.group; });
  return found == std::end(gpu.limits) ? nullptr : found;
}

}  // namespace

TESSERA_NVML_EXPORT abi::Return nvmlDeviceSetMemoryLimits_v1(abi::Device device,
                                                             abi::MemoryLimits* limits) {
  if (const auto refused = guarded(known_here); refused != abi::kSuccess) return refused;
  return visit(device, {Kind::kDevice, Kind::kMigDevice}, kChange, [&](View& view) -> abi::Return {
    if (!view.whole()) return abi::kNotSupported;
    if (limits == nullptr || limits->group == nullptr || limits->soft > limits->hard)
      return abi::kInvalidArgument;
    if (limits->hard > (memory_of(view.model) + kReservedMib) * kMebibyte)
      return abi::kInvalidArgument;
    const std::string_view group = limits->group;
    auto* record = find_limit(view.gpu, group);
    if (record == nullptr) record = find_limit(view.gpu, "");
    if (record == nullptr || group.empty() || group.size() >= sizeof(record->group))
      return abi::kOperatingSystem;
    std::memset(record->group, 0, sizeof(record->group));
    group.copy(record->group, sizeof(record->group) - 1);
    record->soft = limits->soft;
    record->hard = limits->hard;
    return abi::kSuccess;
  });
}

TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetMemoryLimits_v1(abi::Device device,
                                                             abi::MemoryLimitsNow* limits) {
  if (const auto refused = guarded(known_here); refused != abi::kSuccess) return refused;
  return read_gpu(device, [&](View& view) -> abi::Return {
    if (limits == nullptr || limits->group == nullptr || *limits->group == '\0')
      return abi::kInvalidArgument;
    const auto* record = find_limit(view.gpu, limits->group);
    if (record == nullptr) return abi::kNotFound;
    limits->soft = record->soft;
    limits->hard = record->hard;
    limits->used = 0;
    return abi::kSuccess;
  });
}
