#pragma once

#include <atomic>
#include <cstdint>
#include <pthread.h>
#include <string>

#include "fakes/nvml/machine_file.h"

/// What the processes that use the stand-in libcuda.so.1 share: who has how much memory of each
/// pretended GPU, and whose kernels run. It lies in the machine's file behind NVML's records.
///
/// Memory: a process announces what it wants, looks at the sum, and takes it or not; nobody locks,
/// and what a killed process had is gone with it. Two that race for the last bytes may both be
/// refused.
///
/// Time: every process has one queue per GPU. Processes with work share the GPU equally, as
/// contexts do under plain time-slicing (a fluid model of it). Nothing runs in the background:
/// whoever looks first advances the model to now.
namespace tessera::fakes {

inline constexpr unsigned kMostCudaProcesses = 128;

struct CudaProcess {
  std::atomic<std::uint64_t> owner;  ///< start time and pid, as owner_word(); 0: free
  std::atomic<std::uint64_t> used[kMostGpus];
  std::atomic<std::uint64_t> wanted[kMostGpus];
  std::uint64_t submitted_ns[kMostGpus];  ///< under the lock, as all that follows
  double done_ns[kMostGpus];
};

struct CudaArea {
  std::atomic<std::uint64_t> magic;
  std::uint64_t memory[kMostGpus];  ///< bytes of each GPU
  char uuid[kMostGpus][48];
  char name[kMostGpus][64];
  std::uint32_t gpus;
  std::atomic<std::uint32_t> rows_used;
  pthread_mutex_t lock;  ///< robust: a killed process leaves it to the next
  std::uint64_t advanced_ns[kMostGpus];
  std::uint64_t swept_ns;
  CudaProcess processes[kMostCudaProcesses];
};

/// Maps the area of the machine in this file, made if it is not there yet. nullptr: no machine.
CudaArea* map_cuda_area(const std::string& path);

/// A row for this process; -1 where there is none.
int claim_row(CudaArea& area);
/// False: the GPU has not so much left.
bool take_memory(CudaArea& area, int row, unsigned gpu, std::uint64_t bytes);
void give_memory(CudaArea& area, int row, unsigned gpu, std::uint64_t bytes);
/// Of the processes that live.
std::uint64_t memory_in_use(const CudaArea& area, unsigned gpu);

/// Appends a kernel to the process's queue; its ticket, which is done when the queue has got that
/// far.
std::uint64_t submit(CudaArea& area, int row, unsigned gpu, std::uint64_t duration_ns);
/// How much of the GPU's time is still missing until this ticket is done.
std::uint64_t remaining_ns(CudaArea& area, int row, unsigned gpu, std::uint64_t ticket);

/// Puts the living processes of the area into a record, in place of those that were in it.
void show_cuda_processes(int file, unsigned gpu, GpuRecord& record);

}  // namespace tessera::fakes
