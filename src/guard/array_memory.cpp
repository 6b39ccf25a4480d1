#include <algorithm>

#include "guard/wrappers_linear.h"

namespace tessera::guard {
namespace {

constexpr std::uint64_t kTextureBlock = 64 * 1024;

bool has_no_memory(const cuda::Array3dDescriptor& array) {
  return (array.flags & (cuda::kArraySparse | cuda::kArrayDeferredMapping)) != 0;
}

std::uint64_t estimate(const cuda::Array3dDescriptor& array) {
  const auto element = std::max<std::uint64_t>(cuda::bytes_of_format(array.format), 1) *
                       std::max(array.channels, 1U);
  const auto plane =
      product(std::max<std::uint64_t>(array.width, 1), std::max<std::uint64_t>(array.height, 1));
  return round_up(product(product(plane, std::max<std::uint64_t>(array.depth, 1)), element),
                  kTextureBlock);
}

using GetMemory = cuda::Result(cuda::ArrayMemory*, cuda::Handle, cuda::Device);
using Destroy = cuda::Result(cuda::Handle);

}  // namespace

std::uint64_t bytes_of_array(const Place& place, const cuda::Array3dDescriptor& array) {
  if (has_no_memory(array)) return 0;
  auto twin_of = array;
  twin_of.flags |= cuda::kArrayDeferredMapping;
  cuda::Handle twin = nullptr;
  auto* create =
      real<cuda::Result(cuda::Handle*, const cuda::Array3dDescriptor*)>(Symbol::cuArray3DCreate_v2);
  auto* get = real<GetMemory>(Symbol::cuArrayGetMemoryRequirements);
  if (create == nullptr || get == nullptr || create(&twin, &twin_of) != cuda::kSuccess)
    return estimate(array);
  cuda::ArrayMemory memory{};
  const bool known = get(&memory, twin, place.device) == cuda::kSuccess;
  real<Destroy>(Symbol::cuArrayDestroy)(twin);
  return known ? memory.size : estimate(array);
}

std::uint64_t bytes_of_mipmaps(const Place& place, const cuda::Array3dDescriptor& array,
                               unsigned levels) {
  if (has_no_memory(array)) return 0;
  auto twin_of = array;
  twin_of.flags |= cuda::kArrayDeferredMapping;
  cuda::Handle twin = nullptr;
  auto* create = real<cuda::Result(cuda::Handle*, const cuda::Array3dDescriptor*, unsigned)>(
      Symbol::cuMipmappedArrayCreate);
  auto* get = real<GetMemory>(Symbol::cuMipmappedArrayGetMemoryRequirements);
  // All levels together are less than twice the first.
  if (create == nullptr || get == nullptr || create(&twin, &twin_of, levels) != cuda::kSuccess)
    return product(estimate(array), 2);
  cuda::ArrayMemory memory{};
  const bool known = get(&memory, twin, place.device) == cuda::kSuccess;
  real<Destroy>(Symbol::cuMipmappedArrayDestroy)(twin);
  return known ? memory.size : product(estimate(array), 2);
}

}  // namespace tessera::guard
