#include "device/nvml/care.h"

namespace tessera::device::nvml {

Care care_of(const Library& library, GpuNumber number) {
  constexpr unsigned kUncorrected = 1;
  constexpr unsigned kSinceLoaded = 0;
  Care care;
  const auto& nvml = library.call();
  abi::Device device = nullptr;
  if (nvml.nvmlDeviceGetHandleByIndex_v2(number, &device) != abi::kSuccess) return care;
  unsigned current = 0;
  unsigned pending = 0;
  if (nvml.nvmlDeviceGetPersistenceMode != nullptr &&
      nvml.nvmlDeviceGetPersistenceMode(device, &current) == abi::kSuccess)
    care.persistence = current != 0;
  if (nvml.nvmlDeviceGetEccMode != nullptr &&
      nvml.nvmlDeviceGetEccMode(device, &current, &pending) == abi::kSuccess) {
    care.ecc = current != 0;
    care.ecc_after_boot = pending != 0;
  }
  std::uint64_t count = 0;
  if (nvml.nvmlDeviceGetTotalEccErrors != nullptr &&
      nvml.nvmlDeviceGetTotalEccErrors(device, kUncorrected, kSinceLoaded, &count) == abi::kSuccess)
    care.uncorrected = count;
  return care;
}

}  // namespace tessera::device::nvml
