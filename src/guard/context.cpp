#include <atomic>

#include "guard/wrappers_context.h"

namespace tessera::guard {
namespace {

std::atomic<const void*> primary[kMostGpus];

}  // namespace

cuda::Result primary_retain(cuda::Handle* context, cuda::Device device) {
  auto* driver = next<Symbol::cuDevicePrimaryCtxRetain>(&primary_retain);
  const auto result = driver(context, device);
  if (result == cuda::kSuccess && device >= 0 && device < static_cast<int>(kMostGpus))
    primary[device] = *context;
  return result;
}

void after_primary_release(cuda::Device device) {
  unsigned flags = 0;
  int active = 0;
  auto* get = real<cuda::Result(cuda::Device, unsigned*, int*)>(Symbol::cuDevicePrimaryCtxGetState);
  if (device < 0 || device >= static_cast<int>(kMostGpus) || get == nullptr ||
      get(device, &flags, &active) != cuda::kSuccess || active != 0)
    return;
  release_context(primary[device]);
}

}  // namespace tessera::guard
