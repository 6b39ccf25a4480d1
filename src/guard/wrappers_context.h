#pragma once

#include "guard/memory.h"

/// Contexts: with one goes everything that was allocated in it.
namespace tessera::guard {

template <Symbol kSelf>
cuda::Result context_destroy(cuda::Handle context) {
  auto* driver = next<kSelf>(&context_destroy<kSelf>);
  const auto result = driver(context);
  if (result == cuda::kSuccess) release_context(context);
  return result;
}

cuda::Result primary_retain(cuda::Handle* context, cuda::Device device);
/// The last release, and every reset, of a device's primary context frees what was in it.
void after_primary_release(cuda::Device device);

template <Symbol kSelf>
cuda::Result primary_release(cuda::Device device) {
  auto* driver = next<kSelf>(&primary_release<kSelf>);
  const auto result = driver(device);
  if (result == cuda::kSuccess) after_primary_release(device);
  return result;
}

}  // namespace tessera::guard
