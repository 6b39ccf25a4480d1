// Power, temperature, clocks and memory errors: enough for a monitor to show something plausible.

#include <algorithm>

#include "fakes/nvml/library.h"

using namespace tessera::fakes;

namespace {

constexpr unsigned kIdleWatts = 70;
constexpr unsigned kMostWatts = 700;
constexpr unsigned kMegahertz = 1980;
constexpr unsigned kMemoryMegahertz = 2619;

// Field ids of nvmlDeviceGetFieldValues.
constexpr unsigned kFieldCorrectedEcc = 3;
constexpr unsigned kFieldUncorrectedEcc = 4;
constexpr unsigned kFieldEnergy = 83;
constexpr unsigned kFieldPower = 186;

/// In per cent of the whole GPU; an instance counts by its share of the compute slices.
unsigned load_of(const View& view) {
  const auto slices = static_cast<unsigned>(std::max(view.model.compute_slices, 1));
  unsigned load = use_of(view.gpu, abi::kAnyInstance, view.now).load_percent;
  for (const auto& instance : view.gpu.instances)
    if (instance.serial != 0 && instance.profile < view.model.profiles.size())
      load += use_of(view.gpu, instance.id, view.now).load_percent *
              static_cast<unsigned>(view.model.profiles[instance.profile].compute_slices) / slices;
  return std::min(load, 100U);
}

unsigned milliwatts(const View& view) {
  return 1000 * kIdleWatts + 10 * load_of(view) * (kMostWatts - kIdleWatts);
}

/// Since 1970, so that it only grows; clients look at differences.
std::uint64_t millijoules(const View& view) {
  std::uint64_t busy_us = use_of(view.gpu, abi::kAnyInstance, view.now).busy_us;
  for (const auto& instance : view.gpu.instances)
    if (instance.serial != 0) busy_us += use_of(view.gpu, instance.id, view.now).busy_us;
  return (view.now * kIdleWatts + busy_us * (kMostWatts - kIdleWatts) / 8) / 1000;
}

std::uint64_t errors_of(const View& view, unsigned kind) {
  return kind == 0 ? view.gpu.corrected_ecc : view.gpu.uncorrected_ecc;
}

void fill(const View& view, abi::FieldValue& value) {
  value.at_us = static_cast<std::int64_t>(view.now);
  value.latency_us = 0;
  value.result = abi::kSuccess;
  value.type = 3;
  switch (value.field) {
    case kFieldCorrectedEcc:
    case kFieldUncorrectedEcc:
      value.wide = errors_of(view, value.field == kFieldCorrectedEcc ? 0 : 1);
      break;
    case kFieldEnergy:
      value.wide = millijoules(view);
      break;
    case kFieldPower:
      value.type = 1;
      value.number = milliwatts(view);
      break;
    default:
      value.result = abi::kNotSupported;
  }
}

}  // namespace

TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetPowerUsage(abi::Device device, unsigned* power) {
  return read_gpu(device, [&](View& view) { return answer(power, milliwatts(view)); });
}
TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetEnforcedPowerLimit(abi::Device device,
                                                                unsigned* limit) {
  return read_gpu(device, [&](View&) { return answer(limit, 1000 * kMostWatts); });
}
TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetPowerManagementLimit(abi::Device device,
                                                                  unsigned* limit) {
  return nvmlDeviceGetEnforcedPowerLimit(device, limit);
}
TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetPowerManagementDefaultLimit(abi::Device device,
                                                                         unsigned* limit) {
  return nvmlDeviceGetEnforcedPowerLimit(device, limit);
}
TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetPowerManagementLimitConstraints(abi::Device device,
                                                                             unsigned* least,
                                                                             unsigned* most) {
  return read_gpu(device, [&](View&) -> abi::Return {
    if (least == nullptr || most == nullptr) return abi::kInvalidArgument;
    *least = 1000 * 200;
    *most = 1000 * kMostWatts;
    return abi::kSuccess;
  });
}
TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetTotalEnergyConsumption(abi::Device device,
                                                                    std::uint64_t* energy) {
  return read_gpu(device, [&](View& view) { return answer(energy, millijoules(view)); });
}
TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetPerformanceState(abi::Device device, int* state) {
  return read_gpu(device, [&](View&) { return answer(state, 0); });
}
TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetPowerState(abi::Device device, int* state) {
  return nvmlDeviceGetPerformanceState(device, state);
}

TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetTemperature(abi::Device device, unsigned sensor,
                                                         unsigned* degrees) {
  return read_gpu(device, [&](View& view) -> abi::Return {
    if (sensor != 0) return abi::kInvalidArgument;
    return answer(degrees, 32 + load_of(view) * 4 / 10);
  });
}
TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetTemperatureV(abi::Device device,
                                                          abi::Temperature* temperature) {
  return read_gpu(device, [&](View& view) -> abi::Return {
    if (temperature == nullptr || temperature->sensor != 0) return abi::kInvalidArgument;
    if (temperature->version != abi::kTemperatureVersion) return abi::kArgumentVersion;
    temperature->degrees = static_cast<int>(32 + load_of(view) * 4 / 10);
    return abi::kSuccess;
  });
}

/// Types: 0 graphics, 1 SM, 2 memory, 3 video.
TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetMaxClockInfo(abi::Device device, unsigned type,
                                                          unsigned* megahertz) {
  return read_gpu(device, [&](View&) -> abi::Return {
    if (type > 3) return abi::kInvalidArgument;
    return answer(megahertz, type == 2 ? kMemoryMegahertz : kMegahertz);
  });
}
TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetClockInfo(abi::Device device, unsigned type,
                                                       unsigned* megahertz) {
  return nvmlDeviceGetMaxClockInfo(device, type, megahertz);
}

TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetEccMode(abi::Device device, unsigned* current,
                                                     unsigned* pending) {
  return read_gpu(device, [&](View&) -> abi::Return {
    if (current == nullptr || pending == nullptr) return abi::kInvalidArgument;
    *current = *pending = 1;
    return abi::kSuccess;
  });
}
/// Kind 0 corrected, 1 uncorrected; since the boot and in all are the same here.
TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetTotalEccErrors(abi::Device device, unsigned kind,
                                                            unsigned counter,
                                                            std::uint64_t* count) {
  return read_gpu(device, [&](View& view) -> abi::Return {
    if (kind > 1 || counter > 1) return abi::kInvalidArgument;
    return answer(count, errors_of(view, kind));
  });
}
TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetMemoryErrorCounter(abi::Device device, unsigned kind,
                                                                unsigned counter, unsigned,
                                                                std::uint64_t* count) {
  return nvmlDeviceGetTotalEccErrors(device, kind, counter, count);
}
/// Not with MIG, as on the real thing.
TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetRemappedRows(abi::Device device, unsigned* corrected,
                                                          unsigned* uncorrected, unsigned* pending,
                                                          unsigned* failed) {
  return read_gpu(device, [&](View& view) -> abi::Return {
    for (auto* each : {corrected, uncorrected, pending, failed})
      if (each == nullptr) return abi::kInvalidArgument;
    if (view.gpu.mig_current != 0) return abi::kNotSupported;
    for (auto* each : {corrected, uncorrected, pending, failed}) *each = 0;
    return abi::kSuccess;
  });
}

TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetFieldValues(abi::Device device, int count,
                                                         abi::FieldValue* values) {
  return read_gpu(device, [&](View& view) -> abi::Return {
    if (values == nullptr || count < 0) return abi::kInvalidArgument;
    for (int i = 0; i < count; ++i) fill(view, values[i]);
    return abi::kSuccess;
  });
}
