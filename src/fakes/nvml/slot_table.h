#pragma once

#include <array>
#include <atomic>
#include <cstdint>

namespace tessera::fakes {

/// A fixed number of objects that callers know by opaque handles; a handle that is no object's is
/// told. `mark` tells the tables apart.
///
/// Threads: taking and giving back are safe; what is in an object belongs to its handle's owner.
template <class Object, std::size_t kSize, std::uint64_t kMark>
class SlotTable {
 public:
  /// nullptr where all are taken. The object is as new.
  void* take() {
    for (std::size_t i = 0; i < kSize; ++i) {
      bool free = false;
      if (!slots_[i].taken.compare_exchange_strong(free, true)) continue;
      slots_[i].object = {};
      return reinterpret_cast<void*>(kMark << 32 | i);
    }
    return nullptr;
  }
  Object* find(const void* handle) {
    auto* slot = slot_of(handle);
    return slot == nullptr ? nullptr : &slot->object;
  }
  bool give_back(const void* handle) {
    auto* slot = slot_of(handle);
    if (slot != nullptr) slot->taken = false;
    return slot != nullptr;
  }

 private:
  struct Slot {
    std::atomic<bool> taken = false;
    Object object;
  };
  Slot* slot_of(const void* handle) {
    const auto bits = reinterpret_cast<std::uint64_t>(handle);
    const auto index = bits & 0xFFFFFFFF;
    if (bits >> 32 != kMark || index >= kSize || !slots_[index].taken) return nullptr;
    return &slots_[index];
  }

  std::array<Slot, kSize> slots_;
};

}  // namespace tessera::fakes
