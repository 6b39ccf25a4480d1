#include "fakes/nvml/library.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>
#include <time.h>

namespace tessera::fakes {
namespace {

// The library's own state: there is one library in a program, as there is one real NVML.
std::mutex attaching;
std::atomic<int> attached = 0;
char machine_path[4096];  // written by the first attach() only

constexpr unsigned kSerialBits = 18;
constexpr std::uint64_t kSerialMask = (1U << kSerialBits) - 1;
constexpr std::uint64_t kMark = 0x7e55;  // in the upper bits of every handle; no address has them

template <class Record, std::size_t kCount>
Record* with_serial(Record (&records)[kCount], std::uint32_t serial) {
  const auto found = std::ranges::find_if(records, [&](const Record& each) {
    return each.serial != 0 && (each.serial & kSerialMask) == serial;
  });
  return found == std::end(records) ? nullptr : found;
}

void sleep_ms(unsigned span) {
  const timespec pause{span / 1000, static_cast<long>(span % 1000) * 1'000'000};
  nanosleep(&pause, nullptr);
}

}  // namespace

void* encode(const Handle& handle) {
  const std::uint64_t bits =
      kMark << 48 | std::uint64_t{static_cast<std::uint8_t>(handle.kind)} << 44 |
      std::uint64_t{handle.gpu & 0xFF} << (2 * kSerialBits) |
      (handle.instance & kSerialMask) << kSerialBits | (handle.compute & kSerialMask);
  return reinterpret_cast<void*>(bits);
}

std::optional<Handle> decode(const void* pointer) {
  const auto bits = reinterpret_cast<std::uint64_t>(pointer);
  const auto kind = bits >> 44 & 0xF;
  if (bits >> 48 != kMark || kind < 1 || kind > 4) return std::nullopt;
  return Handle{static_cast<Kind>(kind), static_cast<unsigned>(bits >> (2 * kSerialBits) & 0xFF),
                static_cast<std::uint32_t>(bits >> kSerialBits & kSerialMask),
                static_cast<std::uint32_t>(bits & kSerialMask)};
}

const catalog::Catalog& known_models() {
  static const catalog::Catalog catalog = catalog::Catalog::built_in();
  return catalog;
}

std::uint64_t memory_of(const catalog::GpuModel& model) {
  if (model.memory.count() > 0) return static_cast<std::uint64_t>(model.memory.count());
  std::int64_t most = 0;
  for (const auto& profile : model.profiles)
    if (profile.memory)
      most = std::max(most, profile.memory->count() * model.memory_slices / profile.memory_slices);
  return static_cast<std::uint64_t>(most);
}

std::uint64_t memory_of(const catalog::GpuModel& model, const catalog::MigProfile& profile) {
  if (profile.memory) return static_cast<std::uint64_t>(profile.memory->count());
  return memory_of(model) * static_cast<unsigned>(profile.memory_slices) /
         static_cast<unsigned>(model.memory_slices);
}

abi::Return attach() {
  const std::scoped_lock lock(attaching);
  if (attached == 0) {
    const char* path = std::getenv("TESSERA_FAKE_GPUS");
    if (path == nullptr || std::strlen(path) >= sizeof(machine_path)) return abi::kDriverNotLoaded;
    std::strcpy(machine_path, path);
    const auto machine = MachineFile::open(machine_path, MachineFile::Access::kRead);
    if (!machine) return machine.error();
    if (machine->header().init_result != abi::kSuccess) return machine->header().init_result;
  }
  ++attached;
  return abi::kSuccess;
}

abi::Return detach() {
  const std::scoped_lock lock(attaching);
  if (attached == 0) return abi::kUninitialized;
  --attached;
  return abi::kSuccess;
}

std::expected<MachineFile, abi::Return> open_machine(MachineFile::Access access) {
  if (attached == 0) return std::unexpected(abi::kUninitialized);
  return MachineFile::open(machine_path, access);
}

namespace detail {

void take_time(MachineFile::Access access) {
  if (access != MachineFile::Access::kChange) return;
  unsigned span = 0;
  if (const auto machine = open_machine(MachineFile::Access::kRead))
    span = machine->header().latency_ms;
  if (span > 0) sleep_ms(span);
}

abi::Return admit(const Handle& handle, MachineFile::Access access,
                  std::optional<MachineFile>& machine, GpuRecord& gpu) {
  for (;;) {
    auto opened = open_machine(access);
    if (!opened) return opened.error();
    if (handle.gpu >= opened->header().gpus) return abi::kInvalidArgument;
    if (!opened->read(handle.gpu, gpu)) return abi::kOperatingSystem;
    if (gpu.faults.lost != 0) return abi::kGpuIsLost;
    if (gpu.faults.hang == 0) {
      forget_the_dead(gpu, now_us());
      machine.emplace(std::move(*opened));
      return abi::kSuccess;
    }
    opened = std::unexpected(abi::kTimeout);  // lets the lock go
    // Without a bound on purpose: this is the hanging call that callers must survive.
    sleep_ms(20);
  }
}

std::optional<View> resolve(const Handle& handle, GpuRecord& gpu) {
  const auto model = known_models().find(gpu.model);
  if (!model) return std::nullopt;
  View view{handle.gpu, gpu, known_models().model(*model), nullptr, nullptr, now_us()};
  if (handle.kind == Kind::kDevice) return view;
  view.instance = with_serial(gpu.instances, handle.instance);
  if (view.instance == nullptr || view.instance->profile >= view.model.profiles.size())
    return std::nullopt;
  if (handle.kind == Kind::kGpuInstance) return view;
  view.compute = with_serial(view.instance->compute, handle.compute);
  if (view.compute == nullptr) return std::nullopt;
  return view;
}

}  // namespace detail

abi::Return copy_text(std::string_view text, char* to, unsigned length) {
  if (to == nullptr) return abi::kInvalidArgument;
  if (text.size() >= length) return abi::kInsufficientSize;
  std::memcpy(to, text.data(), text.size());
  to[text.size()] = '\0';
  return abi::kSuccess;
}

}  // namespace tessera::fakes
