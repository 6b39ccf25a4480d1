#pragma once

#include <cstdint>

#include "fakes/nvml/machine_file.h"

/// The processes on a pretended GPU: which of them still live, and how much work they have done.
namespace tessera::fakes {

std::uint64_t now_us();
/// When process `pid` began, in the kernel's own count; 0 where there is none, or a dead one.
std::uint64_t process_start(std::uint32_t pid);

/// Takes out of the record, not out of the file, the processes that have ended since it was
/// written, 5 ms ago or earlier. What they did until now stays counted.
void forget_the_dead(GpuRecord& gpu, std::uint64_t now);
void forget(GpuRecord& gpu, ProcessRecord& process, std::uint64_t now);

/// Memory and busy time of one GPU instance; of the undivided part with kAnyInstance.
struct Use {
  std::uint64_t memory_mib = 0;
  std::uint64_t busy_us = 0;  ///< at full load, since the instance exists; only grows
  unsigned load_percent = 0;  ///< at this moment, at most 100
};
Use use_of(const GpuRecord& gpu, unsigned gpu_instance, std::uint64_t now);

InstanceRecord* find_instance(GpuRecord& gpu, unsigned id);
const InstanceRecord* find_instance(const GpuRecord& gpu, unsigned id);

}  // namespace tessera::fakes
