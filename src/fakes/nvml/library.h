#pragma once

#include <concepts>
#include <cstdint>
#include <expected>
#include <initializer_list>
#include <optional>
#include <string_view>

#include "catalog/gpu_model.h"
#include "device/nvml/abi.h"
#include "fakes/nvml/machine_file.h"
#include "fakes/nvml/processes.h"

/// What all functions of the stand-in library share: the way from a handle to a record and back.
///
/// The library lives in programs nobody here wrote. It never ends them, lets no exception out, and
/// answers a handle it did not make with kInvalidArgument. It keeps no state but whether it is
/// initialised and for which machine, so that threads and forks need no care.
namespace tessera::fakes {

/// An exported function of NVML's C interface.
#define TESSERA_NVML_EXPORT extern "C" __attribute__((visibility("default")))

inline constexpr auto kRead = MachineFile::Access::kRead;
inline constexpr auto kChange = MachineFile::Access::kChange;

/// Handles carry what they mean, in their bits; the serials tell one that has been destroyed.
enum class Kind : std::uint8_t { kDevice = 1, kMigDevice, kGpuInstance, kComputeInstance };
struct Handle {
  Kind kind{};
  unsigned gpu = 0;
  std::uint32_t instance = 0;  ///< serial; 0: none
  std::uint32_t compute = 0;   ///< serial; 0: none
};
void* encode(const Handle& handle);
std::optional<Handle> decode(const void* pointer);

/// What a handle means at this moment.
struct View {
  unsigned index;
  GpuRecord& gpu;
  const catalog::GpuModel& model;
  InstanceRecord* instance;        ///< nullptr for a whole GPU
  ComputeInstanceRecord* compute;  ///< nullptr but for MIG devices and compute instances
  std::uint64_t now;

  bool whole() const { return instance == nullptr; }
  const catalog::MigProfile& profile() const { return model.profiles[instance->profile]; }
  /// As processes and use are counted: the instance's id, kAnyInstance for a whole GPU.
  unsigned part() const { return whole() ? abi::kAnyInstance : instance->id; }
};

const catalog::Catalog& known_models();
/// Memory of a GPU or of an instance, in MiB, also where the catalog has no figure.
std::uint64_t memory_of(const catalog::GpuModel& model);
std::uint64_t memory_of(const catalog::GpuModel& model, const catalog::MigProfile& profile);

/// What the driver itself occupies on a GPU.
inline constexpr std::uint64_t kReservedMib = 550;

/// GPU number n sits on PCI bus 0x10 + 8 n of domain 0.
inline unsigned bus_of(unsigned gpu) {
  return 0x10 + 8 * gpu;
}

/// nvmlInit and nvmlShutdown: counted, so that each user of the library may do both.
abi::Return attach();
abi::Return detach();
std::expected<MachineFile, abi::Return> open_machine(MachineFile::Access access);

/// Runs a function of the library; whatever goes wrong inside becomes kUnknown.
template <std::invocable Function>
abi::Return guarded(Function function) noexcept {
  try {
    return function();
  } catch (...) {
    return abi::kUnknown;
  }
}

namespace detail {
/// A change takes the machine's time, before it and without the lock.
void take_time(MachineFile::Access access);
/// Waits while the GPU is told to hang. On success `gpu` holds its record, the dead forgotten.
abi::Return admit(const Handle& handle, MachineFile::Access access,
                  std::optional<MachineFile>& machine, GpuRecord& gpu);
std::optional<View> resolve(const Handle& handle, GpuRecord& gpu);
}  // namespace detail

/// Calls `function(View&)` under the lock, if `pointer` is a handle of one of `kinds`. With kChange
/// what it did to the record is written, whatever it answers.
template <std::invocable<View&> Function>
abi::Return visit(const void* pointer, std::initializer_list<Kind> kinds,
                  MachineFile::Access access, Function function) noexcept {
  return guarded([&]() -> abi::Return {
    const auto handle = decode(pointer);
    bool meant = false;
    for (const auto kind : kinds) meant |= handle && handle->kind == kind;
    std::optional<MachineFile> machine;
    GpuRecord gpu;
    detail::take_time(access);
    if (const auto refused = detail::admit(handle.value_or(Handle{}), access, machine, gpu);
        refused != abi::kSuccess)
      return refused;
    if (!meant) return abi::kInvalidArgument;
    auto view = detail::resolve(*handle, gpu);
    if (!view) return abi::kInvalidArgument;
    const auto answer = function(*view);
    if (access == MachineFile::Access::kChange && !machine->write(handle->gpu, gpu))
      return abi::kOperatingSystem;
    return answer;
  });
}

/// visit() for reading a GPU or a MIG device, the most common case.
template <std::invocable<View&> Function>
abi::Return read_device(abi::Device device, Function function) noexcept {
  return visit(device, {Kind::kDevice, Kind::kMigDevice}, MachineFile::Access::kRead, function);
}
/// The same for what only a whole GPU has.
template <std::invocable<View&> Function>
abi::Return read_gpu(abi::Device device, Function function) noexcept {
  return read_device(device, [&](View& view) -> abi::Return {
    return view.whole() ? function(view) : abi::kNotSupported;
  });
}

/// kInsufficientSize where it does not fit with its closing zero.
abi::Return copy_text(std::string_view text, char* to, unsigned length);

template <class T>
abi::Return answer(T* to, T value) {
  if (to == nullptr) return abi::kInvalidArgument;
  *to = value;
  return abi::kSuccess;
}

}  // namespace tessera::fakes
