#pragma once

#include <cstdint>
#include <cstdlib>
#include <pthread.h>

/// What this process has been charged for, by the address or handle that the driver gave out.
///
/// Split into parts with a lock each, so that threads seldom meet. Takes memory from malloc and
/// throws nothing. Open addressing with linear probing; a removal closes the gap, so the time to
/// find an entry depends on the load (kept below one half) and not on how many came and went.
namespace tessera::guard {

struct Allocation {
  std::uint64_t key = 0;  ///< 0: an empty place
  std::uint64_t bytes = 0;
  const void* context = nullptr;  ///< goes with it; nullptr where it does not
  std::uint32_t slot = 0;         ///< the GPU
  std::uint32_t holders = 1;      ///< references and mappings
};

class AllocationTable {
 public:
  /// False where there is no memory; then nothing changed. The key must not be in the table.
  bool put(const Allocation& allocation);
  /// Takes the entry out. False: there is none.
  bool take(std::uint64_t key, Allocation& taken);
  /// Adds to the holders of an entry. At 0 the entry is taken out. False: there is none.
  bool hold(std::uint64_t key, int change, Allocation& after);
  /// Takes out, one by one, the entries of a context.
  bool take_of_context(const void* context, Allocation& taken);
  /// Forgets all, locks included: for a forked child, which has no driver state of its parent.
  void reset();

 private:
  static constexpr unsigned kParts = 16;
  struct Part {
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    Allocation* places = nullptr;
    std::size_t capacity = 0;  ///< 0 or a power of two
    std::size_t used = 0;
  };
  /// Neighbours in memory, which are often made one after the other, stay neighbours here, so that
  /// a large table costs few misses of the processor's cache; regions of 2 MiB are spread.
  static std::uint64_t hash(std::uint64_t key) {
    std::uint64_t region = key >> 21;
    region ^= region >> 33;
    region *= 0xff51'afd7'ed55'8ccdULL;
    return (region ^ region >> 33) + (key >> 9 & 0xfff);
  }
  Part& part_of(std::uint64_t key) { return parts_[hash(key) >> 60]; }
  static std::size_t find(const Part& part, std::uint64_t key);
  static bool grow(Part& part);
  static void remove(Part& part, std::size_t at);

  Part parts_[kParts];
};

}  // namespace tessera::guard
