#include "call_model.h"

#include <algorithm>

#include "base/check.h"

namespace tessera::guard::test {
namespace {

constexpr std::uint64_t kStep = 300'007;  // sizes are no multiples of anything
constexpr std::uint64_t kPoolPiece = 2ULL << 20;
constexpr std::uint64_t kBytesOfContext = 256ULL << 20;
constexpr std::uint64_t kLongest = 2;  // sequences leave at most so many pieces of pools behind

std::uint64_t rounded(std::uint64_t bytes, std::uint64_t to) {
  return (bytes + to - 1) / to * to;
}

}  // namespace

std::uint64_t CallModel::live() const {
  std::uint64_t sum = 0;
  std::map<cuda::Handle, std::uint64_t> pooled;
  for (const auto& piece : pieces_) {
    if (piece.kind == kPooled)
      pooled[piece.pool] += piece.bytes;
    else
      sum += piece.bytes;
  }
  for (const auto& [pool, bytes] : pooled) sum += rounded(bytes, kPoolPiece);
  return sum;
}

void CallModel::check_books() const {
  const auto charged = books_.charged();
  CHECK(charged == books_.physical() - kBytesOfContext);
  CHECK(charged <= books_.limit);
  CHECK(charged >= live());
}

void CallModel::settle(cuda::Result result, const Piece& piece) {
  CHECK(result == cuda::kSuccess || result == cuda::kOutOfMemory);
  if (result == cuda::kSuccess)
    pieces_.push_back(piece);
  else
    CHECK(live() + rounded(piece.bytes, kPoolPiece) + kLongest * kPoolPiece > books_.limit);
}

void CallModel::allocate(unsigned what, unsigned how) {
  const std::size_t size = (1 + how) * kStep / 2;
  cuda::DevicePtr pointer = 0;
  std::size_t pitch = 0;
  cuda::Array3dDescriptor array{16 + how, 1'000, 0, 0x20, 4, 0};
  cuda::Handle handle = nullptr;
  switch (what % 6) {
    case 0: {
      const auto result = cuda_("cuMemAlloc_v2", &pointer, size);
      return settle(result, {kLinear, pointer, rounded(size, 512), nullptr, 0});
    }
    case 1: {
      const auto result = cuda_("cuMemAllocManaged", &pointer, size, 1U);
      return settle(result, {kLinear, pointer, rounded(size, 512), nullptr, 0});
    }
    case 2: {
      const auto result =
          cuda_("cuMemAllocPitch_v2", &pointer, &pitch, size / 100, std::size_t{100}, 4U);
      return settle(result, {kLinear, pointer, rounded(size / 100, 512) * 100, nullptr, 0});
    }
    case 3: {
      const auto result = cuda_("cuMemAllocAsync", &pointer, size, cuda::Handle{});
      return settle(result, {kPooled, pointer, rounded(size, 512), nullptr, 0});
    }
    case 4: {
      const auto result =
          cuda_("cuArray3DCreate_v2", &handle, static_cast<const cuda::Array3dDescriptor*>(&array));
      return settle(result, {kArray, reinterpret_cast<std::uint64_t>(handle),
                             rounded(array.width * 1'000 * 16, 65'536), nullptr, 0});
    }
    default: {
      const auto result = cuda_("cuMipmappedArrayCreate", &handle,
                                static_cast<const cuda::Array3dDescriptor*>(&array), 1U);
      return settle(result, {kMipmaps, reinterpret_cast<std::uint64_t>(handle),
                             rounded(array.width * 1'000 * 16, 65'536), nullptr, 0});
    }
  }
}

void CallModel::free_piece(std::size_t at) {
  const auto piece = pieces_[at];
  const auto handle = reinterpret_cast<cuda::Handle>(piece.key);
  switch (piece.kind) {
    case kLinear:
      CHECK(cuda_("cuMemFree_v2", piece.key) == cuda::kSuccess);
      break;
    case kPooled:
      CHECK(cuda_("cuMemFreeAsync", piece.key, cuda::Handle{}) == cuda::kSuccess);
      break;
    case kHandle:
      CHECK(cuda_("cuMemRelease", piece.key) == cuda::kSuccess);
      break;
    case kMapping:
      CHECK(cuda_("cuMemUnmap", piece.key, std::size_t{piece.bytes}) == cuda::kSuccess);
      break;
    case kArray:
      CHECK(cuda_("cuArrayDestroy", handle) == cuda::kSuccess);
      break;
    case kMipmaps:
      CHECK(cuda_("cuMipmappedArrayDestroy", handle) == cuda::kSuccess);
      break;
  }
  pieces_.erase(pieces_.begin() + static_cast<std::ptrdiff_t>(at));
}

void CallModel::free_one(unsigned how) {
  if (!pieces_.empty()) free_piece(how % pieces_.size());
}

void CallModel::use_pools(unsigned what, unsigned how) {
  if (what % 4 == 0 && pools_.size() < 8) {
    cuda::PoolProperties properties{};
    properties.location = {cuda::kLocationDevice, 0};
    cuda::Handle pool = nullptr;
    CHECK(cuda_("cuMemPoolCreate", &pool, static_cast<const cuda::PoolProperties*>(&properties)) ==
          cuda::kSuccess);
    std::uint64_t keep = how % 2 == 0 ? 0 : 64ULL << 20;
    CHECK(cuda_("cuMemPoolSetAttribute", pool, static_cast<std::int32_t>(cuda::kReleaseThreshold),
                static_cast<void*>(&keep)) == cuda::kSuccess);
    pools_.push_back(pool);
    return;
  }
  if (pools_.empty()) return;
  const auto at = how % pools_.size();
  auto* const pool = pools_[at];
  if (what % 4 == 1) {
    CHECK(cuda_("cuMemPoolDestroy", pool) == cuda::kSuccess);
    pools_.erase(pools_.begin() + static_cast<std::ptrdiff_t>(at));
  } else if (what % 4 == 2) {
    CHECK(cuda_("cuMemPoolTrimTo", pool, std::size_t{0}) == cuda::kSuccess);
  } else {
    const std::size_t size = (1 + how) * kStep / 2;
    cuda::DevicePtr pointer = 0;
    const auto result = cuda_("cuMemAllocFromPoolAsync", &pointer, size, pool, cuda::Handle{});
    settle(result, {kPooled, pointer, rounded(size, 512), pool, 0});
  }
}

void CallModel::use_handles(unsigned what, unsigned how) {
  if (what % 2 == 0) {
    cuda::AllocationProperties properties{};
    properties.type = 1;
    properties.location = {cuda::kLocationDevice, 0};
    cuda::AllocationHandle handle = 0;
    const std::size_t size = (1 + how % 16) * kPoolPiece;
    const auto result = cuda_("cuMemCreate", &handle, size,
                              static_cast<const cuda::AllocationProperties*>(&properties), 0ULL);
    return settle(result, {kHandle, handle, size, nullptr, 0});
  }
  // Maps a handle, and lets go of it: its memory now hangs on the mapping.
  const auto found = std::ranges::find(pieces_, kHandle, &Piece::kind);
  if (found == pieces_.end()) return;
  cuda::DevicePtr at = 0;
  const std::size_t size = found->bytes;
  CHECK(cuda_("cuMemAddressReserve", &at, size, std::size_t{0}, cuda::DevicePtr{0}, 0ULL) ==
        cuda::kSuccess);
  CHECK(cuda_("cuMemMap", at, size, std::size_t{0}, found->key, 0ULL) == cuda::kSuccess);
  CHECK(cuda_("cuMemRelease", found->key) == cuda::kSuccess);
  *found = {kMapping, at, size, nullptr, found->key};
  if (how % 2 == 0) return;
  // Taken up again through its address, and let go of once more.
  cuda::AllocationHandle again = 0;
  CHECK(cuda_("cuMemRetainAllocationHandle", &again, reinterpret_cast<void*>(at)) ==
        cuda::kSuccess);
  CHECK(cuda_("cuMemRelease", again) == cuda::kSuccess);
}

void CallModel::launch_graph(unsigned how) {
  cuda::Handle graph = nullptr;
  cuda::Handle node = nullptr;
  cuda::Handle exec = nullptr;
  cuda::MemAllocNode parameters{};
  parameters.bytes = (1 + how) * kStep;
  CHECK(cuda_("cuGraphCreate", &graph, 0U) == cuda::kSuccess);
  CHECK(cuda_("cuGraphAddMemAllocNode", &node, graph, static_cast<const cuda::Handle*>(nullptr),
              std::size_t{0}, &parameters) == cuda::kSuccess);
  CHECK(cuda_("cuGraphInstantiateWithFlags", &exec, graph, 0ULL) == cuda::kSuccess);
  const auto result = cuda_("cuGraphLaunch", exec, cuda::Handle{});
  CHECK(result == cuda::kSuccess || result == cuda::kOutOfMemory);
  CHECK(cuda_("cuGraphExecDestroy", exec) == cuda::kSuccess);
  CHECK(cuda_("cuGraphDestroy", graph) == cuda::kSuccess);
}

void CallModel::look(unsigned what, unsigned how) {
  switch (what % 4) {
    case 0: {
      std::size_t free = 0;
      std::size_t total = 0;
      CHECK(cuda_("cuMemGetInfo_v2", &free, &total) == cuda::kSuccess);
      CHECK(total == books_.limit && free == books_.limit - books_.charged());
      return;
    }
    case 1:
      CHECK(cuda_("cuCtxSynchronize") == cuda::kSuccess);
      return;
    case 2:
      // Addresses that nobody was given.
      CHECK(cuda_("cuMemFree_v2", cuda::DevicePtr{8} + how) == cuda::kInvalidValue);
      CHECK(cuda_("cuMemRelease", cuda::AllocationHandle{8} + how) == cuda::kInvalidValue);
      return;
    default:
      return launch_graph(how);
  }
}

void CallModel::call(unsigned what, unsigned how) {
  switch (what % 8) {
    case 0:
    case 1:
      return allocate(what / 8, how);
    case 2:
    case 3:
    case 4:
      return free_one(how);
    case 5:
      return use_pools(what / 8, how);
    case 6:
      return use_handles(what / 8, how);
    default:
      return look(what / 8, how);
  }
}

void CallModel::clean_up() {
  while (!pieces_.empty()) free_piece(pieces_.size() - 1);
  for (auto* const pool : pools_) CHECK(cuda_("cuMemPoolDestroy", pool) == cuda::kSuccess);
  pools_.clear();
  CHECK(cuda_("cuCtxSynchronize") == cuda::kSuccess);
  CHECK(cuda_("cuDeviceGraphMemTrim", 0) == cuda::kSuccess);
  CHECK(books_.charged() == 0);
  CHECK(books_.physical() == kBytesOfContext);
}

void CallModel::run(std::span<const std::uint8_t> bytes) {
  for (std::size_t at = 0; at + 1 < bytes.size(); at += 2) {
    call(bytes[at], bytes[at + 1]);
    check_books();
  }
  clean_up();
}

}  // namespace tessera::guard::test
