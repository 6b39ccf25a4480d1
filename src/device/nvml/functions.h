#pragma once

#include "device/nvml/abi.h"

/// The NVML functions that the driver calls, each with its parameters, in two tables:
/// X(name, (parameters)). Every table entry is a symbol of libnvidia-ml.so.1.

/// Those every driver since 470 has. A library without one of them is too old, or no NVML.
#define TESSERA_NVML_REQUIRED(X)                                                               \
  X(nvmlInitWithFlags, (unsigned))                                                             \
  X(nvmlShutdown, ())                                                                          \
  X(nvmlSystemGetDriverVersion, (char*, unsigned))                                             \
  X(nvmlDeviceGetCount_v2, (unsigned*))                                                        \
  X(nvmlDeviceGetHandleByIndex_v2, (unsigned, abi::Device*))                                   \
  X(nvmlDeviceGetUUID, (abi::Device, char*, unsigned))                                         \
  X(nvmlDeviceGetName, (abi::Device, char*, unsigned))                                         \
  X(nvmlDeviceGetPciInfo_v3, (abi::Device, abi::PciInfo*))                                     \
  X(nvmlDeviceGetMemoryInfo, (abi::Device, abi::Memory*))                                      \
  X(nvmlDeviceGetUtilizationRates, (abi::Device, abi::Utilization*))                           \
  X(nvmlDeviceGetMigMode, (abi::Device, unsigned*, unsigned*))                                 \
  X(nvmlDeviceSetMigMode, (abi::Device, unsigned, abi::Return*))                               \
  X(nvmlDeviceGetGpuInstanceProfileInfo, (abi::Device, unsigned, abi::ProfileInfo*))           \
  X(nvmlDeviceGetGpuInstancePossiblePlacements_v2,                                             \
    (abi::Device, unsigned, abi::Placement*, unsigned*))                                       \
  X(nvmlDeviceCreateGpuInstanceWithPlacement,                                                  \
    (abi::Device, unsigned, const abi::Placement*, abi::GpuInstance*))                         \
  X(nvmlDeviceGetGpuInstances, (abi::Device, unsigned, abi::GpuInstance*, unsigned*))          \
  X(nvmlGpuInstanceGetInfo, (abi::GpuInstance, abi::GpuInstanceInfo*))                         \
  X(nvmlGpuInstanceDestroy, (abi::GpuInstance))                                                \
  X(nvmlGpuInstanceGetComputeInstanceProfileInfo,                                              \
    (abi::GpuInstance, unsigned, unsigned, abi::ComputeProfileInfo*))                          \
  X(nvmlGpuInstanceCreateComputeInstance, (abi::GpuInstance, unsigned, abi::ComputeInstance*)) \
  X(nvmlGpuInstanceGetComputeInstances,                                                        \
    (abi::GpuInstance, unsigned, abi::ComputeInstance*, unsigned*))                            \
  X(nvmlComputeInstanceDestroy, (abi::ComputeInstance))                                        \
  X(nvmlDeviceGetMaxMigDeviceCount, (abi::Device, unsigned*))                                  \
  X(nvmlDeviceGetMigDeviceHandleByIndex, (abi::Device, unsigned, abi::Device*))                \
  X(nvmlDeviceGetGpuInstanceId, (abi::Device, unsigned*))                                      \
  X(nvmlDeviceGetComputeInstanceId, (abi::Device, unsigned*))                                  \
  X(nvmlEventSetCreate, (abi::EventSet*))                                                      \
  X(nvmlEventSetFree, (abi::EventSet))                                                         \
  X(nvmlEventSetWait_v2, (abi::EventSet, abi::Event*, unsigned))                               \
  X(nvmlDeviceRegisterEvents, (abi::Device, std::uint64_t, abi::EventSet))

/// Those some drivers lack: absent ones are detected, and done without.
#define TESSERA_NVML_OPTIONAL(X)                                                         \
  X(nvmlDeviceGetMemoryInfo_v2, (abi::Device, abi::Memory2*))                            \
  X(nvmlDeviceGetComputeRunningProcesses_v2, (abi::Device, unsigned*, abi::Process*))    \
  X(nvmlDeviceGetComputeRunningProcesses_v3, (abi::Device, unsigned*, abi::Process*))    \
  X(nvmlDeviceGetGraphicsRunningProcesses_v2, (abi::Device, unsigned*, abi::Process*))   \
  X(nvmlDeviceGetGraphicsRunningProcesses_v3, (abi::Device, unsigned*, abi::Process*))   \
  X(nvmlDeviceGetMPSComputeRunningProcesses_v2, (abi::Device, unsigned*, abi::Process*)) \
  X(nvmlDeviceGetMPSComputeRunningProcesses_v3, (abi::Device, unsigned*, abi::Process*)) \
  X(nvmlDeviceGetProcessUtilization,                                                     \
    (abi::Device, abi::ProcessUtilization*, unsigned*, std::uint64_t))                   \
  X(nvmlDeviceGetPowerUsage, (abi::Device, unsigned*))                                   \
  X(nvmlDeviceGetTotalEnergyConsumption, (abi::Device, std::uint64_t*))                  \
  X(nvmlDeviceGetTemperature, (abi::Device, unsigned, unsigned*))                        \
  X(nvmlDeviceGetPersistenceMode, (abi::Device, unsigned*))                              \
  X(nvmlDeviceGetEccMode, (abi::Device, unsigned*, unsigned*))                           \
  X(nvmlDeviceGetTotalEccErrors, (abi::Device, unsigned, unsigned, std::uint64_t*))      \
  X(nvmlGpmQueryDeviceSupport, (abi::Device, abi::GpmSupport*))                          \
  X(nvmlGpmSampleAlloc, (abi::GpmSample*))                                               \
  X(nvmlGpmSampleFree, (abi::GpmSample))                                                 \
  X(nvmlGpmSampleGet, (abi::Device, abi::GpmSample))                                     \
  X(nvmlGpmMigSampleGet, (abi::Device, unsigned, abi::GpmSample))                        \
  X(nvmlGpmMetricsGet, (abi::GpmMetricsGet*))

/// Those of the drivers from 615 on, of which older headers know nothing.
#define TESSERA_NVML_SINCE_615(X) X(nvmlDeviceSetMemoryLimits_v1, (abi::Device, abi::MemoryLimits*))
