#include "fakes/cuda/area.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <time.h>
#include <unistd.h>

#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "catalog/gpu_model.h"
#include "fakes/nvml/processes.h"

namespace tessera::fakes {
namespace {

constexpr std::uint64_t kAreaMagic = 0x7e55'c0da'0000'0002;
constexpr std::uint64_t kSweepNs = 100'000'000;
constexpr unsigned kPidBits = 22;

std::uint64_t monotonic_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(now.tv_nsec);
}

std::uint32_t pid_of(std::uint64_t owner) {
  return static_cast<std::uint32_t>(owner & ((1U << kPidBits) - 1));
}
std::uint64_t owner_word(std::uint32_t pid) {
  const auto start = process_start(pid);
  return start == 0 ? 0 : start << kPidBits | pid;
}
bool lives(std::uint64_t owner) {
  return owner != 0 && owner_word(pid_of(owner)) == owner;
}

/// The area's lock; whoever finds it left by a killed process goes on with what is there.
class Locked {
 public:
  explicit Locked(CudaArea& area) : area_(area) {
    if (pthread_mutex_lock(&area_.lock) == EOWNERDEAD) pthread_mutex_consistent(&area_.lock);
  }
  Locked(const Locked&) = delete;
  Locked& operator=(const Locked&) = delete;
  ~Locked() { pthread_mutex_unlock(&area_.lock); }

 private:
  CudaArea& area_;
};

void clear(CudaProcess& process, std::uint64_t owner) {
  for (unsigned gpu = 0; gpu < kMostGpus; ++gpu) {
    process.used[gpu] = process.wanted[gpu] = 0;
    process.submitted_ns[gpu] = 0;
    process.done_ns[gpu] = 0;
  }
  process.owner = owner;
}

void sweep(CudaArea& area) {
  for (auto& process : area.processes)
    if (process.owner != 0 && !lives(process.owner)) clear(process, 0);
}

double backlog(const CudaProcess& process, unsigned gpu) {
  return static_cast<double>(process.submitted_ns[gpu]) - process.done_ns[gpu];
}

/// Lets the GPU work until now: all queues that have work get the same share of it.
void advance(CudaArea& area, unsigned gpu) {
  constexpr double kNothing = 0.5;
  const auto now = monotonic_ns();
  if (now - area.swept_ns > kSweepNs) {
    sweep(area);
    area.swept_ns = now;
  }
  auto span = static_cast<double>(now - area.advanced_ns[gpu]);
  area.advanced_ns[gpu] = now;
  while (span > kNothing) {
    double least = span;
    unsigned busy = 0;
    const unsigned rows = area.rows_used;
    for (unsigned i = 0; i < rows; ++i)
      if (backlog(area.processes[i], gpu) > kNothing) ++busy;
    if (busy == 0) return;
    for (unsigned i = 0; i < rows; ++i)
      if (const double left = backlog(area.processes[i], gpu); left > kNothing)
        least = std::min(least, left * busy);
    for (unsigned i = 0; i < rows; ++i)
      if (backlog(area.processes[i], gpu) > kNothing)
        area.processes[i].done_ns[gpu] += least / busy;
    span -= least;
  }
}

void make_area(CudaArea& area, const MachineFile& machine) {
  const auto catalog = catalog::Catalog::built_in();
  area.gpus = machine.header().gpus;
  const auto record = std::make_unique<GpuRecord>();
  for (unsigned gpu = 0; gpu < area.gpus; ++gpu) {
    if (!machine.read(gpu, *record)) continue;
    std::memcpy(area.uuid[gpu], record->uuid, sizeof(record->uuid));
    const auto model = catalog.find(record->model);
    if (!model) continue;
    const auto& known = catalog.model(*model);
    area.memory[gpu] = static_cast<std::uint64_t>(known.memory.count()) << 20;
    known.product.copy(area.name[gpu], sizeof(area.name[gpu]) - 1);
  }
  pthread_mutexattr_t kind;
  pthread_mutexattr_init(&kind);
  pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED);
  pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST);
  pthread_mutex_init(&area.lock, &kind);
  pthread_mutexattr_destroy(&kind);
  area.magic = kAreaMagic;
}

std::uint64_t sum_of(const CudaArea& area, unsigned gpu) {
  std::uint64_t sum = 0;
  for (unsigned i = 0; i < area.rows_used; ++i)
    sum += area.processes[i].used[gpu] + area.processes[i].wanted[gpu];
  return sum;
}

}  // namespace

