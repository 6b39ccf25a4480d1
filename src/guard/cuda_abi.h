#pragma once

#include <cstddef>
#include <cstdint>

/// The part of the CUDA driver's binary interface that the guard and the stand-in driver deal with,
/// in our own words, so that both build on a machine without CUDA. Names and numbers are those of
/// cuda.h 13.0; what it calls CUresult is Result here, and so on.
namespace tessera::guard::cuda {

enum Result : std::int32_t {
  kSuccess = 0,
  kInvalidValue = 1,
  kOutOfMemory = 2,
  kNotInitialized = 3,
  kNoDevice = 100,
  kInvalidDevice = 101,
  kInvalidContext = 201,
  kInvalidHandle = 400,
  kNotFound = 500,
  kNotReady = 600,
  kNotPermitted = 800,
  kNotSupported = 801,
  kSystemNotReady = 802,
  kStreamCaptureImplicit = 906,
};

using Device = std::int32_t;
using DevicePtr = std::uint64_t;
using DevicePtrV1 = std::uint32_t;  ///< of the functions before CUDA 3.2
using Handle = void*;  ///< a context, stream, event, pool, array, graph, …: never looked into
using AllocationHandle = std::uint64_t;

struct Location {
  std::int32_t type;
  std::int32_t id;
};
inline constexpr std::int32_t kLocationDevice = 1;

struct AllocationProperties {
  std::int32_t type;
  std::int32_t handle_types;
  Location location;
  void* win32;
  std::uint8_t flags[8];
};
static_assert(sizeof(AllocationProperties) == 32);

struct PoolProperties {
  std::int32_t type;
  std::int32_t handle_types;
  Location location;
  void* win32;
  std::size_t most;
  std::uint16_t usage;
  std::uint8_t reserved[54];
};
static_assert(sizeof(PoolProperties) == 88);

enum PoolAttribute : std::int32_t {
  kReleaseThreshold = 4,
  kReservedNow = 5,
  kReservedHigh = 6,
  kUsedNow = 7,
  kUsedHigh = 8,
};
enum GraphMemoryAttribute : std::int32_t { kGraphUsedNow = 0, kGraphReservedNow = 2 };

struct ArrayDescriptor {
  std::size_t width, height;
  std::int32_t format;
  std::uint32_t channels;
};
struct Array3dDescriptor {
  std::size_t width, height, depth;
  std::int32_t format;
  std::uint32_t channels, flags;
};
static_assert(sizeof(ArrayDescriptor) == 24 && sizeof(Array3dDescriptor) == 40);
/// Before CUDA 3.2.
struct ArrayDescriptorV1 {
  std::uint32_t width, height;
  std::int32_t format;
  std::uint32_t channels;
};
struct Array3dDescriptorV1 {
  std::uint32_t width, height, depth;
  std::int32_t format;
  std::uint32_t channels, flags;
};
inline constexpr std::uint32_t kArraySparse = 0x40;
inline constexpr std::uint32_t kArrayDeferredMapping = 0x80;
struct ArrayMemory {
  std::size_t size, alignment;
  std::uint32_t reserved[4];
};
/// Bytes of one channel of one element; 0 for a format this table does not know.
constexpr std::size_t bytes_of_format(std::int32_t format) {
  switch (format) {
    case 0x01:
    case 0x08:
      return 1;
    case 0x02:
    case 0x09:
    case 0x10:
      return 2;
    case 0x03:
    case 0x0a:
    case 0x20:
      return 4;
    default:
      return 0;
  }
}

enum GraphNodeType : std::int32_t { kKernelNode = 0, kChildGraphNode = 4, kMemAllocNode = 10 };
struct MemAllocNode {
  PoolProperties pool;
  const void* access;
  std::size_t access_count;
  std::size_t bytes;
  DevicePtr pointer;
};
static_assert(sizeof(MemAllocNode) == 120);

struct KernelNode {
  Handle function;
  std::uint32_t grid[3], block[3], shared_bytes;
  void** parameters;
  void** extra;
  Handle kernel, context;  ///< from version 2 on
};

struct LaunchConfig {
  std::uint32_t grid[3], block[3], shared_bytes;
  Handle stream;
  void* attributes;
  std::uint32_t attribute_count;
};
static_assert(offsetof(LaunchConfig, stream) == 32);

/// One device's part of cuLaunchCooperativeKernelMultiDevice.
struct MultiDeviceLaunch {
  Handle function;
  std::uint32_t grid[3], block[3], shared_bytes;
  Handle stream;
  void** parameters;
};

struct Uuid {
  unsigned char bytes[16];
};

/// Flags of cuGetProcAddress.
inline constexpr std::uint64_t kPerThreadStream = 2;

enum CaptureMode : std::int32_t {
  kCaptureGlobal = 0,
  kCaptureThreadLocal = 1,
  kCaptureRelaxed = 2
};

}  // namespace tessera::guard::cuda
