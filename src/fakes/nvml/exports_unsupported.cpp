// What this machine does not have: vGPUs, NVLink, fans, accounting … Each answers as a real driver
// does on a GPU without it. A caller's arguments are never looked at, so none are declared.

#include "fakes/nvml/library.h"

using namespace tessera::fakes;

#define TESSERA_NOT_SUPPORTED(name)                                \
  TESSERA_NVML_EXPORT abi::Return name() {                         \
    const auto machine = open_machine(MachineFile::Access::kRead); \
    return machine ? abi::kNotSupported : machine.error();         \
  }

// vGPU
TESSERA_NOT_SUPPORTED(nvmlDeviceGetVirtualizationMode)
TESSERA_NOT_SUPPORTED(nvmlDeviceGetHostVgpuMode)
TESSERA_NOT_SUPPORTED(nvmlDeviceGetSupportedVgpus)
TESSERA_NOT_SUPPORTED(nvmlDeviceGetCreatableVgpus)
TESSERA_NOT_SUPPORTED(nvmlDeviceGetActiveVgpus)
TESSERA_NOT_SUPPORTED(nvmlDeviceGetVgpuMetadata)
TESSERA_NOT_SUPPORTED(nvmlDeviceGetVgpuUtilization)
TESSERA_NOT_SUPPORTED(nvmlDeviceGetVgpuProcessUtilization)
TESSERA_NOT_SUPPORTED(nvmlDeviceGetVgpuHeterogeneousMode)
TESSERA_NOT_SUPPORTED(nvmlDeviceGetVgpuCapabilities)
TESSERA_NOT_SUPPORTED(nvmlDeviceGetVgpuSchedulerState)
TESSERA_NOT_SUPPORTED(nvmlDeviceGetVgpuSchedulerCapabilities)
TESSERA_NOT_SUPPORTED(nvmlDeviceGetGridLicensableFeatures_v4)
TESSERA_NOT_SUPPORTED(nvmlDeviceSetVirtualizationMode)
TESSERA_NOT_SUPPORTED(nvmlGpuInstanceGetActiveVgpus)
TESSERA_NOT_SUPPORTED(nvmlGpuInstanceGetCreatableVgpus)

// Links and topology
TESSERA_NOT_SUPPORTED(nvmlDeviceGetNvLinkState)
TESSERA_NOT_SUPPORTED(nvmlDeviceGetNvLinkVersion)
TESSERA_NOT_SUPPORTED(nvmlDeviceGetNvLinkCapability)
TESSERA_NOT_SUPPORTED(nvmlDeviceGetNvLinkErrorCounter)
TESSERA_NOT_SUPPORTED(nvmlDeviceGetNvLinkRemotePciInfo_v2)
TESSERA_NOT_SUPPORTED(nvmlDeviceGetGpuFabricInfo)
TESSERA_NOT_SUPPORTED(nvmlDeviceGetGpuFabricInfoV)
TESSERA_NOT_SUPPORTED(nvmlDeviceGetTopologyCommonAncestor)
TESSERA_NOT_SUPPORTED(nvmlDeviceGetTopologyNearestGpus)
TESSERA_NOT_SUPPORTED(nvmlDeviceGetP2PStatus)
TESSERA_NOT_SUPPORTED(nvmlDeviceGetPcieThroughput)
TESSERA_NOT_SUPPORTED(nvmlDeviceGetCurrPcieLinkGeneration)
TESSERA_NOT_SUPPORTED(nvmlDeviceGetCurrPcieLinkWidth)
TESSERA_NOT_SUPPORTED(nvmlDeviceGetMaxPcieLinkGeneration)
TESSERA_NOT_SUPPORTED(nvmlDeviceGetMaxPcieLinkWidth)
TESSERA_NOT_SUPPORTED(nvmlDeviceGetCpuAffinity)
TESSERA_NOT_SUPPORTED(nvmlDeviceGetMemoryAffinity)
TESSERA_NOT_SUPPORTED(nvmlDeviceGetNumaNodeId)

// Board
TESSERA_NOT_SUPPORTED(nvmlDeviceGetFanSpeed)
TESSERA_NOT_SUPPORTED(nvmlDeviceGetFanSpeed_v2)
TESSERA_NOT_SUPPORTED(nvmlDeviceGetNumFans)
TESSERA_NOT_SUPPORTED(nvmlDeviceGetDisplayActive)
TESSERA_NOT_SUPPORTED(nvmlDeviceGetDisplayMode)
TESSERA_NOT_SUPPORTED(nvmlDeviceGetTemperatureThreshold)
TESSERA_NOT_SUPPORTED(nvmlDeviceGetInforomVersion)
TESSERA_NOT_SUPPORTED(nvmlDeviceGetInforomImageVersion)
TESSERA_NOT_SUPPORTED(nvmlDeviceGetGspFirmwareMode)
TESSERA_NOT_SUPPORTED(nvmlDeviceGetGspFirmwareVersion)
TESSERA_NOT_SUPPORTED(nvmlDeviceGetRetiredPages)
TESSERA_NOT_SUPPORTED(nvmlDeviceGetRetiredPages_v2)
TESSERA_NOT_SUPPORTED(nvmlDeviceGetRowRemapperHistogram)
TESSERA_NOT_SUPPORTED(nvmlDeviceGetCurrentClocksThrottleReasons)
TESSERA_NOT_SUPPORTED(nvmlDeviceGetCurrentClocksEventReasons)
TESSERA_NOT_SUPPORTED(nvmlDeviceGetSupportedMemoryClocks)
TESSERA_NOT_SUPPORTED(nvmlDeviceGetSupportedGraphicsClocks)
TESSERA_NOT_SUPPORTED(nvmlDeviceGetApplicationsClock)
TESSERA_NOT_SUPPORTED(nvmlDeviceGetViolationStatus)

// Accounting, samples, confidential computing, memory limits
TESSERA_NOT_SUPPORTED(nvmlDeviceGetAccountingMode)
TESSERA_NOT_SUPPORTED(nvmlDeviceGetAccountingPids)
TESSERA_NOT_SUPPORTED(nvmlDeviceGetAccountingStats)
TESSERA_NOT_SUPPORTED(nvmlDeviceGetSamples)
TESSERA_NOT_SUPPORTED(nvmlDeviceGetProcessesUtilizationInfo)
TESSERA_NOT_SUPPORTED(nvmlDeviceGetJpgUtilization)
TESSERA_NOT_SUPPORTED(nvmlDeviceGetOfaUtilization)
TESSERA_NOT_SUPPORTED(nvmlDeviceGetEncoderStats)
TESSERA_NOT_SUPPORTED(nvmlDeviceGetFBCStats)
TESSERA_NOT_SUPPORTED(nvmlSystemGetConfComputeState)
TESSERA_NOT_SUPPORTED(nvmlGpmSetStreamingEnabled)
TESSERA_NOT_SUPPORTED(nvmlUnitGetCount)
