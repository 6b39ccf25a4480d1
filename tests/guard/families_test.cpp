// Every way to get memory stops at the limit, and gives back what it took.

#include <vector>

#include "rig.h"

namespace tessera::guard::test {
namespace {

using cuda::DevicePtr;
using cuda::Handle;
using cuda::Result;

constexpr std::uint64_t kLimit = kGiB;
constexpr std::uint64_t kChunk = 64 * kMiB;

/// One way to get 64 MiB, and the way back. `get` fills in what `give` needs.
struct Piece {
  DevicePtr pointer = 0;
  Handle handle = nullptr;
};
struct Family {
  const char* name;
  std::function<Result(const Library&, Piece&)> get;
  std::function<Result(const Library&, const Piece&)> give;
};

Result free_linear(const Library& cuda, const Piece& piece) {
  return cuda("cuMemFree_v2", piece.pointer);
}
Result free_async(const Library& cuda, const Piece& piece) {
  return cuda("cuMemFreeAsync", piece.pointer, Handle{});
}

constexpr cuda::Array3dDescriptor kArray{4096, 4096, 0, 0x20, 1, 0};  // floats: 64 MiB

const Family kFamilies[] = {
    {"linear",
     [](const Library& cuda, Piece& piece) {
       return cuda("cuMemAlloc_v2", &piece.pointer, std::size_t{kChunk});
     },
     free_linear},
    {"managed",
     [](const Library& cuda, Piece& piece) {
       return cuda("cuMemAllocManaged", &piece.pointer, std::size_t{kChunk}, 1U);
     },
     free_linear},
    {"pitched",
     [](const Library& cuda, Piece& piece) {
       std::size_t pitch = 0;
       return cuda("cuMemAllocPitch_v2", &piece.pointer, &pitch, std::size_t{65'000},
                   std::size_t{1024}, 4U);
     },
     free_linear},
    {"stream-ordered",
     [](const Library& cuda, Piece& piece) {
       return cuda("cuMemAllocAsync", &piece.pointer, std::size_t{kChunk}, Handle{});
     },
     free_async},
    {"stream-ordered, per thread",
     [](const Library& cuda, Piece& piece) {
       return cuda("cuMemAllocAsync_ptsz", &piece.pointer, std::size_t{kChunk}, Handle{});
     },
     [](const Library& cuda, const Piece& piece) {
       return cuda("cuMemFreeAsync_ptsz", piece.pointer, Handle{});
     }},
    {"a pool of its own",
     [](const Library& cuda, Piece& piece) {
       cuda::PoolProperties properties{};
       properties.location = {cuda::kLocationDevice, 0};
       if (const auto bad = cuda("cuMemPoolCreate", &piece.handle, &properties);
           bad != cuda::kSuccess)
         return bad;
       return cuda("cuMemAllocFromPoolAsync", &piece.pointer, std::size_t{kChunk}, piece.handle,
                   Handle{});
     },
     [](const Library& cuda, const Piece& piece) {
       // First the pool, then what is in it: the charge must last as long as the memory.
       if (const auto bad = cuda("cuMemPoolDestroy", piece.handle); bad != cuda::kSuccess)
         return bad;
       return free_async(cuda, piece);
     }},
    {"by handle",
     [](const Library& cuda, Piece& piece) {
       cuda::AllocationProperties properties{};
       properties.type = 1;
       properties.location = {cuda::kLocationDevice, 0};
       return cuda("cuMemCreate", &piece.pointer, std::size_t{kChunk}, &properties, 0ULL);
     },
     [](const Library& cuda, const Piece& piece) { return cuda("cuMemRelease", piece.pointer); }},
    {"array",
     [](const Library& cuda, Piece& piece) {
       return cuda("cuArray3DCreate_v2", &piece.handle, &kArray);
     },
     [](const Library& cuda, const Piece& piece) { return cuda("cuArrayDestroy", piece.handle); }},
    {"mipmapped array",
     [](const Library& cuda, Piece& piece) {
       auto description = kArray;
       description.height = 2048;
       return cuda("cuMipmappedArrayCreate", &piece.handle, &description, 8U);
     },
     [](const Library& cuda, const Piece& piece) {
       return cuda("cuMipmappedArrayDestroy", piece.handle);
     }},
};

class Families : public Rig {};

TEST_F(Families, stop_at_the_limit_and_give_back) {
  for (const auto& family : kFamilies) {
    SCOPED_TRACE(family.name);
    run(limited("1GiB"), [&](const Library& cuda) {
      ASSERT_EQ(cuda.begin(), cuda::kSuccess);
      for (int round = 0; round < 2; ++round) {
        std::vector<Piece> pieces;
        auto result = cuda::kSuccess;
        while (pieces.size() < 100) {
          Piece piece;
          result = family.get(cuda, piece);
          if (result != cuda::kSuccess) break;
          pieces.push_back(piece);
          ASSERT_LE(physical(), kLimit + kContextBytes);
          ASSERT_GE(charge() + kContextBytes, physical());
        }
        EXPECT_EQ(result, cuda::kOutOfMemory);
        EXPECT_GE(pieces.size(), kLimit / kChunk * 3 / 4);
        for (const auto& piece : pieces) EXPECT_EQ(family.give(cuda, piece), cuda::kSuccess);
        EXPECT_EQ(cuda("cuCtxSynchronize"), cuda::kSuccess);
        EXPECT_EQ(charge(), 0U);
        EXPECT_EQ(physical(), kContextBytes);
      }
    });
  }
}

TEST_F(Families, memory_of_graphs_is_charged_while_the_driver_keeps_it) {
  run(limited("1GiB"), [&](const Library& cuda) {
    ASSERT_EQ(cuda.begin(), cuda::kSuccess);
    const auto launch = [&](std::size_t bytes, Handle& exec) {
      Handle graph = nullptr;
      Handle node = nullptr;
      cuda::MemAllocNode parameters{};
      parameters.bytes = bytes;
      EXPECT_EQ(cuda("cuGraphCreate", &graph, 0U), cuda::kSuccess);
      EXPECT_EQ(cuda("cuGraphAddMemAllocNode", &node, graph, static_cast<const Handle*>(nullptr),
                     std::size_t{0}, &parameters),
                cuda::kSuccess);
      EXPECT_EQ(cuda("cuGraphInstantiateWithFlags", &exec, graph, 0ULL), cuda::kSuccess);
      return cuda("cuGraphLaunch", exec, Handle{});
    };
    Handle small = nullptr;
    Handle large = nullptr;
    EXPECT_EQ(launch(kLimit / 2, small), cuda::kSuccess);
    EXPECT_EQ(charge(), kLimit / 2);
    EXPECT_EQ(launch(kLimit * 2, large), cuda::kOutOfMemory);
    EXPECT_LE(physical(), kLimit + kContextBytes);
    EXPECT_EQ(cuda("cuDeviceGraphMemTrim", 0), cuda::kSuccess);
    EXPECT_EQ(charge(), 0U);
  });
}

TEST_F(Families, a_mapping_keeps_its_handle) {
  run(limited("1GiB"), [&](const Library& cuda) {
    ASSERT_EQ(cuda.begin(), cuda::kSuccess);
    cuda::AllocationProperties properties{};
    properties.location = {cuda::kLocationDevice, 0};
    cuda::AllocationHandle handle = 0;
    cuda::AllocationHandle again = 0;
    DevicePtr pointer = 0;
    const std::size_t size = kChunk;
    ASSERT_EQ(cuda("cuMemCreate", &handle, size, &properties, 0ULL), cuda::kSuccess);
    ASSERT_EQ(cuda("cuMemAddressReserve", &pointer, size, std::size_t{0}, DevicePtr{0}, 0ULL),
              cuda::kSuccess);
    ASSERT_EQ(cuda("cuMemMap", pointer, size, std::size_t{0}, handle, 0ULL), cuda::kSuccess);
    ASSERT_EQ(cuda("cuMemRelease", handle), cuda::kSuccess);
    EXPECT_EQ(charge(), kChunk);
    ASSERT_EQ(cuda("cuMemRetainAllocationHandle", &again, reinterpret_cast<void*>(pointer)),
              cuda::kSuccess);
    ASSERT_EQ(cuda("cuMemUnmap", pointer, size), cuda::kSuccess);
    EXPECT_EQ(charge(), kChunk);
    ASSERT_EQ(cuda("cuMemRelease", again), cuda::kSuccess);
    EXPECT_EQ(charge(), 0U);
    EXPECT_EQ(cuda("cuMemRelease", again), cuda::kInvalidValue);
    EXPECT_EQ(charge(), 0U);
  });
}

TEST_F(Families, an_import_counts_when_it_is_mapped) {
  run(limited("100MiB"), [&](const Library& cuda) {
    ASSERT_EQ(cuda.begin(), cuda::kSuccess);
    cuda::AllocationProperties properties{};
    properties.location = {cuda::kLocationDevice, 0};
    cuda::AllocationHandle handle = 0;
    cuda::AllocationHandle imported = 0;
    int file = -1;
    const std::size_t size = kChunk;
    ASSERT_EQ(cuda("cuMemCreate", &handle, size, &properties, 0ULL), cuda::kSuccess);
    ASSERT_EQ(cuda("cuMemExportToShareableHandle", static_cast<void*>(&file), handle, 1, 0ULL),
              cuda::kSuccess);
    ASSERT_EQ(cuda("cuMemImportFromShareableHandle", &imported,
                   reinterpret_cast<void*>(static_cast<std::intptr_t>(file)), 1),
              cuda::kSuccess);
    const DevicePtr at = 0x1000'0000;
    EXPECT_EQ(cuda("cuMemMap", at, size, std::size_t{0}, imported, 0ULL), cuda::kOutOfMemory);
    ASSERT_EQ(cuda("cuMemRelease", handle), cuda::kSuccess);
    EXPECT_EQ(cuda("cuMemMap", at, size, std::size_t{0}, imported, 0ULL), cuda::kSuccess);
    EXPECT_EQ(charge(), kChunk);
    EXPECT_EQ(cuda("cuMemUnmap", at, size), cuda::kSuccess);
    EXPECT_EQ(charge(), 0U);
  });
}

TEST_F(Families, go_with_their_context) {
  run(limited("1GiB"), [&](const Library& cuda) {
    ASSERT_EQ(cuda.begin(), cuda::kSuccess);
    DevicePtr pointer = 0;
    Handle array = nullptr;
    Handle context = nullptr;
    EXPECT_EQ(cuda("cuMemAlloc_v2", &pointer, std::size_t{kChunk}), cuda::kSuccess);
    EXPECT_EQ(cuda("cuCtxCreate_v2", &context, 0U, 0), cuda::kSuccess);
    EXPECT_EQ(cuda("cuMemAlloc_v2", &pointer, std::size_t{kChunk}), cuda::kSuccess);
    EXPECT_EQ(cuda("cuArray3DCreate_v2", &array, &kArray), cuda::kSuccess);
    EXPECT_EQ(charge(), 3 * kChunk);
    EXPECT_EQ(cuda("cuCtxDestroy_v2", context), cuda::kSuccess);
    EXPECT_EQ(charge(), kChunk);
    EXPECT_EQ(cuda("cuDevicePrimaryCtxReset_v2", 0), cuda::kSuccess);
    EXPECT_EQ(charge(), 0U);
    EXPECT_EQ(physical(), 0U);
  });
}

TEST_F(Families, a_failed_free_keeps_the_charge) {
  run(limited("1GiB"), [&](const Library& cuda) {
    ASSERT_EQ(cuda.begin(), cuda::kSuccess);
    DevicePtr pointer = 0;
    EXPECT_EQ(cuda("cuMemAlloc_v2", &pointer, std::size_t{kChunk}), cuda::kSuccess);
    EXPECT_EQ(cuda("cuMemFree_v2", pointer + 4096), cuda::kInvalidValue);
    EXPECT_EQ(charge(), kChunk);
    EXPECT_EQ(cuda("cuMemFree_v2", pointer), cuda::kSuccess);
    EXPECT_EQ(cuda("cuMemFree_v2", pointer), cuda::kInvalidValue);
    EXPECT_EQ(charge(), 0U);
    EXPECT_EQ(cuda("cuMemAlloc_v2", &pointer, ~std::size_t{0} - 7), cuda::kOutOfMemory);
    EXPECT_EQ(charge(), 0U);
  });
}

TEST_F(Families, a_forked_child_has_an_account_row_of_its_own) {
  run(limited("1GiB"), [&](const Library& cuda) {
    ASSERT_EQ(cuda.begin(), cuda::kSuccess);
    DevicePtr pointer = 0;
    EXPECT_EQ(cuda("cuMemAlloc_v2", &pointer, std::size_t{kChunk}), cuda::kSuccess);
    const pid_t child = fork();
    if (child == 0) {
      EXPECT_EQ(cuda.begin(), cuda::kSuccess);
      EXPECT_EQ(cuda("cuMemAlloc_v2", &pointer, std::size_t{kChunk}), cuda::kSuccess);
      EXPECT_EQ(charge(), 2 * kChunk);
      _exit(HasFailure() ? 1 : 0);
    }
    expect_well(child);
    EXPECT_EQ(clear_the_dead(*map_accounts()), 1U);
    EXPECT_EQ(charge(), kChunk);
  });
}

TEST_F(Families, information_shows_the_limit) {
  run(limited("1GiB"), [&](const Library& cuda) {
    ASSERT_EQ(cuda.begin(), cuda::kSuccess);
    DevicePtr pointer = 0;
    std::size_t free = 0;
    std::size_t total = 0;
    EXPECT_EQ(cuda("cuMemAlloc_v2", &pointer, std::size_t{kChunk}), cuda::kSuccess);
    EXPECT_EQ(cuda("cuMemGetInfo_v2", &free, &total), cuda::kSuccess);
    EXPECT_EQ(total, kLimit);
    EXPECT_EQ(free, kLimit - kChunk);
    auto* nothing = static_cast<std::size_t*>(nullptr);
    EXPECT_EQ(cuda("cuMemGetInfo_v2", nothing, &total), cuda::kSuccess);
    EXPECT_EQ(cuda("cuMemGetInfo_v2", &free, nothing), cuda::kSuccess);
    EXPECT_EQ(cuda("cuDeviceTotalMem_v2", &total, 0), cuda::kSuccess);
    EXPECT_EQ(total, kLimit);
  });
}

}  // namespace
}  // namespace tessera::guard::test
