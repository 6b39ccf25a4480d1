#include "guard/allocation_table.h"

namespace tessera::guard {
namespace {

class Locked {
 public:
  explicit Locked(pthread_mutex_t& lock) : lock_(lock) { pthread_mutex_lock(&lock_); }
  Locked(const Locked&) = delete;
  Locked& operator=(const Locked&) = delete;
  ~Locked() { pthread_mutex_unlock(&lock_); }

 private:
  pthread_mutex_t& lock_;
};

}  // namespace

/// The place of the key, or the empty one where it would go.
std::size_t AllocationTable::find(const Part& part, std::uint64_t key) {
  auto at = hash(key) & (part.capacity - 1);
  while (part.places[at].key != 0 && part.places[at].key != key)
    at = (at + 1) & (part.capacity - 1);
  return at;
}

bool AllocationTable::grow(Part& part) {
  if (part.used * 2 < part.capacity) return true;
  Part larger;
  larger.capacity = part.capacity == 0 ? 64 : part.capacity * 2;
  larger.places = static_cast<Allocation*>(std::calloc(larger.capacity, sizeof(Allocation)));
  if (larger.places == nullptr) return false;
  for (std::size_t i = 0; i < part.capacity; ++i)
    if (part.places[i].key != 0) larger.places[find(larger, part.places[i].key)] = part.places[i];
  std::free(part.places);
  part.places = larger.places;
  part.capacity = larger.capacity;
  return true;
}

void AllocationTable::remove(Part& part, std::size_t at) {
  const auto mask = part.capacity - 1;
  for (auto next = (at + 1) & mask; part.places[next].key != 0; next = (next + 1) & mask) {
    // An entry may move back into the gap unless its own place lies between the two.
    const auto home = hash(part.places[next].key) & mask;
    if (((next - home) & mask) >= ((next - at) & mask)) {
      part.places[at] = part.places[next];
      at = next;
    }
  }
  part.places[at] = {};
  --part.used;
}

bool AllocationTable::put(const Allocation& allocation) {
  auto& part = part_of(allocation.key);
  const Locked locked(part.lock);
  if (!grow(part)) return false;
  auto& place = part.places[find(part, allocation.key)];
  if (place.key == 0) ++part.used;
  place = allocation;
  return true;
}

bool AllocationTable::take(std::uint64_t key, Allocation& taken) {
  if (key == 0) return false;
  auto& part = part_of(key);
  const Locked locked(part.lock);
  if (part.used == 0) return false;
  const auto at = find(part, key);
  if (part.places[at].key == 0) return false;
  taken = part.places[at];
  remove(part, at);
  return true;
}

bool AllocationTable::hold(std::uint64_t key, int change, Allocation& after) {
  if (key == 0) return false;
  auto& part = part_of(key);
  const Locked locked(part.lock);
  if (part.used == 0) return false;
  const auto at = find(part, key);
  auto& place = part.places[at];
  if (place.key == 0) return false;
  place.holders += static_cast<std::uint32_t>(change);
  after = place;
  if (place.holders == 0) remove(part, at);
  return true;
}

bool AllocationTable::take_of_context(const void* context, Allocation& taken) {
  for (auto& part : parts_) {
    const Locked locked(part.lock);
    for (std::size_t at = 0; at < part.capacity; ++at) {
      if (part.places[at].key == 0 || part.places[at].context != context) continue;
      taken = part.places[at];
      remove(part, at);
      return true;
    }
  }
  return false;
}

void AllocationTable::reset() {
  // The entries stay allocated: another thread of the parent may have been changing them.
  for (auto& part : parts_) part = {};
}

}  // namespace tessera::guard
