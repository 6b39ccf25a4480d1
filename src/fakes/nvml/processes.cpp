#include "fakes/nvml/processes.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace tessera::fakes {
namespace {

std::uint64_t work_of(const ProcessRecord& process, std::uint64_t now) {
  return now <= process.since_us ? 0 : (now - process.since_us) * process.load_percent / 100;
}

/// What the kernel said of a process a moment ago.
struct Known {
  std::uint32_t pid = 0;
  std::uint64_t start = 0;
  std::uint64_t at_us = 0;
};
// Whoever looks at a machine makes dozens of calls in a row, each of which needs to know who lives,
// and /proc takes longer to say so than the rest of the call. A driver, too, learns of an end a
// moment after it.
constexpr std::uint64_t kTrustedUs = 5'000;
thread_local std::array<Known, 64> recently;

std::uint64_t recent_start(std::uint32_t pid, std::uint64_t now) {
  auto& known = recently[pid % recently.size()];
  if (known.pid != pid || now < known.at_us || now - known.at_us > kTrustedUs)
    known = {pid, process_start(pid), now};
  return known.start;
}

}  // namespace

std::uint64_t now_us() {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(
                                        std::chrono::system_clock::now().time_since_epoch())
                                        .count());
}

std::uint64_t process_start(std::uint32_t pid) {
  char path[32];
  std::snprintf(path, sizeof(path), "/proc/%u/stat", pid);
  std::FILE* file = std::fopen(path, "re");
  if (file == nullptr) return 0;
  char text[512] = {};
  const auto length = std::fread(text, 1, sizeof(text) - 1, file);
  std::fclose(file);
  text[length] = '\0';
  // "PID (NAME) STATE …": the name may hold anything, so count from its closing bracket. The start
  // is the 22nd field, the 20th after the name.
  const char* at = std::strrchr(text, ')');
  if (at == nullptr || at[1] == '\0' || at[2] == 'Z' || at[2] == 'X') return 0;
  for (int field = 0; field < 20; ++field) {
    at = std::strchr(at + 1, ' ');
    if (at == nullptr) return 0;
  }
  return std::strtoull(at + 1, nullptr, 10);
}

void forget(GpuRecord& gpu, ProcessRecord& process, std::uint64_t now) {
  auto* instance = find_instance(gpu, process.gpu_instance);
  (instance != nullptr ? instance->busy_us : gpu.busy_us) += work_of(process, now);
  process = {};
}

void forget_the_dead(GpuRecord& gpu, std::uint64_t now) {
  for (auto& process : gpu.processes)
    if (process.pid != 0 && process.phantom == 0 &&
        recent_start(process.pid, now) != process.process_start)
      forget(gpu, process, now);
}

Use use_of(const GpuRecord& gpu, unsigned gpu_instance, std::uint64_t now) {
  const auto* instance = find_instance(gpu, gpu_instance);
  Use use{instance != nullptr ? instance->leftover_mib : gpu.leftover_mib,
          instance != nullptr ? instance->busy_us : gpu.busy_us, 0};
  for (const auto& process : gpu.processes) {
    if (process.pid == 0 || process.gpu_instance != gpu_instance) continue;
    use.memory_mib += process.memory_mib;
    use.busy_us += work_of(process, now);
    use.load_percent += process.load_percent;
  }
  use.load_percent = std::min(use.load_percent, 100U);
  return use;
}

InstanceRecord* find_instance(GpuRecord& gpu, unsigned id) {
  const auto found = std::ranges::find_if(
      gpu.instances, [&](const auto& each) { return each.serial != 0 && each.id == id; });
  return found == std::end(gpu.instances) ? nullptr : found;
}

const InstanceRecord* find_instance(const GpuRecord& gpu, unsigned id) {
  return find_instance(const_cast<GpuRecord&>(gpu), id);
}

}  // namespace tessera::fakes
