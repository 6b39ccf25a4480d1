// nvmlInit, nvmlSystem…, and the ways to a device handle.

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "fakes/nvml/library.h"

using namespace tessera::fakes;

namespace {

constexpr std::array<std::pair<abi::Return, const char*>, 21> kErrors = {{
    {abi::kSuccess, "Success"},
    {abi::kUninitialized, "Uninitialized"},
    {abi::kInvalidArgument, "Invalid Argument"},
    {abi::kNotSupported, "Not Supported"},
    {abi::kNoPermission, "Insufficient Permissions"},
    {abi::kNotFound, "Not Found"},
    {abi::kInsufficientSize, "Insufficient Size"},
    {abi::kDriverNotLoaded, "Driver Not Loaded"},
    {abi::kTimeout, "Timeout"},
    {abi::kLibraryNotFound, "NVML Shared Library Not Found"},
    {abi::kFunctionNotFound, "Function Not Found"},
    {abi::kGpuIsLost, "GPU is lost"},
    {abi::kResetRequired, "GPU requires reset"},
    {abi::kOperatingSystem, "The operating system has blocked the request."},
    {abi::kVersionMismatch, "Driver/library version mismatch"},
    {abi::kInUse, "In use by another client"},
    {abi::kOutOfMemory, "Insufficient Memory"},
    {abi::kInsufficientResources, "Insufficient Resources"},
    {abi::kArgumentVersion, "Argument version mismatch"},
    {abi::kNotReady, "System is not in a ready state"},
    {abi::kGpuNotFound, "GPU not found"},
}};

/// The first device, whole or MIG, for which `matches` has a handle.
template <class Matches>
abi::Return find_device(abi::Device* device, Matches matches) {
  return guarded([&]() -> abi::Return {
    if (device == nullptr) return abi::kInvalidArgument;
    const auto machine = open_machine(MachineFile::Access::kRead);
    if (!machine) return machine.error();
    for (unsigned i = 0; i < machine->header().gpus; ++i) {
      GpuRecord gpu;
      if (!machine->read(i, gpu)) return abi::kOperatingSystem;
      const std::optional<Handle> found = matches(i, gpu);
      if (!found) continue;
      if (gpu.faults.lost != 0) return abi::kGpuIsLost;
      *device = static_cast<abi::Device>(encode(*found));
      return abi::kSuccess;
    }
    return abi::kNotFound;
  });
}

std::optional<Handle> match_uuid(unsigned index, const GpuRecord& gpu, std::string_view uuid) {
  if (uuid == gpu.uuid) return Handle{Kind::kDevice, index, 0, 0};
  for (const auto& instance : gpu.instances)
    for (const auto& compute : instance.compute)
      if (instance.serial != 0 && compute.serial != 0 && uuid == compute.uuid)
        return Handle{Kind::kMigDevice, index, instance.serial, compute.serial};
  return std::nullopt;
}

}  // namespace

TESSERA_NVML_EXPORT abi::Return nvmlInit_v2() {
  return guarded(attach);
}
TESSERA_NVML_EXPORT abi::Return nvmlInit() {
  return guarded(attach);
}
TESSERA_NVML_EXPORT abi::Return nvmlInitWithFlags(unsigned) {
  return guarded(attach);
}
TESSERA_NVML_EXPORT abi::Return nvmlShutdown() {
  return guarded(detach);
}

TESSERA_NVML_EXPORT const char* nvmlErrorString(abi::Return code) {
  const auto found = std::ranges::find(kErrors, code, &decltype(kErrors)::value_type::first);
  return found == kErrors.end() ? "Unknown Error" : found->second;
}

TESSERA_NVML_EXPORT abi::Return nvmlSystemGetDriverVersion(char* version, unsigned length) {
  return guarded([&]() -> abi::Return {
    const auto machine = open_machine(MachineFile::Access::kRead);
    if (!machine) return machine.error();
    return copy_text(machine->header().driver_version, version, length);
  });
}

/// NVML numbers itself "13.DRIVER" since CUDA 13, "12.DRIVER" before.
TESSERA_NVML_EXPORT abi::Return nvmlSystemGetNVMLVersion(char* version, unsigned length) {
  return guarded([&]() -> abi::Return {
    const auto machine = open_machine(MachineFile::Access::kRead);
    if (!machine) return machine.error();
    const std::string_view driver = machine->header().driver_version;
    const char* cuda = driver >= "580" ? "13." : "12.";
    return copy_text(cuda + std::string(driver), version, length);
  });
}

