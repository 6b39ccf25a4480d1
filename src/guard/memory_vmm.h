#pragma once

#include "guard/memory.h"

/// Memory that is created, mapped and shared by handles. A handle lives as long as anything
/// refers to it: who created, retained or imported it, and every mapping; so does its charge.
///
/// What another process has exported is charged to the importer when it is mapped, since the
/// exporter may let go of it; while both hold it, it counts twice.
namespace tessera::guard {

cuda::Result mem_create(cuda::AllocationHandle* handle, std::size_t size,
                        const cuda::AllocationProperties* properties, unsigned long long flags);
cuda::Result mem_release(cuda::AllocationHandle handle);
cuda::Result mem_map(cuda::DevicePtr pointer, std::size_t size, std::size_t offset,
                     cuda::AllocationHandle handle, unsigned long long flags);
cuda::Result mem_unmap(cuda::DevicePtr pointer, std::size_t size);
cuda::Result mem_retain(cuda::AllocationHandle* handle, void* address);
cuda::Result mem_import(cuda::AllocationHandle* handle, void* os_handle, std::int32_t type);

}  // namespace tessera::guard
