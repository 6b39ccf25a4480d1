#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "fakes/cuda/area.h"
#include "guard/cuda_abi.h"

/// What the functions of the stand-in libcuda.so.1 share within one process. It answers as a driver
/// does where that matters to who limits memory or time; no data is kept and no code runs.
///
/// A kernel named spin_N takes N microseconds of the GPU, whatever its grid; any other takes none.
/// Memory is given out in pieces of 512 bytes, pools grow by 2 MiB, arrays come in 64 KiB, and a
/// context costs 256 MiB. A launch waits while 1,024 of its process are unfinished on the device.
///
/// Threads: one lock, world().lock. Handles that are not ours are told. After a fork the child has
/// no driver until it calls cuInit, and then a new one.
namespace tessera::fakes::cuda {

using namespace tessera::guard::cuda;

#define TESSERA_CUDA_EXPORT extern "C" __attribute__((visibility("default")))

inline constexpr std::uint64_t kPiece = 512;
inline constexpr std::uint64_t kPoolPiece = 2ULL << 20;
inline constexpr std::uint64_t kArrayPiece = 64ULL << 10;
inline constexpr std::uint64_t kContextBytes = 256ULL << 20;
/// As many launches are in a device's queue before the next one waits.
inline constexpr std::size_t kQueueDepth = 1024;
constexpr std::uint64_t round_up(std::uint64_t bytes, std::uint64_t to) {
  return (bytes + to - 1) / to * to;
}

struct Context {
  Device device;
  bool primary;
  unsigned retained;  ///< of a primary one
};
struct Pool {
  Device device;  ///< -1: host memory, or another process's
  std::uint64_t reserved, used, threshold;
  bool destroyed;
};
struct Block {
  std::uint64_t bytes;
  Context* context;
  Pool* pool;  ///< nullptr: from none
};
struct Array {
  std::uint64_t bytes;
  Context* context;
  bool deferred;
};
/// What cuMemCreate makes.
struct Piece {
  Device device;
  std::uint64_t bytes;
  unsigned holders;
  bool foreign;  ///< imported: its maker has the memory
};
struct Node {
  GraphNodeType type;
  std::uint64_t duration_ns;
  MemAllocNode memory;
  struct Graph* child;
};
struct Graph {
  std::vector<Node*> nodes;
};
struct GraphExec {
  Device device;
  std::uint64_t duration_ns, bytes;
};
struct Stream {
  Context* context;
  std::uint64_t ticket;
  Graph* captured;  ///< not nullptr while it is being captured
};
struct Event {
  Context* context;
  std::uint64_t ticket;
};

struct GraphMemory {
  std::uint64_t reserved, used;
};

struct World {
  std::mutex lock;
  CudaArea* area = nullptr;
  int row = -1;
  std::uint64_t next_address = 0x7000'0000'0000;
  std::map<Device, std::array<std::uint64_t, kQueueDepth>> queue;  ///< tickets, oldest overwritten
  std::map<Device, std::uint64_t> queued;                          ///< since the beginning
  std::map<Device, Context*> primary;
  std::map<Device, Pool*> default_pool, current_pool;
  std::map<Device, GraphMemory> graph_memory;
  std::unordered_map<Context*, Stream*> default_stream;
  std::unordered_map<void*, Context*> contexts;
  std::unordered_map<void*, Stream*> streams;
  std::unordered_map<void*, Event*> events;
  std::unordered_map<void*, Pool*> pools;
  std::unordered_map<void*, Array*> arrays;
  std::unordered_map<void*, Graph*> graphs;
  std::unordered_map<void*, GraphExec*> execs;
  std::unordered_map<void*, std::uint64_t*> functions;  ///< duration in ns
  std::unordered_map<DevicePtr, Block> blocks;
  std::unordered_map<AllocationHandle, Piece> pieces;
  std::map<DevicePtr, std::pair<std::uint64_t, AllocationHandle>> mapped;
};

World& world();
using Locked = std::scoped_lock<std::mutex>;

/// The calling thread's context; nullptr.
Context*& current();
/// That of the calling thread; kInvalidContext or kNotInitialized where there is none.
Result need_context();
Result need_device(Device device);

bool take(Device device, std::uint64_t bytes);
void give(Device device, std::uint64_t bytes);
/// Memory of this context that the program has not freed.
void free_all_of(Context* context);

/// nullptr, 1 and 2 are the context's default streams; unknown ones give nullptr.
Stream* find_stream(Handle stream);
std::uint64_t left_ns(Device device, std::uint64_t ticket);
/// Waits until the ticket is done; takes the world's lock in between only.
void wait_for(Device device, std::uint64_t ticket);

template <class Object>
Object* find_in(std::unordered_map<void*, Object*>& table, Handle handle) {
  const auto found = table.find(handle);
  return found == table.end() ? nullptr : found->second;
}
template <class Object>
Handle add_to(std::unordered_map<void*, Object*>& table, Object* object) {
  table[object] = object;
  return object;
}
template <class Object>
void erase_from(std::unordered_map<void*, Object*>& table, Object* object) {
  table.erase(object);
  delete object;
}

}  // namespace tessera::fakes::cuda