TESSERA_NVML_EXPORT abi::Return nvmlSystemGetCudaDriverVersion_v2(int* version) {
  return guarded([&]() -> abi::Return {
    const auto machine = open_machine(MachineFile::Access::kRead);
    if (!machine) return machine.error();
    const bool newest = std::string_view(machine->header().driver_version) >= "580";
    return answer(version, newest ? 13000 : 12000);
  });
}
TESSERA_NVML_EXPORT abi::Return nvmlSystemGetCudaDriverVersion(int* version) {
  return nvmlSystemGetCudaDriverVersion_v2(version);
}

TESSERA_NVML_EXPORT abi::Return nvmlSystemGetProcessName(unsigned pid, char* name,
                                                         unsigned length) {
  return guarded([&]() -> abi::Return {
    if (name == nullptr || length == 0) return abi::kInvalidArgument;
    char path[32];
    std::snprintf(path, sizeof(path), "/proc/%u/comm", pid);
    std::FILE* file = std::fopen(path, "re");
    if (file == nullptr) return abi::kNotFound;
    char text[64] = {};
    const auto count = std::fread(text, 1, sizeof(text) - 1, file);
    std::fclose(file);
    std::string_view read(text, count);
    if (read.ends_with('\n')) read.remove_suffix(1);
    return copy_text(read, name, length);
  });
}

TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetCount_v2(unsigned* count) {
  return guarded([&]() -> abi::Return {
    const auto machine = open_machine(MachineFile::Access::kRead);
    if (!machine) return machine.error();
    return answer(count, machine->header().gpus);
  });
}
TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetCount(unsigned* count) {
  return nvmlDeviceGetCount_v2(count);
}

TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetHandleByIndex_v2(unsigned index, abi::Device* device) {
  const auto found = find_device(device, [&](unsigned i, const GpuRecord&) {
    return i == index ? std::optional(Handle{Kind::kDevice, i, 0, 0}) : std::nullopt;
  });
  return found == abi::kNotFound ? abi::kInvalidArgument : found;
}
TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetHandleByIndex(unsigned index, abi::Device* device) {
  return nvmlDeviceGetHandleByIndex_v2(index, device);
}

TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetHandleByUUID(const char* uuid, abi::Device* device) {
  if (uuid == nullptr) return abi::kInvalidArgument;
  return find_device(device,
                     [&](unsigned i, const GpuRecord& gpu) { return match_uuid(i, gpu, uuid); });
}
TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetHandleByUUIDV(const abi::Uuid* uuid,
                                                           abi::Device* device) {
  if (uuid == nullptr) return abi::kInvalidArgument;
  if (uuid->version != abi::kUuidVersion) return abi::kArgumentVersion;
  if (uuid->type != 1) return abi::kNotSupported;
  const std::string_view text(uuid->text, strnlen(uuid->text, sizeof(uuid->text)));
  return find_device(device,
                     [&](unsigned i, const GpuRecord& gpu) { return match_uuid(i, gpu, text); });
}

/// "00000000:10:00.0", with a domain of four or eight digits, or with none.
TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetHandleByPciBusId_v2(const char* bus_id,
                                                                 abi::Device* device) {
  if (bus_id == nullptr) return abi::kInvalidArgument;
  unsigned domain = 0;
  unsigned bus = 0;
  unsigned slot = 0;
  if (std::sscanf(bus_id, "%x:%x:%x", &domain, &bus, &slot) != 3) {
    domain = 0;
    if (std::sscanf(bus_id, "%x:%x", &bus, &slot) != 2) return abi::kInvalidArgument;
  }
  return find_device(device, [&](unsigned i, const GpuRecord&) {
    const bool here = domain == 0 && slot == 0 && bus == bus_of(i);
    return here ? std::optional(Handle{Kind::kDevice, i, 0, 0}) : std::nullopt;
  });
}
TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetHandleByPciBusId(const char* bus_id,
                                                              abi::Device* device) {
  return nvmlDeviceGetHandleByPciBusId_v2(bus_id, device);
}
