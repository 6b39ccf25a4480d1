// A program that opens the CUDA driver itself: probe LIBRARY TOTAL. It succeeds when the GPU seems
// to have TOTAL bytes, found by dlsym() as well as by the driver's own lookup.

#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>

namespace {

template <class Function>
Function* find(void* library, const char* name) {
  return reinterpret_cast<Function*>(dlsym(library, name));
}

}  // namespace

int main(int, char** arguments) {
  void* library = dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return std::puts(dlerror()), 2;
  const auto expected = std::strtoull(arguments[2], nullptr, 10);
  std::size_t total = 0;
  std::size_t again = 0;
  using TotalMemory = int(std::size_t*, int);
  TotalMemory* looked_up = nullptr;
  int status = 0;
  if (find<int(unsigned)>(library, "cuInit")(0) != 0) return 3;
  if (find<TotalMemory>(library, "cuDeviceTotalMem_v2")(&total, 0) != 0) return 4;
  if (find<int(const char*, TotalMemory**, int, unsigned long long, int*)>(
          library, "cuGetProcAddress_v2")("cuDeviceTotalMem", &looked_up, 12000, 0, &status) != 0)
    return 5;
  if (looked_up(&again, 0) != 0) return 6;
  std::printf("%zu %zu\n", total, again);
  return total == expected && again == expected ? 0 : 1;
}
