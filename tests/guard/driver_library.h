#pragma once

#include <cstdio>
#include <dlfcn.h>

#include "guard/cuda_abi.h"

namespace tessera::guard::test {

/// A driver that has been opened by path.
class Library {
 public:
  explicit Library(const char* path) : handle_(dlopen(path, RTLD_NOW | RTLD_LOCAL)) {
    if (handle_ == nullptr) std::fprintf(stderr, "%s\n", dlerror());
  }
  void* find(const char* name) const { return dlsym(handle_, name); }
  template <class... Arguments>
  cuda::Result operator()(const char* name, Arguments... arguments) const {
    auto* function = reinterpret_cast<cuda::Result (*)(Arguments...)>(find(name));
    return function == nullptr ? cuda::kNotFound : function(arguments...);
  }
  /// cuInit, and the primary context of GPU 0 made current.
  cuda::Result begin() const {
    if (const auto bad = (*this)("cuInit", 0U); bad != cuda::kSuccess) return bad;
    cuda::Handle context = nullptr;
    if (const auto bad = (*this)("cuDevicePrimaryCtxRetain", &context, 0); bad != cuda::kSuccess)
      return bad;
    return (*this)("cuCtxSetCurrent", context);
  }

 private:
  void* handle_;
};

}  // namespace tessera::guard::test
