#include "fakes/cuda/library.h"

#include <algorithm>
#include <cstdlib>
#include <time.h>

namespace tessera::fakes::cuda {

World& world() {
  static auto* only = new World;  // outlives the program's own destructors
  return *only;
}

Context*& current() {
  thread_local Context* context = nullptr;
  return context;
}

Result need_context() {
  if (world().row < 0) return kNotInitialized;
  return current() == nullptr ? kInvalidContext : kSuccess;
}

Result need_device(Device device) {
  if (world().row < 0) return kNotInitialized;
  return device < 0 || device >= static_cast<Device>(world().area->gpus) ? kInvalidDevice
                                                                         : kSuccess;
}

bool take(Device device, std::uint64_t bytes) {
  return take_memory(*world().area, world().row, static_cast<unsigned>(device), bytes);
}
void give(Device device, std::uint64_t bytes) {
  give_memory(*world().area, world().row, static_cast<unsigned>(device), bytes);
}

void free_all_of(Context* context) {
  auto& all = world();
  std::erase_if(all.blocks, [&](const auto& entry) {
    const auto& block = entry.second;
    if (block.context != context || block.pool != nullptr) return false;
    give(context->device, block.bytes);
    return true;
  });
  std::erase_if(all.arrays, [&](const auto& entry) {
    if (entry.second->context != context) return false;
    give(context->device, entry.second->bytes);
    delete entry.second;
    return true;
  });
}

Stream* find_stream(Handle stream) {
  auto& all = world();
  if (reinterpret_cast<std::uintptr_t>(stream) > 2) return find_in(all.streams, stream);
  if (current() == nullptr) return nullptr;
  auto*& own = all.default_stream[current()];
  if (own == nullptr) own = new Stream{current(), 0, nullptr};
  return own;
}

std::uint64_t left_ns(Device device, std::uint64_t ticket) {
  if (ticket == 0) return 0;
  return remaining_ns(*world().area, world().row, static_cast<unsigned>(device), ticket);
}

void wait_for(Device device, std::uint64_t ticket) {
  constexpr std::uint64_t kLongestNap = 2'000'000;
  while (const auto left = left_ns(device, ticket)) {
    const timespec nap{0, static_cast<long>(std::min(left, kLongestNap))};
    nanosleep(&nap, nullptr);
  }
}

}  // namespace tessera::fakes::cuda
