// Event sets: whoever waits on one hears of the Xids raised since a GPU was registered with it.

#include <time.h>

#include "fakes/nvml/library.h"
#include "fakes/nvml/slot_table.h"

using namespace tessera::fakes;

namespace {

struct Watched {
  bool registered = false;
  std::uint64_t seen = 0;  ///< Xids told already
};
struct Set {
  Watched gpus[kMostGpus];
};
SlotTable<Set, 64, 0x7e57> sets;

constexpr std::uint64_t kLookEveryUs = 100'000;

/// kNoData where nothing new has happened.
abi::Return next_event(Set& set, abi::Event& event) {
  const auto machine = open_machine(MachineFile::Access::kRead);
  if (!machine) return machine.error();
  for (unsigned i = 0; i < machine->header().gpus; ++i) {
    auto& watched = set.gpus[i];
    GpuRecord gpu;
    if (!watched.registered || !machine->read(i, gpu)) continue;
    if (gpu.xid_count <= watched.seen) continue;
    if (gpu.xid_count - watched.seen > kMostXids) watched.seen = gpu.xid_count - kMostXids;
    event = {static_cast<abi::Device>(encode({Kind::kDevice, i, 0, 0})), abi::kXidEvent,
             gpu.xids[watched.seen % kMostXids], abi::kAnyInstance, abi::kAnyInstance};
    ++watched.seen;
    return abi::kSuccess;
  }
  return abi::kNoData;
}

}  // namespace

TESSERA_NVML_EXPORT abi::Return nvmlEventSetCreate(abi::EventSet* set) {
  if (set == nullptr) return abi::kInvalidArgument;
  *set = static_cast<abi::EventSet>(sets.take());
  return *set == nullptr ? abi::kOutOfMemory : abi::kSuccess;
}
TESSERA_NVML_EXPORT abi::Return nvmlEventSetFree(abi::EventSet set) {
  return sets.give_back(set) ? abi::kSuccess : abi::kInvalidArgument;
}

TESSERA_NVML_EXPORT abi::Return nvmlDeviceGetSupportedEventTypes(abi::Device device,
                                                                 std::uint64_t* types) {
  return read_gpu(device, [&](View&) { return answer(types, abi::kXidEvent); });
}
TESSERA_NVML_EXPORT abi::Return nvmlDeviceRegisterEvents(abi::Device device, std::uint64_t types,
                                                         abi::EventSet handle) {
  return read_gpu(device, [&](View& view) -> abi::Return {
    auto* set = sets.find(handle);
    if (set == nullptr) return abi::kInvalidArgument;
    if ((types & ~abi::kXidEvent) != 0) return abi::kNotSupported;
    set->gpus[view.index] = {types != 0, view.gpu.xid_count};
    return abi::kSuccess;
  });
}

TESSERA_NVML_EXPORT abi::Return nvmlEventSetWait_v2(abi::EventSet handle, abi::Event* event,
                                                    unsigned timeout_ms) {
  return guarded([&]() -> abi::Return {
    auto* set = sets.find(handle);
    if (set == nullptr || event == nullptr) return abi::kInvalidArgument;
    for (std::uint64_t waited = 0;; waited += kLookEveryUs) {
      const auto found = next_event(*set, *event);
      if (found != abi::kNoData) return found;
      if (waited >= std::uint64_t{timeout_ms} * 1000) return abi::kTimeout;
      const timespec pause{0, static_cast<long>(kLookEveryUs * 1000)};
      nanosleep(&pause, nullptr);
    }
  });
}
/// The older struct ends before the instance ids.
TESSERA_NVML_EXPORT abi::Return nvmlEventSetWait(abi::EventSet handle, void* event,
                                                 unsigned timeout_ms) {
  struct Older {
    abi::Device device;
    std::uint64_t type, data;
  };
  abi::Event newer{};
  const auto done = nvmlEventSetWait_v2(handle, &newer, timeout_ms);
  if (done != abi::kSuccess) return done;
  return answer(static_cast<Older*>(event), Older{newer.device, newer.type, newer.data});
}
