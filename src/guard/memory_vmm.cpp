#include "guard/memory_vmm.h"

namespace tessera::guard {
namespace {

AllocationTable handles;
/// By address; Allocation::context is the handle, holders 2 where the mapping itself is charged.
AllocationTable mappings;

const void* as_context(cuda::AllocationHandle handle) {
  return reinterpret_cast<const void*>(handle);
}

void let_go(const Allocation& allocation) {
  if (auto* account = ledger()) account->release(allocation.slot, allocation.bytes);
}

/// The device that memory of this handle is on; false for host memory.
bool place_of_handle(cuda::AllocationHandle handle, Place& place) {
  cuda::AllocationProperties properties{};
  auto* get = real<cuda::Result(cuda::AllocationProperties*, cuda::AllocationHandle)>(
      Symbol::cuMemGetAllocationPropertiesFromHandle);
  return get != nullptr && get(&properties, handle) == cuda::kSuccess &&
         properties.location.type == cuda::kLocationDevice &&
         place_of(properties.location.id, place);
}

}  // namespace

void forget_vmm() {
  handles.reset();
  mappings.reset();
}

cuda::Result mem_create(cuda::AllocationHandle* handle, std::size_t size,
                        const cuda::AllocationProperties* properties, unsigned long long flags) {
  auto* driver = next<Symbol::cuMemCreate>(&mem_create);
  Place place;
  if (properties == nullptr || properties->location.type != cuda::kLocationDevice ||
      !place_of(properties->location.id, place))
    return without_place([&] { return driver(handle, size, properties, flags); });
  if (!reserve_or_trim(place, size)) return cuda::kOutOfMemory;
  const auto result = driver(handle, size, properties, flags);
  if (result == cuda::kSuccess) handles.put({*handle, size, nullptr, place.slot, 1});
  place.ledger->settle(place.slot, size, result == cuda::kSuccess ? size : 0);
  return result;
}

cuda::Result mem_release(cuda::AllocationHandle handle) {
  auto* driver = next<Symbol::cuMemRelease>(&mem_release);
  // Before the driver may give the same handle to another thread.
  Allocation after;
  const bool known = handles.hold(handle, -1, after);
  const auto result = driver(handle);
  if (!known) return result;
  if (result != cuda::kSuccess) {
    if (after.holders > 0) {
      handles.hold(handle, 1, after);
    } else {
      after.holders = 1;
      handles.put(after);
    }
  } else if (after.holders == 0) {
    let_go(after);
  }
  return result;
}

cuda::Result mem_map(cuda::DevicePtr pointer, std::size_t size, std::size_t offset,
                     cuda::AllocationHandle handle, unsigned long long flags) {
  auto* driver = next<Symbol::cuMemMap>(&mem_map);
  Allocation ours;
  if (handles.hold(handle, 1, ours)) {
    const auto result = driver(pointer, size, offset, handle, flags);
    if (result == cuda::kSuccess)
      mappings.put({pointer, size, as_context(handle), ours.slot, 1});
    else
      handles.hold(handle, -1, ours);
    return result;
  }
  Place place;
  if (!place_of_handle(handle, place))
    return without_place([&] { return driver(pointer, size, offset, handle, flags); });
  if (!reserve_or_trim(place, size)) return cuda::kOutOfMemory;
  const auto result = driver(pointer, size, offset, handle, flags);
  if (result == cuda::kSuccess) mappings.put({pointer, size, nullptr, place.slot, 2});
  place.ledger->settle(place.slot, size, result == cuda::kSuccess ? size : 0);
  return result;
}

cuda::Result mem_unmap(cuda::DevicePtr pointer, std::size_t size) {
  auto* driver = next<Symbol::cuMemUnmap>(&mem_unmap);
  const auto result = driver(pointer, size);
  if (result != cuda::kSuccess) return result;
  // The range covers whole mappings, one behind the other.
  Allocation mapping;
  for (auto at = pointer; at - pointer < size && mappings.take(at, mapping); at += mapping.bytes) {
    if (mapping.holders == 2) {
      let_go(mapping);
      continue;
    }
    Allocation after;
    const auto handle = reinterpret_cast<cuda::AllocationHandle>(mapping.context);
    if (handles.hold(handle, -1, after) && after.holders == 0) let_go(after);
  }
  return result;
}

cuda::Result mem_retain(cuda::AllocationHandle* handle, void* address) {
  auto* driver = next<Symbol::cuMemRetainAllocationHandle>(&mem_retain);
  const auto result = driver(handle, address);
  Allocation after;
  if (result == cuda::kSuccess) handles.hold(*handle, 1, after);
  return result;
}

cuda::Result mem_import(cuda::AllocationHandle* handle, void* os_handle, std::int32_t type) {
  auto* driver = next<Symbol::cuMemImportFromShareableHandle>(&mem_import);
  const auto result = driver(handle, os_handle, type);
  Allocation after;
  if (result == cuda::kSuccess) handles.hold(*handle, 1, after);  // one of our own, come back
  return result;
}

}  // namespace tessera::guard
