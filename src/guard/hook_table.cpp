// Which calls the guard wraps, and by what. Every other export goes to the driver unseen.

#include "guard/lookup.h"
#include "guard/memory_pools.h"
#include "guard/memory_vmm.h"
#include "guard/wrappers_context.h"
#include "guard/wrappers_info.h"
#include "guard/wrappers_launch.h"
#include "guard/wrappers_linear.h"

namespace tessera::guard {
namespace {

using S = Symbol;
using cuda::Array3dDescriptor;
using cuda::Array3dDescriptorV1;
using cuda::ArrayDescriptor;
using cuda::ArrayDescriptorV1;
using cuda::DevicePtr;
using cuda::DevicePtrV1;
using Size = std::size_t;
using SizeV1 = std::uint32_t;

template <class Function>
Hook hook(Symbol symbol, Function* wrapper) {
  return {symbol, reinterpret_cast<void*>(wrapper)};
}

}  // namespace

// clang-format off
const Hook kHooks[] = {
    hook(S::cuGetProcAddress, &get_proc_address),
    hook(S::cuGetProcAddress_v2, &get_proc_address_v2),

    hook(S::cuDevicePrimaryCtxRetain, &primary_retain),
    hook(S::cuDevicePrimaryCtxRelease, &primary_release<S::cuDevicePrimaryCtxRelease>),
    hook(S::cuDevicePrimaryCtxRelease_v2, &primary_release<S::cuDevicePrimaryCtxRelease_v2>),
    hook(S::cuDevicePrimaryCtxReset, &primary_release<S::cuDevicePrimaryCtxReset>),
    hook(S::cuDevicePrimaryCtxReset_v2, &primary_release<S::cuDevicePrimaryCtxReset_v2>),
    hook(S::cuCtxDestroy, &context_destroy<S::cuCtxDestroy>),
    hook(S::cuCtxDestroy_v2, &context_destroy<S::cuCtxDestroy_v2>),

    hook(S::cuMemAlloc, &mem_alloc<S::cuMemAlloc, DevicePtrV1, SizeV1>),
    hook(S::cuMemAlloc_v2, &mem_alloc<S::cuMemAlloc_v2, DevicePtr, Size>),
    hook(S::cuMemAllocPitch, &mem_alloc_pitch<S::cuMemAllocPitch, S::cuMemFree, DevicePtrV1, SizeV1>),
    hook(S::cuMemAllocPitch_v2, &mem_alloc_pitch<S::cuMemAllocPitch_v2, S::cuMemFree_v2, DevicePtr, Size>),
    hook(S::cuMemAllocManaged, &mem_alloc_managed<S::cuMemAllocManaged>),
    hook(S::cuMemFree, &mem_free<S::cuMemFree, DevicePtrV1>),
    hook(S::cuMemFree_v2, &mem_free<S::cuMemFree_v2, DevicePtr>),

    hook(S::cuMemAllocAsync, &mem_alloc_async<S::cuMemAllocAsync, S::cuMemFreeAsync, S::cuStreamIsCapturing>),
    hook(S::cuMemAllocAsync_ptsz, &mem_alloc_async<S::cuMemAllocAsync_ptsz, S::cuMemFreeAsync_ptsz, S::cuStreamIsCapturing_ptsz>),
    hook(S::cuMemAllocFromPoolAsync, &mem_alloc_from_pool_async<S::cuMemAllocFromPoolAsync, S::cuMemFreeAsync, S::cuStreamIsCapturing>),
    hook(S::cuMemAllocFromPoolAsync_ptsz, &mem_alloc_from_pool_async<S::cuMemAllocFromPoolAsync_ptsz, S::cuMemFreeAsync_ptsz, S::cuStreamIsCapturing_ptsz>),
    hook(S::cuMemFreeAsync, &mem_free_async<S::cuMemFreeAsync>),
    hook(S::cuMemFreeAsync_ptsz, &mem_free_async<S::cuMemFreeAsync_ptsz>),
    hook(S::cuMemPoolCreate, &mem_pool_create),
    hook(S::cuMemPoolDestroy, &mem_pool_destroy),
    hook(S::cuMemPoolTrimTo, &mem_pool_trim_to),
    hook(S::cuMemPoolImportFromShareableHandle, &mem_pool_import),

    hook(S::cuMemCreate, &mem_create),
    hook(S::cuMemRelease, &mem_release),
    hook(S::cuMemMap, &mem_map),
    hook(S::cuMemUnmap, &mem_unmap),
    hook(S::cuMemRetainAllocationHandle, &mem_retain),
    hook(S::cuMemImportFromShareableHandle, &mem_import),

    hook(S::cuArrayCreate, &array_create<S::cuArrayCreate, ArrayDescriptorV1>),
    hook(S::cuArrayCreate_v2, &array_create<S::cuArrayCreate_v2, ArrayDescriptor>),
    hook(S::cuArray3DCreate, &array_create<S::cuArray3DCreate, Array3dDescriptorV1>),
    hook(S::cuArray3DCreate_v2, &array_create<S::cuArray3DCreate_v2, Array3dDescriptor>),
    hook(S::cuArrayDestroy, &array_destroy<S::cuArrayDestroy>),
    hook(S::cuMipmappedArrayCreate, &mipmapped_array_create<S::cuMipmappedArrayCreate>),
    hook(S::cuMipmappedArrayDestroy, &array_destroy<S::cuMipmappedArrayDestroy>),

    hook(S::cuMemGetInfo, &mem_get_info<S::cuMemGetInfo, SizeV1>),
    hook(S::cuMemGetInfo_v2, &mem_get_info<S::cuMemGetInfo_v2, Size>),
    hook(S::cuDeviceTotalMem, &device_total_mem<S::cuDeviceTotalMem, SizeV1>),
    hook(S::cuDeviceTotalMem_v2, &device_total_mem<S::cuDeviceTotalMem_v2, Size>),

    hook(S::cuLaunch, &launch<S::cuLaunch>),
    hook(S::cuLaunchGrid, &launch_grid<S::cuLaunchGrid>),
    hook(S::cuLaunchGridAsync, &launch_grid_async<S::cuLaunchGridAsync>),
    hook(S::cuLaunchKernel, &launch_kernel<S::cuLaunchKernel, kLegacy>),
    hook(S::cuLaunchKernel_ptsz, &launch_kernel<S::cuLaunchKernel_ptsz, kPerThread>),
    hook(S::cuLaunchKernelEx, &launch_kernel_ex<S::cuLaunchKernelEx, kLegacy>),
    hook(S::cuLaunchKernelEx_ptsz, &launch_kernel_ex<S::cuLaunchKernelEx_ptsz, kPerThread>),
    hook(S::cuLaunchCooperativeKernel, &launch_cooperative<S::cuLaunchCooperativeKernel, kLegacy>),
    hook(S::cuLaunchCooperativeKernel_ptsz, &launch_cooperative<S::cuLaunchCooperativeKernel_ptsz, kPerThread>),
    hook(S::cuStreamSynchronize, &stream_synchronize<S::cuStreamSynchronize, kLegacy>),
    hook(S::cuStreamSynchronize_ptsz, &stream_synchronize<S::cuStreamSynchronize_ptsz, kPerThread>),
    hook(S::cuCtxSynchronize, &context_synchronize<S::cuCtxSynchronize>),
    hook(S::cuCtxSynchronize_v2, &one_context_synchronize<S::cuCtxSynchronize_v2>),

    hook(S::cuGraphLaunch, &graph_launch<S::cuGraphLaunch, kLegacy>),
    hook(S::cuGraphLaunch_ptsz, &graph_launch<S::cuGraphLaunch_ptsz, kPerThread>),
    hook(S::cuGraphUpload, &graph_upload<S::cuGraphUpload>),
    hook(S::cuGraphUpload_ptsz, &graph_upload<S::cuGraphUpload_ptsz>),
    hook(S::cuGraphInstantiate, &graph_instantiate<S::cuGraphInstantiate, cuda::Handle*, char*, Size>),
    hook(S::cuGraphInstantiate_v2, &graph_instantiate<S::cuGraphInstantiate_v2, cuda::Handle*, char*, Size>),
    hook(S::cuGraphInstantiateWithFlags, &graph_instantiate<S::cuGraphInstantiateWithFlags, unsigned long long>),
    hook(S::cuGraphInstantiateWithParams, &graph_instantiate<S::cuGraphInstantiateWithParams, void*>),
    hook(S::cuGraphInstantiateWithParams_ptsz, &graph_instantiate<S::cuGraphInstantiateWithParams_ptsz, void*>),
    hook(S::cuGraphExecDestroy, &graph_exec_destroy<S::cuGraphExecDestroy>),
    hook(S::cuDeviceGraphMemTrim, &device_graph_mem_trim),
};
// clang-format on
const unsigned kHookCount = sizeof(kHooks) / sizeof(kHooks[0]);

}  // namespace tessera::guard
