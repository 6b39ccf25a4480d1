#pragma once

#include <cstdint>

/// The part of NVML's binary interface that we use or imitate, in our own words: what crosses the
/// border of libnvidia-ml.so.1, nothing else. Layouts, numbers and version words are NVML's (a
/// version word is sizeof | version << 24); tests/peers/nvml_peer.py compares every struct below
/// with NVIDIA's own Python declarations.
///
/// A struct that NVML extended has a number as suffix; the one without is the oldest that drivers
/// since 470 still answer. Memory is in bytes unless a name says otherwise.
namespace tessera::device::nvml::abi {

/// What every NVML function returns. An int and not an enum: newer drivers know more codes.
using Return = int;
inline constexpr Return kSuccess = 0;
inline constexpr Return kUninitialized = 1;
inline constexpr Return kInvalidArgument = 2;
inline constexpr Return kNotSupported = 3;
inline constexpr Return kNoPermission = 4;
inline constexpr Return kNotFound = 6;
inline constexpr Return kInsufficientSize = 7;
inline constexpr Return kDriverNotLoaded = 9;
inline constexpr Return kTimeout = 10;
inline constexpr Return kLibraryNotFound = 12;
inline constexpr Return kFunctionNotFound = 13;
inline constexpr Return kGpuIsLost = 15;
inline constexpr Return kResetRequired = 16;
inline constexpr Return kOperatingSystem = 17;
inline constexpr Return kVersionMismatch = 18;  ///< of this library and the kernel's driver
inline constexpr Return kInUse = 19;
inline constexpr Return kOutOfMemory = 20;
inline constexpr Return kNoData = 21;
inline constexpr Return kInsufficientResources = 23;
inline constexpr Return kArgumentVersion = 25;  ///< the struct's version word is not known
inline constexpr Return kNotReady = 27;
inline constexpr Return kGpuNotFound = 28;
inline constexpr Return kInvalidState = 29;
inline constexpr Return kUnknown = 999;

// Handles are opaque to all but the library that made them.
using Device = struct DeviceTag*;
using GpuInstance = struct GpuInstanceTag*;
using ComputeInstance = struct ComputeInstanceTag*;
using EventSet = struct EventSetTag*;
using GpmSample = struct GpmSampleTag*;

inline constexpr unsigned kNameLength = 96;
inline constexpr unsigned kUuidLength = 96;
inline constexpr unsigned kVersionLength = 80;
inline constexpr unsigned kAnyInstance = 0xFFFFFFFF;  ///< an instance id that means none
inline constexpr unsigned kProfileCount = 18;         ///< GPU instance profiles are 0 … 17
inline constexpr unsigned kComputeProfileCount = 9;
inline constexpr unsigned kMemory2Version = 0x02000028;
inline constexpr unsigned kProfile2Version = 0x02000098;
inline constexpr unsigned kProfile3Version = 0x03000098;
inline constexpr unsigned kComputeProfile2Version = 0x02000088;
inline constexpr unsigned kComputeProfile3Version = 0x0300008C;
inline constexpr unsigned kPciInfoExtVersion = 0x01000040;
inline constexpr unsigned kUuidVersion = 0x01000034;
inline constexpr unsigned kTemperatureVersion = 0x0100000C;
inline constexpr unsigned kProcessListVersion = 0x01000018;
inline constexpr unsigned kGpmVersion = 1;  ///< a plain number, unlike the others
inline constexpr std::uint64_t kXidEvent = 0x8;

// GPM metrics, in per cent.
inline constexpr unsigned kGraphicsUtilisation = 1;
inline constexpr unsigned kSmUtilisation = 2;
inline constexpr unsigned kSmOccupancy = 3;
inline constexpr unsigned kTensorUtilisation = 5;
inline constexpr unsigned kDramUtilisation = 10;

struct PciInfo {
  char bus_id_legacy[16];
  unsigned domain, bus, device;
  unsigned device_id;  ///< 0x233010DE: device in the upper half, vendor in the lower
  unsigned subsystem_id;
  char bus_id[32];
};
struct PciInfoExt {
  unsigned version;
  unsigned domain, bus, device;
  unsigned device_id, subsystem_id;
  unsigned base_class, sub_class;
  char bus_id[32];
};

struct Memory {
  std::uint64_t total, free, used;  ///< `used` holds what the driver keeps for itself
};
struct Memory2 {
  unsigned version;
  std::uint64_t total, reserved, free, used;
};

struct Utilization {
  unsigned gpu, memory;  ///< per cent
};

/// Of nvmlDeviceGet…RunningProcesses, the first and _v2/_v3.
struct Process1 {
  unsigned pid;
  std::uint64_t memory;
};
struct Process {
  unsigned pid;
  std::uint64_t memory;
  unsigned gpu_instance, compute_instance;
};
struct ProcessDetail {
  unsigned pid;
  std::uint64_t memory;
  unsigned gpu_instance, compute_instance;
  std::uint64_t protected_memory;
};
struct ProcessDetailList {
  unsigned version;
  unsigned mode;  ///< 0 compute, 1 graphics, 2 MPS
  unsigned count;
  ProcessDetail* processes;
};
struct ProcessUtilization {
  unsigned pid;
  std::uint64_t at_us;
  unsigned sm, memory, encoder, decoder;
};

struct Placement {
  unsigned start, size;  ///< in memory slices
};
struct ProfileInfo {
  unsigned id, p2p, slices, instances, sms;
  unsigned copy, decoder, encoder, jpeg, optical_flow;
  std::uint64_t memory_mib;
};
struct ProfileInfo2 {
  unsigned version;
  unsigned id, p2p, slices, instances, sms;
  unsigned copy, decoder, encoder, jpeg, optical_flow;
  std::uint64_t memory_mib;
  char name[kNameLength];
};
struct ProfileInfo3 {
  unsigned version;
  unsigned id, slices, instances, sms;
  unsigned copy, decoder, encoder, jpeg, optical_flow;
  std::uint64_t memory_mib;
  char name[kNameLength];
  unsigned capabilities;  ///< bit 0: peer to peer
};
struct GpuInstanceInfo {
  Device device;
  unsigned id, profile;  ///< `profile` is ProfileInfo::id, not the number asked with
  Placement placement;
};
struct ComputeProfileInfo {
  unsigned id, slices, instances, sms;
  unsigned copy, decoder, encoder, jpeg, optical_flow;
};
struct ComputeProfileInfo2 {
  unsigned version;
  unsigned id, slices, instances, sms;
  unsigned copy, decoder, encoder, jpeg, optical_flow;
  char name[kNameLength];
};
struct ComputeProfileInfo3 {
  unsigned version;
  unsigned id, slices, instances, sms;
  unsigned copy, decoder, encoder, jpeg, optical_flow;
  char name[kNameLength];
  unsigned capabilities;
};
struct ComputeInstanceInfo {
  Device device;
  GpuInstance gpu_instance;
  unsigned id, profile;
  Placement placement;  ///< in compute slices of the GPU instance
};
struct DeviceAttributes {
  unsigned sms, copy, decoder, encoder, jpeg, optical_flow;
  unsigned gpu_instance_slices, compute_instance_slices;
  std::uint64_t memory_mib;
};

/// Of a control group, by its folder; in bytes.
struct MemoryLimits {
  const char* group;
  std::uint64_t soft, hard;
};
struct MemoryLimitsNow {
  const char* group;
  std::uint64_t soft, hard, used;
};

struct Event {
  Device device;
  std::uint64_t type;
  std::uint64_t data;  ///< the Xid's number
  unsigned gpu_instance, compute_instance;
};

struct Uuid {
  unsigned version;
  unsigned type;  ///< 1: ASCII
  union {
    char text[41];
    unsigned char bytes[16];
  };
};
struct Temperature {
  unsigned version;
  unsigned sensor;
  int degrees;
};

/// One value of nvmlDeviceGetFieldValues.
struct FieldValue {
  unsigned field, scope;
  std::int64_t at_us, latency_us;
  unsigned type;  ///< 1 unsigned int, 3 unsigned long long
  Return result;
  union {
    double real;
    unsigned number;
    std::uint64_t wide;
  };
};

struct GpmMetric {
  unsigned id;
  Return result;
  double value;
  const char *short_name, *long_name, *unit;
};
/// `metrics` has as many entries as `count` says; NVML's own bound grows with every release.
struct GpmMetricsGet {
  unsigned version;
  unsigned count;
  GpmSample first, second;
  GpmMetric metrics[1];
};
struct GpmSupport {
  unsigned version;
  unsigned supported;
};

}  // namespace tessera::device::nvml::abi
