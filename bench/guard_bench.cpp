// What the guard costs per call, beside the same call to the driver, over the stand-in driver.
// Goals, medians: launch <= 10 ns, cuMemGetInfo <= 50 ns, allocating and freeing <= 150 ns with
// 1,000 live allocations and no more with 100,000.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>
#include <memory>
#include <vector>

#include <benchmark/benchmark.h>

#include "base/check.h"
#include "fakes/nvml/machine_file.h"
#include "guard/cuda_abi.h"
#include "journal/temporary_folder.h"

namespace tessera {
namespace {

namespace cuda = guard::cuda;

constexpr int kCalls = 500;  ///< in one sample, so that reading the clock does not count
constexpr double kLaunchNs = 10;
constexpr double kInfoNs = 50;
constexpr double kAllocateNs = 150;

using Launch = cuda::Result(cuda::Handle, unsigned, unsigned, unsigned, unsigned, unsigned,
                            unsigned, unsigned, cuda::Handle, void**, void**);
using Info = cuda::Result(std::size_t*, std::size_t*);
using Allocate = cuda::Result(cuda::DevicePtr*, std::size_t);
using Free = cuda::Result(cuda::DevicePtr);

/// The functions of one library, looked up as programs do.
struct Driver {
  explicit Driver(const char* path) : library(dlopen(path, RTLD_NOW | RTLD_LOCAL)) {
    CHECK_MSG(library != nullptr, dlerror());
    launch = find<Launch>("cuLaunchKernel");
    info = find<Info>("cuMemGetInfo_v2");
    allocate = find<Allocate>("cuMemAlloc_v2");
    free = find<Free>("cuMemFree_v2");
  }
  template <class Function>
  Function* find(const char* name) const {
    auto* found = reinterpret_cast<Function*>(dlsym(library, name));
    CHECK_MSG(found != nullptr, name);
    return found;
  }

  void* library;
  Launch* launch;
  Info* info;
  Allocate* allocate;
  Free* free;
};

/// A pretended machine, and both ways to its driver.
class Machine {
 public:
  Machine() {
    const auto gpu = std::make_unique<fakes::GpuRecord>();
    std::snprintf(gpu->model, sizeof(gpu->model), "H100-80GB-SXM5");
    std::snprintf(gpu->uuid, sizeof(gpu->uuid), "GPU-01234567-89ab-cdef-0123-456789abcdef");
    fakes::MachineHeader header{};
    header.gpus = 1;
    const auto file = folder_.file("machine");
    CHECK(fakes::MachineFile::create(file, header, gpu.get()));
    setenv("TESSERA_FAKE_GPUS", file.c_str(), 1);
    setenv("TESSERA_GUARD_CUDA", TESSERA_FAKE_CUDA, 1);
    setenv("TESSERA_GUARD_MEMORY", "10GiB", 1);
    bare = std::make_unique<Driver>(TESSERA_FAKE_CUDA);
    guarded = std::make_unique<Driver>(TESSERA_GUARD);
    cuda::Handle context = nullptr;
    cuda::Handle module = nullptr;
    CHECK(guarded->find<cuda::Result(unsigned)>("cuInit")(0) == cuda::kSuccess);
    CHECK(guarded->find<cuda::Result(cuda::Handle*, cuda::Device)>("cuDevicePrimaryCtxRetain")(
              &context, 0) == cuda::kSuccess);
    CHECK(guarded->find<cuda::Result(cuda::Handle)>("cuCtxSetCurrent")(context) == cuda::kSuccess);
    CHECK(guarded->find<cuda::Result(cuda::Handle*, const void*)>("cuModuleLoadData")(
              &module, "code") == cuda::kSuccess);
    CHECK(guarded->find<cuda::Result(cuda::Handle*, cuda::Handle, const char*)>(
              "cuModuleGetFunction")(&function, module, "nothing") == cuda::kSuccess);
  }

  std::unique_ptr<Driver> bare, guarded;
  cuda::Handle function = nullptr;

 private:
  journal::TemporaryFolder folder_;
};

/// The stand-in keeps its machine for as long as the program runs.
Machine& machine() {
  static Machine only;
  return only;
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// Samples of both by turns, so that whatever else the machine does meets both alike.
template <class Call>
void compare(benchmark::State& state, double goal_ns, Call call) {
  const auto sample = [&](const Driver& driver) {
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < kCalls; ++i) call(driver);
    const std::chrono::duration<double, std::nano> span = std::chrono::steady_clock::now() - begin;
    return span.count() / kCalls;
  };
  std::vector<double> bare;
  std::vector<double> guarded;
  for (auto _ : state) {
    bare.push_back(sample(*machine().bare));
    guarded.push_back(sample(*machine().guarded));
    state.SetIterationTime(guarded.back() * kCalls * 1e-9);
  }
  const double added = median(guarded) - median(bare);
  state.counters["bare_ns"] = median(bare);
  state.counters["guarded_ns"] = median(guarded);
  state.counters["added_ns"] = added;
  state.counters["goal_ns"] = goal_ns;
  state.counters["reached"] = added <= goal_ns ? 1 : 0;
}

void guard_launch(benchmark::State& state) {
  auto* const function = machine().function;
  compare(state, kLaunchNs, [function](const Driver& driver) {
    driver.launch(function, 1, 1, 1, 1, 1, 1, 0, nullptr, nullptr, nullptr);
  });
}
BENCHMARK(guard_launch)->UseManualTime()->Iterations(4'000);

void guard_memory_info(benchmark::State& state) {
  compare(state, kInfoNs, [](const Driver& driver) {
    std::size_t free = 0;
    std::size_t total = 0;
    driver.info(&free, &total);
    benchmark::DoNotOptimize(free);
  });
}
BENCHMARK(guard_memory_info)->UseManualTime()->Iterations(4'000);

/// With so many live allocations of the program, all made through the guard.
void guard_allocate_and_free(benchmark::State& state) {
  std::vector<cuda::DevicePtr> live(static_cast<std::size_t>(state.range(0)));
  for (auto& each : live) CHECK(machine().guarded->allocate(&each, 4'096) == cuda::kSuccess);
  compare(state, kAllocateNs, [](const Driver& driver) {
    cuda::DevicePtr pointer = 0;
    driver.allocate(&pointer, 4'096);
    driver.free(pointer);
  });
  for (const auto each : live) CHECK(machine().guarded->free(each) == cuda::kSuccess);
}
BENCHMARK(guard_allocate_and_free)
    ->Arg(0)
    ->Arg(1'000)
    ->Arg(100'000)
    ->UseManualTime()
    ->Iterations(2'000);

}  // namespace
}  // namespace tessera
