// Our declarations of CUDA's driver interface beside NVIDIA's cuda.h. Nothing here runs: this is
// compiled, for the syntax alone, by cuda_headers_peer.py, which also writes guard_calls.inc: one
// line SAME_CALL(symbol, type) for every call that the guard wraps or makes.

#define __CUDA_API_VERSION_INTERNAL  // also the forms of a call that newer programs do not see
#include <cstddef>
#include <cuda.h>

#include "guard/lookup.h"
#include "guard/memory_pools.h"
#include "guard/memory_vmm.h"
#include "guard/wrappers_context.h"
#include "guard/wrappers_info.h"
#include "guard/wrappers_launch.h"
#include "guard/wrappers_linear.h"
#include "same_call.h"

namespace tessera::guard {
namespace {

// As hook_table.cpp has them.
using S = Symbol;
using cuda::Array3dDescriptor;
using cuda::Array3dDescriptorV1;
using cuda::ArrayDescriptor;
using cuda::ArrayDescriptorV1;
using cuda::DevicePtr;
using cuda::DevicePtrV1;
using Size = std::size_t;
using SizeV1 = std::uint32_t;

#define SAME_CALL(symbol, ...)                                          \
  static_assert(test::SameCall<__VA_ARGS__, decltype(::symbol)>::value, \
                #symbol " is not called as cuda.h declares it");
#include "guard_calls.inc"

#define SAME(ours, theirs) \
  static_assert(static_cast<long long>(cuda::ours) == static_cast<long long>(theirs), #theirs);
SAME(kSuccess, CUDA_SUCCESS)
SAME(kInvalidValue, CUDA_ERROR_INVALID_VALUE)
SAME(kOutOfMemory, CUDA_ERROR_OUT_OF_MEMORY)
SAME(kNotInitialized, CUDA_ERROR_NOT_INITIALIZED)
SAME(kNoDevice, CUDA_ERROR_NO_DEVICE)
SAME(kInvalidDevice, CUDA_ERROR_INVALID_DEVICE)
SAME(kInvalidContext, CUDA_ERROR_INVALID_CONTEXT)
SAME(kInvalidHandle, CUDA_ERROR_INVALID_HANDLE)
SAME(kNotFound, CUDA_ERROR_NOT_FOUND)
SAME(kNotReady, CUDA_ERROR_NOT_READY)
SAME(kNotPermitted, CUDA_ERROR_NOT_PERMITTED)
SAME(kNotSupported, CUDA_ERROR_NOT_SUPPORTED)
SAME(kSystemNotReady, CUDA_ERROR_SYSTEM_NOT_READY)
SAME(kStreamCaptureImplicit, CUDA_ERROR_STREAM_CAPTURE_IMPLICIT)
SAME(kLocationDevice, CU_MEM_LOCATION_TYPE_DEVICE)
SAME(kReleaseThreshold, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD)
SAME(kReservedNow, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT)
SAME(kReservedHigh, CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH)
SAME(kUsedNow, CU_MEMPOOL_ATTR_USED_MEM_CURRENT)
SAME(kUsedHigh, CU_MEMPOOL_ATTR_USED_MEM_HIGH)
SAME(kGraphUsedNow, CU_GRAPH_MEM_ATTR_USED_MEM_CURRENT)
SAME(kGraphReservedNow, CU_GRAPH_MEM_ATTR_RESERVED_MEM_CURRENT)
SAME(kArraySparse, CUDA_ARRAY3D_SPARSE)
SAME(kArrayDeferredMapping, CUDA_ARRAY3D_DEFERRED_MAPPING)
SAME(kKernelNode, CU_GRAPH_NODE_TYPE_KERNEL)
SAME(kChildGraphNode, CU_GRAPH_NODE_TYPE_GRAPH)
SAME(kMemAllocNode, CU_GRAPH_NODE_TYPE_MEM_ALLOC)
SAME(kPerThreadStream, CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM)
SAME(kCaptureGlobal, CU_STREAM_CAPTURE_MODE_GLOBAL)
SAME(kCaptureThreadLocal, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL)
SAME(kCaptureRelaxed, CU_STREAM_CAPTURE_MODE_RELAXED)
SAME(bytes_of_format(CU_AD_FORMAT_UNSIGNED_INT8), 1)
SAME(bytes_of_format(CU_AD_FORMAT_UNSIGNED_INT16), 2)
SAME(bytes_of_format(CU_AD_FORMAT_UNSIGNED_INT32), 4)
SAME(bytes_of_format(CU_AD_FORMAT_SIGNED_INT8), 1)
SAME(bytes_of_format(CU_AD_FORMAT_SIGNED_INT16), 2)
SAME(bytes_of_format(CU_AD_FORMAT_SIGNED_INT32), 4)
SAME(bytes_of_format(CU_AD_FORMAT_HALF), 2)
SAME(bytes_of_format(CU_AD_FORMAT_FLOAT), 4)

#define SAME_SIZE(ours, theirs)                                                                 \
  static_assert(sizeof(cuda::ours) == sizeof(theirs) && alignof(cuda::ours) == alignof(theirs), \
                #theirs);
#define SAME_FIELD(ours, field, theirs, their_field)                            \
  static_assert(offsetof(cuda::ours, field) == offsetof(theirs, their_field) && \
                    sizeof(cuda::ours::field) >= sizeof(theirs::their_field),   \
                #theirs "::" #their_field);
SAME_SIZE(Device, CUdevice)
SAME_SIZE(DevicePtr, CUdeviceptr)
SAME_SIZE(DevicePtrV1, CUdeviceptr_v1)
SAME_SIZE(AllocationHandle, CUmemGenericAllocationHandle)
SAME_SIZE(Uuid, CUuuid)
SAME_SIZE(Location, CUmemLocation)
SAME_FIELD(Location, type, CUmemLocation, type)
SAME_FIELD(Location, id, CUmemLocation, id)
SAME_SIZE(AllocationProperties, CUmemAllocationProp)
SAME_FIELD(AllocationProperties, type, CUmemAllocationProp, type)
SAME_FIELD(AllocationProperties, handle_types, CUmemAllocationProp, requestedHandleTypes)
SAME_FIELD(AllocationProperties, location, CUmemAllocationProp, location)
SAME_FIELD(AllocationProperties, win32, CUmemAllocationProp, win32HandleMetaData)
SAME_FIELD(AllocationProperties, flags, CUmemAllocationProp, allocFlags)
SAME_SIZE(PoolProperties, CUmemPoolProps)
SAME_FIELD(PoolProperties, type, CUmemPoolProps, allocType)
SAME_FIELD(PoolProperties, handle_types, CUmemPoolProps, handleTypes)
SAME_FIELD(PoolProperties, location, CUmemPoolProps, location)
SAME_FIELD(PoolProperties, win32, CUmemPoolProps, win32SecurityAttributes)
SAME_FIELD(PoolProperties, most, CUmemPoolProps, maxSize)
SAME_FIELD(PoolProperties, usage, CUmemPoolProps, usage)
SAME_SIZE(ArrayDescriptor, CUDA_ARRAY_DESCRIPTOR)
SAME_FIELD(ArrayDescriptor, width, CUDA_ARRAY_DESCRIPTOR, Width)
SAME_FIELD(ArrayDescriptor, height, CUDA_ARRAY_DESCRIPTOR, Height)
SAME_FIELD(ArrayDescriptor, format, CUDA_ARRAY_DESCRIPTOR, Format)
SAME_FIELD(ArrayDescriptor, channels, CUDA_ARRAY_DESCRIPTOR, NumChannels)
SAME_SIZE(Array3dDescriptor, CUDA_ARRAY3D_DESCRIPTOR)
SAME_FIELD(Array3dDescriptor, depth, CUDA_ARRAY3D_DESCRIPTOR, Depth)
SAME_FIELD(Array3dDescriptor, format, CUDA_ARRAY3D_DESCRIPTOR, Format)
SAME_FIELD(Array3dDescriptor, channels, CUDA_ARRAY3D_DESCRIPTOR, NumChannels)
SAME_FIELD(Array3dDescriptor, flags, CUDA_ARRAY3D_DESCRIPTOR, Flags)
SAME_SIZE(ArrayDescriptorV1, CUDA_ARRAY_DESCRIPTOR_v1)
SAME_FIELD(ArrayDescriptorV1, format, CUDA_ARRAY_DESCRIPTOR_v1, Format)
SAME_SIZE(Array3dDescriptorV1, CUDA_ARRAY3D_DESCRIPTOR_v1)
SAME_FIELD(Array3dDescriptorV1, depth, CUDA_ARRAY3D_DESCRIPTOR_v1, Depth)
SAME_FIELD(Array3dDescriptorV1, flags, CUDA_ARRAY3D_DESCRIPTOR_v1, Flags)
SAME_SIZE(ArrayMemory, CUDA_ARRAY_MEMORY_REQUIREMENTS)
SAME_FIELD(ArrayMemory, size, CUDA_ARRAY_MEMORY_REQUIREMENTS, size)
SAME_FIELD(ArrayMemory, alignment, CUDA_ARRAY_MEMORY_REQUIREMENTS, alignment)
SAME_SIZE(MemAllocNode, CUDA_MEM_ALLOC_NODE_PARAMS)
SAME_FIELD(MemAllocNode, pool, CUDA_MEM_ALLOC_NODE_PARAMS, poolProps)
SAME_FIELD(MemAllocNode, access, CUDA_MEM_ALLOC_NODE_PARAMS, accessDescs)
SAME_FIELD(MemAllocNode, access_count, CUDA_MEM_ALLOC_NODE_PARAMS, accessDescCount)
SAME_FIELD(MemAllocNode, bytes, CUDA_MEM_ALLOC_NODE_PARAMS, bytesize)
SAME_FIELD(MemAllocNode, pointer, CUDA_MEM_ALLOC_NODE_PARAMS, dptr)
SAME_SIZE(KernelNode, CUDA_KERNEL_NODE_PARAMS_v2)
SAME_FIELD(KernelNode, function, CUDA_KERNEL_NODE_PARAMS_v2, func)
SAME_FIELD(KernelNode, shared_bytes, CUDA_KERNEL_NODE_PARAMS_v2, sharedMemBytes)
SAME_FIELD(KernelNode, parameters, CUDA_KERNEL_NODE_PARAMS_v2, kernelParams)
SAME_FIELD(KernelNode, extra, CUDA_KERNEL_NODE_PARAMS_v2, extra)
SAME_FIELD(KernelNode, kernel, CUDA_KERNEL_NODE_PARAMS_v2, kern)
SAME_FIELD(KernelNode, context, CUDA_KERNEL_NODE_PARAMS_v2, ctx)
SAME_SIZE(LaunchConfig, CUlaunchConfig)
SAME_FIELD(LaunchConfig, grid, CUlaunchConfig, gridDimX)
SAME_FIELD(LaunchConfig, block, CUlaunchConfig, blockDimX)
SAME_FIELD(LaunchConfig, shared_bytes, CUlaunchConfig, sharedMemBytes)
SAME_FIELD(LaunchConfig, stream, CUlaunchConfig, hStream)
SAME_FIELD(LaunchConfig, attributes, CUlaunchConfig, attrs)
SAME_FIELD(LaunchConfig, attribute_count, CUlaunchConfig, numAttrs)
SAME_SIZE(MultiDeviceLaunch, CUDA_LAUNCH_PARAMS)
SAME_FIELD(MultiDeviceLaunch, stream, CUDA_LAUNCH_PARAMS, hStream)
SAME_FIELD(MultiDeviceLaunch, parameters, CUDA_LAUNCH_PARAMS, kernelParams)

}  // namespace
}  // namespace tessera::guard
