#pragma once

#include "guard/memory.h"

/// Linear, pitched and managed memory, and arrays. Each wrapper is a template over its symbol, so
/// that the per-thread and the versioned forms of a call are one text.
namespace tessera::guard {

template <Symbol kSelf, class Pointer, class Size>
cuda::Result mem_alloc(Pointer* pointer, Size size) {
  auto* driver = next<kSelf>(&mem_alloc<kSelf, Pointer, Size>);
  Place place;
  if (!find_place(place)) return without_place([&] { return driver(pointer, size); });
  return allocate(place, round_up(size, kPiece), [&](Taken& taken) {
    const auto result = driver(pointer, size);
    if (result == cuda::kSuccess) taken.key = *pointer;
    return result;
  });
}

template <Symbol kSelf>
cuda::Result mem_alloc_managed(cuda::DevicePtr* pointer, std::size_t size, unsigned flags) {
  auto* driver = next<kSelf>(&mem_alloc_managed<kSelf>);
  Place place;
  if (!find_place(place)) return without_place([&] { return driver(pointer, size, flags); });
  return allocate(place, round_up(size, kPiece), [&](Taken& taken) {
    const auto result = driver(pointer, size, flags);
    if (result == cuda::kSuccess) taken.key = *pointer;
    return result;
  });
}

template <Symbol kSelf, Symbol kFree, class Pointer, class Size>
cuda::Result mem_alloc_pitch(Pointer* pointer, Size* pitch, Size width, Size height,
                             unsigned element) {
  auto* driver = next<kSelf>(&mem_alloc_pitch<kSelf, kFree, Pointer, Size>);
  Place place;
  if (!find_place(place))
    return without_place([&] { return driver(pointer, pitch, width, height, element); });
  const auto expected = round_up(product(round_up(width, kPiece), height), kPiece);
  return allocate(place, expected, [&](Taken& taken) {
    const auto result = driver(pointer, pitch, width, height, element);
    if (result != cuda::kSuccess) return result;
    taken.key = *pointer;
    taken.bytes = round_up(product(*pitch, height), kPiece);
    if (taken.bytes <= expected) return result;
    // A wider pitch than thought: the rest must be within the limit as well.
    const auto more = taken.bytes - expected;
    if (place.ledger->reserve(place.slot, more)) {
      place.ledger->settle(place.slot, more, 0);
      return result;
    }
    real<cuda::Result(Pointer)>(kFree)(*pointer);
    return cuda::kOutOfMemory;
  });
}

template <Symbol kSelf, class Pointer>
cuda::Result mem_free(Pointer pointer) {
  auto* driver = next<kSelf>(&mem_free<kSelf, Pointer>);
  const auto result = free_allocation(pointer, [&] { return driver(pointer); });
  reconcile_pools();  // it may have been a pool's
  return result;
}

/// What an array will take: the driver's word about a twin that is made without memory; where the
/// driver cannot say, width x height x depth x element, in the 64 KiB blocks of textures.
std::uint64_t bytes_of_array(const Place& place, const cuda::Array3dDescriptor& array);
std::uint64_t bytes_of_mipmaps(const Place& place, const cuda::Array3dDescriptor& array,
                               unsigned levels);

inline cuda::Array3dDescriptor widened(const cuda::Array3dDescriptor& array) {
  return array;
}
inline cuda::Array3dDescriptor widened(const cuda::ArrayDescriptor& array) {
  return {array.width, array.height, 0, array.format, array.channels, 0};
}
inline cuda::Array3dDescriptor widened(const cuda::ArrayDescriptorV1& array) {
  return {array.width, array.height, 0, array.format, array.channels, 0};
}
inline cuda::Array3dDescriptor widened(const cuda::Array3dDescriptorV1& array) {
  return {array.width, array.height, array.depth, array.format, array.channels, array.flags};
}

template <class Create>
cuda::Result allocate_array(const Place& place, cuda::Handle* array, std::uint64_t bytes,
                            Create create) {
  return allocate(place, bytes, [&](Taken& taken) {
    const auto result = create();
    if (result == cuda::kSuccess) taken.key = reinterpret_cast<std::uint64_t>(*array);
    return result;
  });
}

template <Symbol kSelf, class Descriptor>
cuda::Result array_create(cuda::Handle* array, const Descriptor* descriptor) {
  auto* driver = next<kSelf>(&array_create<kSelf, Descriptor>);
  Place place;
  if (descriptor == nullptr || !find_place(place))
    return without_place([&] { return driver(array, descriptor); });
  return allocate_array(place, array, bytes_of_array(place, widened(*descriptor)),
                        [&] { return driver(array, descriptor); });
}

template <Symbol kSelf>
cuda::Result mipmapped_array_create(cuda::Handle* array, const cuda::Array3dDescriptor* descriptor,
                                    unsigned levels) {
  auto* driver = next<kSelf>(&mipmapped_array_create<kSelf>);
  Place place;
  if (descriptor == nullptr || !find_place(place))
    return without_place([&] { return driver(array, descriptor, levels); });
  return allocate_array(place, array, bytes_of_mipmaps(place, *descriptor, levels),
                        [&] { return driver(array, descriptor, levels); });
}

/// For both kinds of arrays.
template <Symbol kSelf>
cuda::Result array_destroy(cuda::Handle array) {
  auto* driver = next<kSelf>(&array_destroy<kSelf>);
  return free_allocation(reinterpret_cast<std::uint64_t>(array), [&] { return driver(array); });
}

}  // namespace tessera::guard
