// What a device is: names, numbers, its place on the bus.

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>

#include "fakes/nvml/library.h"

using namespace tessera::fakes;
using tessera::catalog::GpuModel;

namespace {

struct Architecture {
  std::string_view name;
  unsigned number;
  int major, minor;  ///< CUDA compute capability
};
constexpr std::array kArchitectures = {
    Architecture{"Pascal", 4, 6, 0},       Architecture{"Volta", 5, 7, 0},
    Architecture{"Turing", 6, 7, 5},       Architecture{"Ampere", 7, 8, 0},
    Architecture{"Ada Lovelace", 8, 8, 9}, Architecture{"Hopper", 9, 9, 0},
    Architecture{"Blackwell", 10, 10, 0},
};
constexpr Architecture kOther{"", 0xFFFFFFFF, 0, 0};

const Architecture& architecture_of(const GpuModel& model) {
  const auto found = std::ranges::find(kArchitectures, model.architecture, &Architecture::name);
  return found == kArchitectures.end() ? kOther : *found;
}

std::string_view name_of(const GpuModel& model) {
  const auto vendor = std::ranges::find_if(model.names, [](const std::string& name) {
    return name.starts_with("NVIDIA ") || name.starts_with("Tesla ");
  });
  return vendor == model.names.end() ? std::string_view(model.product) : *vendor;
}

unsigned pci_id_of(const GpuModel& model) {
  return model.pci_ids.empty() ? 0 : model.pci_ids.front();
}

void print_bus_id(unsigned gpu, char (&full)[32], char (&legacy)[16]) {
  std::snprintf(full, sizeof(full), "00000000:%02X:00.0", bus_of(gpu));
  std::snprintf(legacy, sizeof(legacy), "0000:%02X:00.0", bus_of(gpu));
}

}  // namespace

TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetName(abi::Device device, char* name, unsigned length) {
  return read_device(device, [&](View& view) {
    std::string text(name_of(view.model));
    if (!view.whole()) text += " MIG " + view.profile().name;
    return copy_text(text, name, length);
  });
}

TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetUUID(abi::Device device, char* uuid, unsigned length) {
  return read_device(device, [&](View& view) {
    return copy_text(view.whole() ? view.gpu.uuid : view.compute->uuid, uuid, length);
  });
}

TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetIndex(abi::Device device, unsigned* index) {
  return read_gpu(device, [&](View& view) { return answer(index, view.index); });
}
TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetMinorNumber(abi::Device device, unsigned* number) {
  return read_gpu(device, [&](View& view) { return answer(number, view.index); });
}
TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetModuleId(abi::Device device, unsigned* number) {
  return read_gpu(device, [&](View& view) { return answer(number, view.index + 1); });
}

TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetSerial(abi::Device device, char* serial,
                                                    unsigned length) {
  return read_gpu(device, [&](View& view) {
    return copy_text("16500220" + std::to_string(10000 + view.index), serial, length);
  });
}
TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetBoardPartNumber(abi::Device device, char* number,
                                                             unsigned length) {
  return read_gpu(device, [&](View&) { return copy_text("900-00000-0000-000", number, length); });
}
TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetVbiosVersion(abi::Device device, char* version,
                                                          unsigned length) {
  return read_gpu(device, [&](View&) { return copy_text("96.00.00.00.01", version, length); });
}

TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetBrand(abi::Device device, unsigned* brand) {
  return read_gpu(device, [&](View&) { return answer(brand, 14U); });  // "NVIDIA"
}
TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetArchitecture(abi::Device device, unsigned* number) {
  return read_device(
      device, [&](View& view) { return answer(number, architecture_of(view.model).number); });
}
TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetCudaComputeCapability(abi::Device device, int* major,
                                                                   int* minor) {
  return read_device(device, [&](View& view) -> abi::Return {
    if (major == nullptr || minor == nullptr) return abi::kInvalidArgument;
    *major = architecture_of(view.model).major;
    *minor = architecture_of(view.model).minor;
    return abi::kSuccess;
  });
}
/// 128 CUDA cores to an SM, as on everything since Ampere's consumer parts; close enough before.
TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetNumGpuCores(abi::Device device, unsigned* cores) {
  return read_gpu(device, [&](View& view) {
    return answer(cores, static_cast<unsigned>(view.model.sms.count() * 128));
  });
}

TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetPciInfo_v3(abi::Device device, abi::PciInfo* info) {
  return read_gpu(device, [&](View& view) -> abi::Return {
    if (info == nullptr) return abi::kInvalidArgument;
    *info = {};
    info->bus = bus_of(view.index);
    info->device_id = info->subsystem_id = pci_id_of(view.model);
    print_bus_id(view.index, info->bus_id, info->bus_id_legacy);
    return abi::kSuccess;
  });
}
/// The older struct ends, but for reserved words, where the newer one has the longer bus id.
TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetPciInfo_v2(abi::Device device, void* info) {
  abi::PciInfo newer;
  const auto done = nvmlDeviceGetPciInfo_v3(device, &newer);
  if (done != abi::kSuccess) return done;
  if (info == nullptr) return abi::kInvalidArgument;
  std::memcpy(info, &newer, offsetof(abi::PciInfo, bus_id));
  return abi::kSuccess;
}
TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetPciInfo(abi::Device device, void* info) {
  return nvmlDeviceGetPciInfo_v2(device, info);
}
TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetPciInfoExt(abi::Device device, abi::PciInfoExt* info) {
  return read_gpu(device, [&](View& view) -> abi::Return {
    if (info == nullptr) return abi::kInvalidArgument;
    if (info->version != abi::kPciInfoExtVersion) return abi::kArgumentVersion;
    *info = {.version = info->version,
             .bus = bus_of(view.index),
             .device_id = pci_id_of(view.model),
             .subsystem_id = pci_id_of(view.model),
             .base_class = 3,  // display controller …
             .sub_class = 2};  // … for 3D only
    char legacy[16];
    print_bus_id(view.index, info->bus_id, legacy);
    return abi::kSuccess;
  });
}

TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetPersistenceMode(abi::Device device, unsigned* mode) {
  return read_gpu(device, [&](View& view) { return answer(mode, view.gpu.persistence); });
}
TESSERA_NVML_EXPORT abi::Return nvmlDeviceSetPersistenceMode(abi::Device device, unsigned mode) {
  return visit(device, {Kind::kDevice}, MachineFile::Access::kChange,
               [&](View& view) -> abi::Return {
                 if (mode > 1) return abi::kInvalidArgument;
                 view.gpu.persistence = mode;
                 return abi::kSuccess;
               });
}
/// Compute mode is always "default": others may share the GPU.
TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetComputeMode(abi::Device device, unsigned* mode) {
  return read_device(device, [&](View&) { return answer(mode, 0U); });
}
