#include "fakes/nvml/abi_layout.h"

#include "device/nvml/abi.h"

namespace tessera::fakes {

namespace abi = device::nvml::abi;

std::vector<StructLayout> struct_layouts() {
#define AT(field) offsetof(S, field)
#define LAYOUT(name, type, ...)                        \
  [] {                                                 \
    using S = abi::type;                               \
    return StructLayout{name, sizeof(S), __VA_ARGS__}; \
  }()
  return {
      LAYOUT("nvmlPciInfo_t", PciInfo,
             {AT(bus_id_legacy), AT(domain), AT(bus), AT(device), AT(device_id), AT(subsystem_id),
              AT(bus_id)}),
      LAYOUT("nvmlPciInfoExt_v1_t", PciInfoExt,
             {AT(version), AT(domain), AT(bus), AT(device), AT(device_id), AT(subsystem_id),
              AT(base_class), AT(sub_class), AT(bus_id)}),
      LAYOUT("c_nvmlMemory_t", Memory, {AT(total), AT(free), AT(used)}),
      LAYOUT("c_nvmlMemory_v2_t", Memory2,
             {AT(version), AT(total), AT(reserved), AT(free), AT(used)}),
      LAYOUT("c_nvmlUtilization_t", Utilization, {AT(gpu), AT(memory)}),
      LAYOUT("c_nvmlProcessInfo_v2_t", Process,
             {AT(pid), AT(memory), AT(gpu_instance), AT(compute_instance)}),
      LAYOUT("c_nvmlProcessDetail_v1_t", ProcessDetail,
             {AT(pid), AT(memory), AT(gpu_instance), AT(compute_instance), AT(protected_memory)}),
      LAYOUT("c_nvmlProcessDetailList_v1_t", ProcessDetailList,
             {AT(version), AT(mode), AT(count), AT(processes)}),
      LAYOUT("c_nvmlProcessUtilizationSample_t", ProcessUtilization,
             {AT(pid), AT(at_us), AT(sm), AT(memory), AT(encoder), AT(decoder)}),
      LAYOUT("c_nvmlGpuInstancePlacement_t", Placement, {AT(start), AT(size)}),
      LAYOUT("c_nvmlComputeInstancePlacement_t", Placement, {AT(start), AT(size)}),
      LAYOUT("c_nvmlGpuInstanceProfileInfo_t", ProfileInfo,
             {AT(id), AT(p2p), AT(slices), AT(instances), AT(sms), AT(copy), AT(decoder),
              AT(encoder), AT(jpeg), AT(optical_flow), AT(memory_mib)}),
      LAYOUT("c_nvmlGpuInstanceProfileInfo_v2_t", ProfileInfo2,
             {AT(version), AT(id), AT(p2p), AT(slices), AT(instances), AT(sms), AT(copy),
              AT(decoder), AT(encoder), AT(jpeg), AT(optical_flow), AT(memory_mib), AT(name)}),
      LAYOUT("c_nvmlGpuInstanceInfo_t", GpuInstanceInfo,
             {AT(device), AT(id), AT(profile), AT(placement)}),
      LAYOUT("c_nvmlComputeInstanceProfileInfo_t", ComputeProfileInfo,
             {AT(id), AT(slices), AT(instances), AT(sms), AT(copy), AT(decoder), AT(encoder),
              AT(jpeg), AT(optical_flow)}),
      LAYOUT("c_nvmlComputeInstanceProfileInfo_v2_t", ComputeProfileInfo2,
             {AT(version), AT(id), AT(slices), AT(instances), AT(sms), AT(copy), AT(decoder),
              AT(encoder), AT(jpeg), AT(optical_flow), AT(name)}),
      LAYOUT("c_nvmlComputeInstanceInfo_t", ComputeInstanceInfo,
             {AT(device), AT(gpu_instance), AT(id), AT(profile), AT(placement)}),
      LAYOUT("c_nvmlDeviceAttributes", DeviceAttributes,
             {AT(sms), AT(copy), AT(decoder), AT(encoder), AT(jpeg), AT(optical_flow),
              AT(gpu_instance_slices), AT(compute_instance_slices), AT(memory_mib)}),
      LAYOUT("c_nvmlEventData_t", Event,
             {AT(device), AT(type), AT(data), AT(gpu_instance), AT(compute_instance)}),
      LAYOUT("c_nvmlSetMemoryLimits_v1_t", MemoryLimits, {AT(group), AT(soft), AT(hard)}),
      LAYOUT("c_nvmlGetMemoryLimits_v1_t", MemoryLimitsNow,
             {AT(group), AT(soft), AT(hard), AT(used)}),
      LAYOUT("c_nvmlUUID_t", Uuid, {AT(version), AT(type), AT(text)}),
      LAYOUT("c_nvmlTemperature_v1_t", Temperature, {AT(version), AT(sensor), AT(degrees)}),
      LAYOUT("c_nvmlFieldValue_t", FieldValue,
             {AT(field), AT(scope), AT(at_us), AT(latency_us), AT(type), AT(result), AT(wide)}),
      LAYOUT("c_nvmlGpmMetric_t", GpmMetric, {AT(id), AT(result), AT(value), AT(short_name)}),
      LAYOUT("c_nvmlGpmSupport_t", GpmSupport, {AT(version), AT(supported)}),
  };
#undef LAYOUT
#undef AT
}

std::vector<Constant> constants() {
  return {
      {"NVML_ERROR_UNINITIALIZED", abi::kUninitialized},
      {"NVML_ERROR_INVALID_ARGUMENT", abi::kInvalidArgument},
      {"NVML_ERROR_NOT_SUPPORTED", abi::kNotSupported},
      {"NVML_ERROR_NO_PERMISSION", abi::kNoPermission},
      {"NVML_ERROR_NOT_FOUND", abi::kNotFound},
      {"NVML_ERROR_INSUFFICIENT_SIZE", abi::kInsufficientSize},
      {"NVML_ERROR_DRIVER_NOT_LOADED", abi::kDriverNotLoaded},
      {"NVML_ERROR_TIMEOUT", abi::kTimeout},
      {"NVML_ERROR_LIBRARY_NOT_FOUND", abi::kLibraryNotFound},
      {"NVML_ERROR_FUNCTION_NOT_FOUND", abi::kFunctionNotFound},
      {"NVML_ERROR_GPU_IS_LOST", abi::kGpuIsLost},
      {"NVML_ERROR_RESET_REQUIRED", abi::kResetRequired},
      {"NVML_ERROR_OPERATING_SYSTEM", abi::kOperatingSystem},
      {"NVML_ERROR_LIB_RM_VERSION_MISMATCH", abi::kVersionMismatch},
      {"NVML_ERROR_IN_USE", abi::kInUse},
      {"NVML_ERROR_MEMORY", abi::kOutOfMemory},
      {"NVML_ERROR_NO_DATA", abi::kNoData},
      {"NVML_ERROR_INSUFFICIENT_RESOURCES", abi::kInsufficientResources},
      {"NVML_ERROR_ARGUMENT_VERSION_MISMATCH", abi::kArgumentVersion},
      {"NVML_ERROR_NOT_READY", abi::kNotReady},
      {"NVML_ERROR_GPU_NOT_FOUND", abi::kGpuNotFound},
      {"NVML_ERROR_INVALID_STATE", abi::kInvalidState},
      {"NVML_ERROR_UNKNOWN", abi::kUnknown},
      {"NVML_DEVICE_NAME_V2_BUFFER_SIZE", abi::kNameLength},
      {"NVML_DEVICE_UUID_V2_BUFFER_SIZE", abi::kUuidLength},
      {"NVML_SYSTEM_DRIVER_VERSION_BUFFER_SIZE", abi::kVersionLength},
      {"NVML_GPU_INSTANCE_PROFILE_COUNT", abi::kProfileCount},
      {"NVML_COMPUTE_INSTANCE_PROFILE_COUNT", abi::kComputeProfileCount},
      {"nvmlMemory_v2", abi::kMemory2Version},
      {"nvmlGpuInstanceProfileInfo_v2", abi::kProfile2Version},
      {"nvmlComputeInstanceProfileInfo_v2", abi::kComputeProfile2Version},
      {"nvmlPciInfoExt_v1", abi::kPciInfoExtVersion},
      {"nvmlUUID_v1", abi::kUuidVersion},
      {"nvmlTemperature_v1", abi::kTemperatureVersion},
      {"nvmlProcessDetailList_v1", abi::kProcessListVersion},
      {"NVML_GPM_METRICS_GET_VERSION", abi::kGpmVersion},
      {"nvmlEventTypeXidCriticalError", abi::kXidEvent},
      {"NVML_GPM_METRIC_GRAPHICS_UTIL", abi::kGraphicsUtilisation},
      {"NVML_GPM_METRIC_SM_UTIL", abi::kSmUtilisation},
      {"NVML_GPM_METRIC_SM_OCCUPANCY", abi::kSmOccupancy},
      {"NVML_GPM_METRIC_ANY_TENSOR_UTIL", abi::kTensorUtilisation},
      {"NVML_GPM_METRIC_DRAM_BW_UTIL", abi::kDramUtilisation},
      {"NVML_GPU_INSTANCE_ID_ANY", abi::kAnyInstance},
  };
}

}  // namespace tessera::fakes
