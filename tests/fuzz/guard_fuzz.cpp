#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <memory>
#include <string>

#include <sys/mman.h>

#include "base/check.h"
#include "fakes/cuda/area.h"
#include "guard/call_model.h"
#include "guard/ledger.h"

/// The guard over the stand-in driver, driven by any sequence of calls, beside a model of its
/// accounts (tests/guard/call_model.h). One machine and one account for all inputs: each ends with
/// nothing charged.
namespace tessera::guard::test {
namespace {

constexpr std::uint64_t kLimit = 256ULL << 20;

std::string make_machine() {
  std::string folder = (std::filesystem::temp_directory_path() / "tessera-fuzz-XXXXXX").string();
  CHECK(mkdtemp(folder.data()) != nullptr);
  const auto gpu = std::make_unique<fakes::GpuRecord>();
  std::snprintf(gpu->model, sizeof(gpu->model), "H100-80GB-SXM5");
  std::snprintf(gpu->uuid, sizeof(gpu->uuid), "GPU-01234567-89ab-cdef-0123-456789abcdef");
  fakes::MachineHeader header{};
  header.gpus = 1;
  CHECK(fakes::MachineFile::create(folder + "/machine", header, gpu.get()));
  return folder;
}

const Accounts& map_accounts(const std::string& path) {
  const int file = open(path.c_str(), O_RDWR | O_CLOEXEC);
  void* at = mmap(nullptr, sizeof(Accounts), PROT_READ, MAP_SHARED, file, 0);
  CHECK(at != MAP_FAILED);
  return *static_cast<const Accounts*>(at);
}

/// Made at the first input; the driver keeps its machine for as long as the program runs.
CallModel& model() {
  static const std::string folder = make_machine();
  static const Library cuda = [] {
    setenv("TESSERA_FAKE_GPUS", (folder + "/machine").c_str(), 1);
    setenv("TESSERA_GUARD_CUDA", TESSERA_FAKE_CUDA, 1);
    setenv("TESSERA_GUARD_MEMORY", std::to_string(kLimit).c_str(), 1);
    setenv("TESSERA_GUARD_ACCOUNT", (folder + "/account").c_str(), 1);
    const Library guard(TESSERA_GUARD);
    CHECK(guard.begin() == cuda::kSuccess);
    return guard;
  }();
  static const Accounts& accounts = map_accounts(folder + "/account");
  static const fakes::CudaArea* area = fakes::map_cuda_area(folder + "/machine");
  static CallModel only(cuda, {[] { return charged(accounts, 0); },
                               [] { return fakes::memory_in_use(*area, 0); }, kLimit});
  return only;
}

}  // namespace
}  // namespace tessera::guard::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  tessera::guard::test::model().run({data, size});
  return 0;
}