CudaArea* map_cuda_area(const std::string& path) {
  // The machine's own lock orders who makes the area.
  const auto machine = MachineFile::open(path, MachineFile::Access::kChange);
  if (!machine) return nullptr;
  const auto at = static_cast<off_t>(cuda_area_at());
  struct stat status {};
  if (fstat(machine->file(), &status) != 0) return nullptr;
  const auto end = at + static_cast<off_t>(sizeof(CudaArea));
  if (status.st_size < end && ftruncate(machine->file(), end) != 0) return nullptr;
  void* mapped =
      mmap(nullptr, sizeof(CudaArea), PROT_READ | PROT_WRITE, MAP_SHARED, machine->file(), at);
  if (mapped == MAP_FAILED) return nullptr;
  auto* area = static_cast<CudaArea*>(mapped);
  if (area->magic != kAreaMagic) make_area(*area, *machine);
  // The mapping keeps the open file, and with it the lock, beyond its descriptor.
  flock(machine->file(), LOCK_UN);
  return area;
}

int claim_row(CudaArea& area) {
  const auto own = owner_word(static_cast<std::uint32_t>(getpid()));
  const Locked locked(area);
  sweep(area);
  for (unsigned i = 0; i < kMostCudaProcesses; ++i) {
    auto& process = area.processes[i];
    if (process.owner != 0 && process.owner != own) continue;
    clear(process, own);
    area.rows_used = std::max(area.rows_used.load(), i + 1);
    return static_cast<int>(i);
  }
  return -1;
}

bool take_memory(CudaArea& area, int row, unsigned gpu, std::uint64_t bytes) {
  auto& own = area.processes[row];
  if (bytes > area.memory[gpu]) return false;
  for (int look = 0; look < 2; ++look) {
    own.wanted[gpu].fetch_add(bytes);
    if (sum_of(area, gpu) <= area.memory[gpu]) {
      own.used[gpu].fetch_add(bytes);
      own.wanted[gpu].fetch_sub(bytes);
      return true;
    }
    own.wanted[gpu].fetch_sub(bytes);
    const Locked locked(area);
    sweep(area);
  }
  return false;
}

void give_memory(CudaArea& area, int row, unsigned gpu, std::uint64_t bytes) {
  area.processes[row].used[gpu].fetch_sub(bytes);
}

std::uint64_t memory_in_use(const CudaArea& area, unsigned gpu) {
  std::uint64_t sum = 0;
  for (const auto& process : area.processes)
    if (lives(process.owner)) sum += process.used[gpu];
  return sum;
}

std::uint64_t submit(CudaArea& area, int row, unsigned gpu, std::uint64_t duration_ns) {
  const Locked locked(area);
  advance(area, gpu);
  return area.processes[row].submitted_ns[gpu] += duration_ns;
}

std::uint64_t remaining_ns(CudaArea& area, int row, unsigned gpu, std::uint64_t ticket) {
  const Locked locked(area);
  advance(area, gpu);
  const double left = static_cast<double>(ticket) - area.processes[row].done_ns[gpu];
  return left < 1 ? 0 : static_cast<std::uint64_t>(left);
}

void show_cuda_processes(int file, unsigned gpu, GpuRecord& record) {
  for (auto& process : record.processes)
    if (process.phantom == kOfCuda) process = {};
  const auto at = static_cast<off_t>(cuda_area_at());
  struct stat status {};
  if (fstat(file, &status) != 0 || status.st_size < at + static_cast<off_t>(sizeof(CudaArea)))
    return;
  void* mapped = mmap(nullptr, sizeof(CudaArea), PROT_READ, MAP_SHARED, file, at);
  if (mapped == MAP_FAILED) return;
  const auto& area = *static_cast<const CudaArea*>(mapped);
  auto* place = std::begin(record.processes);
  for (unsigned i = 0; i < kMostCudaProcesses && area.magic == kAreaMagic; ++i) {
    const auto& process = area.processes[i];
    if (process.used[gpu] == 0 || !lives(process.owner)) continue;
    place = std::find_if(place, std::end(record.processes),
                         [](const ProcessRecord& each) { return each.pid == 0; });
    if (place == std::end(record.processes)) break;
    const auto pid = pid_of(process.owner);
    *place = {.pid = pid,
              .gpu_instance = abi::kAnyInstance,
              .compute_instance = abi::kAnyInstance,
              .phantom = kOfCuda,
              .process_start = process_start(pid),
              .memory_mib = process.used[gpu] >> 20,
              .since_us = now_us()};
  }
  munmap(mapped, sizeof(CudaArea));
}

}  // namespace tessera::fakes
