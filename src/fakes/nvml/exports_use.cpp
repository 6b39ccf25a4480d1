// What a device is doing: memory, processes, utilisation.

#include <algorithm>
#include <vector>

#include "fakes/nvml/library.h"

using namespace tessera::fakes;

namespace {

constexpr std::uint64_t kMib = 1024 * 1024;
// What the driver itself occupies inside every instance.
constexpr std::uint64_t kEmptyInstanceMib = 12;

abi::Memory2 memory_in_use(const View& view) {
  abi::Memory2 memory{};
  if (view.whole()) {
    memory.total = (memory_of(view.model) + kReservedMib) * kMib;
    memory.reserved = kReservedMib * kMib;
    memory.used = use_of(view.gpu, abi::kAnyInstance, view.now).memory_mib * kMib;
    for (const auto& instance : view.gpu.instances)
      if (instance.serial != 0)
        memory.used +=
            (use_of(view.gpu, instance.id, view.now).memory_mib + kEmptyInstanceMib) * kMib;
  } else {
    memory.total = memory_of(view.model, view.profile()) * kMib;
    memory.used = (use_of(view.gpu, view.part(), view.now).memory_mib + kEmptyInstanceMib) * kMib;
  }
  memory.used = std::min(memory.used, memory.total - memory.reserved);
  memory.free = memory.total - memory.reserved - memory.used;
  return memory;
}

/// A whole GPU tells of the processes on its instances too.
std::vector<abi::ProcessDetail> processes_on(const View& view, unsigned kind) {
  std::vector<abi::ProcessDetail> found;
  for (const auto& process : view.gpu.processes) {
    if (process.pid == 0 || process.kind != kind) continue;
    if (!view.whole() &&
        (process.gpu_instance != view.instance->id || process.compute_instance != view.compute->id))
      continue;
    found.push_back({process.pid, process.memory_mib * kMib, process.gpu_instance,
                     process.compute_instance, 0});
  }
  return found;
}

/// The manner of all lists of NVML: too little room answers how much is needed.
template <class Entry, class Convert>
abi::Return list_processes(abi::Device device, unsigned kind, unsigned* count, Entry* entries,
                           Convert convert) {
  return read_device(device, [&](View& view) -> abi::Return {
    if (count == nullptr) return abi::kInvalidArgument;
    const auto found = processes_on(view, kind);
    const auto room = entries == nullptr ? 0 : *count;
    *count = static_cast<unsigned>(found.size());
    if (found.size() > room) return abi::kInsufficientSize;
    std::ranges::transform(found, entries, convert);
    return abi::kSuccess;
  });
}

abi::Return list_first(abi::Device device, unsigned kind, unsigned* count, abi::Process1* entries) {
  return list_processes(device, kind, count, entries, [](const abi::ProcessDetail& each) {
    return abi::Process1{each.pid, each.memory};
  });
}
abi::Return list_later(abi::Device device, unsigned kind, unsigned* count, abi::Process* entries) {
  return list_processes(device, kind, count, entries, [](const abi::ProcessDetail& each) {
    return abi::Process{each.pid, each.memory, each.gpu_instance, each.compute_instance};
  });
}

}  // namespace

TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetMemoryInfo(abi::Device device, abi::Memory* memory) {
  return read_device(device, [&](View& view) {
    const auto now = memory_in_use(view);
    return answer(memory, abi::Memory{now.total, now.free, now.used + now.reserved});
  });
}
TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetMemoryInfo_v2(abi::Device device,
                                                           abi::Memory2* memory) {
  return read_device(device, [&](View& view) -> abi::Return {
    if (memory == nullptr) return abi::kInvalidArgument;
    if (memory->version != abi::kMemory2Version) return abi::kArgumentVersion;
    *memory = memory_in_use(view);
    memory->version = abi::kMemory2Version;
    return abi::kSuccess;
  });
}
TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetBAR1MemoryInfo(abi::Device device,
                                                            abi::Memory* memory) {
  return read_device(device, [&](View& view) -> abi::Return {
    if (memory == nullptr) return abi::kInvalidArgument;
    const auto total = memory_in_use(view).total;
    *memory = {total, total - kMib, kMib};
    return abi::kSuccess;
  });
}

// The first form of each has no instance ids, the second and third are alike.
#define TESSERA_PROCESS_LIST(name, kind)                                         \
  TESSERA_NVML_EXPORT abi::Return name(abi::Device device, unsigned* count,      \
                                       abi::Process1* entries) {                 \
    return list_first(device, kind, count, entries);                             \
  }                                                                              \
  TESSERA_NVML_EXPORT abi::Return name##_v2(abi::Device device, unsigned* count, \
                                            abi::Process* entries) {             \
    return list_later(device, kind, count, entries);                             \
  }                                                                              \
  TESSERA_NVML_EXPORT abi::Return name##_v3(abi::Device device, unsigned* count, \
                                            abi::Process* entries) {             \
    return list_later(device, kind, count, entries);                             \
  }
TESSERA_PROCESS_LIST(nvmlDeviceGetComputeRunningProcesses, 0)
TESSERA_PROCESS_LIST(nvmlDeviceGetGraphicsRunningProcesses, 1)
TESSERA_PROCESS_LIST(nvmlDeviceGetMPSComputeRunningProcesses, 2)

TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetRunningProcessDetailList(
    abi::Device device, abi::ProcessDetailList* list) {
  if (list == nullptr) return abi::kInvalidArgument;
  if (list->version != abi::kProcessListVersion) return abi::kArgumentVersion;
  return list_processes(device, list->mode, &list->count, list->processes,
                        [](const abi::ProcessDetail& each) { return each; });
}

/// Not with MIG, as on the real thing.
TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetUtilizationRates(abi::Device device,
                                                              abi::Utilization* rates) {
  return read_gpu(device, [&](View& view) -> abi::Return {
    if (view.gpu.mig_current != 0) return abi::kNotSupported;
    const auto load = use_of(view.gpu, abi::kAnyInstance, view.now).load_percent;
    return answer(rates, abi::Utilization{load, load / 2});
  });
}

TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetProcessUtilization(abi::Device device,
                                                                abi::ProcessUtilization* samples,
                                                                unsigned* count,
                                                                std::uint64_t last_seen) {
  return read_gpu(device, [&](View& view) -> abi::Return {
    if (count == nullptr) return abi::kInvalidArgument;
    if (view.gpu.mig_current != 0) return abi::kNotSupported;
    std::vector<abi::ProcessUtilization> found;
    for (const auto& process : view.gpu.processes)
      if (process.pid != 0)
        found.push_back(
            {process.pid, view.now, process.load_percent, process.load_percent / 2, 0, 0});
    if (found.empty() || last_seen >= view.now) return abi::kNotFound;
    const auto room = samples == nullptr ? 0 : *count;
    *count = static_cast<unsigned>(found.size());
    if (found.size() > room) return abi::kInsufficientSize;
    std::ranges::copy(found, samples);
    return abi::kSuccess;
  });
}

/// Encoders and decoders idle: no process here uses them.
TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetEncoderUtilization(abi::Device device, unsigned* busy,
                                                                unsigned* period_us) {
  return read_gpu(device, [&](View&) -> abi::Return {
    if (busy == nullptr || period_us == nullptr) return abi::kInvalidArgument;
    *busy = 0;
    *period_us = 167'000;
    return abi::kSuccess;
  });
}
TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetDecoderUtilization(abi::Device device, unsigned* busy,
                                                                unsigned* period_us) {
  return nvmlDeviceGetEncoderUtilization(device, busy, period_us);
}
