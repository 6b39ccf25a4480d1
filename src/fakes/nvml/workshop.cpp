#include "fakes/nvml/workshop.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <type_traits>

#include "base/random.h"
#include "catalog/gpu_model.h"
#include "device/simulated/synthetic.h"
#include "fakes/nvml/processes.h"

namespace tessera::fakes {
namespace {

using base::fail;
using base::Reason;

constexpr std::uint32_t kFirstPhantom = 5'000'000;  // above every number the kernel gives

template <std::size_t kSize>
void put_text(char (&to)[kSize], std::string_view text) {
  std::memset(to, 0, kSize);
  std::memcpy(to, text.data(), std::min(text.size(), kSize - 1));
}

base::Error not_a_machine(const std::string& path) {
  return {Reason::kUnavailable, "there is no pretended machine", path,
          "make one: tessera-fake-gpus --state FILE init --model H100-80GB-SXM5 --gpus 8"};
}

/// Runs `change(GpuRecord&) -> Result<T>` under the lock and keeps what it did, if it succeeded.
template <class Change>
auto change_gpu(const std::string& path, unsigned gpu, Change change)
    -> std::invoke_result_t<Change, GpuRecord&> {
  const auto machine = MachineFile::open(path, MachineFile::Access::kChange);
  if (!machine) return std::unexpected(not_a_machine(path));
  GpuRecord record;
  if (gpu >= machine->header().gpus || !machine->read(gpu, record))
    return fail(Reason::kUnknownObject, "the machine has no GPU " + std::to_string(gpu), "--gpu",
                "it has " + std::to_string(machine->header().gpus) + ", counted from 0");
  forget_the_dead(record, now_us());
  auto done = change(record);
  if (done && !machine->write(gpu, record)) return std::unexpected(not_a_machine(path));
  return done;
}

base::Result<void> set_init_result(const std::string& path, abi::Return result) {
  const auto machine = MachineFile::open(path, MachineFile::Access::kChange);
  if (!machine) return std::unexpected(not_a_machine(path));
  MachineHeader header = machine->header();
  header.init_result = result;
  if (!machine->write_header(header)) return std::unexpected(not_a_machine(path));
  return {};
}

void raise_xid(GpuRecord& gpu, std::uint32_t number) {
  gpu.xids[gpu.xid_count % kMostXids] = number;
  ++gpu.xid_count;
}

/// Faults that are a number in the record: a count of calls, or not 0 while it lasts.
struct Counted {
  std::string_view name, meaning;
  std::uint32_t Faults::*counter;
};
constexpr std::array kCounted = {
    Counted{"lost", "fallen off the bus, with Xid 79; --value 0 brings it back", &Faults::lost},
    Counted{"hang", "calls on the GPU do not return; --value 0 lets them", &Faults::hang},
    Counted{"no-permission", "changes are refused as if not root; --value 0 ends it",
            &Faults::no_permission},
    Counted{"create", "creating a GPU instance fails VALUE times", &Faults::create},
    Counted{"create-compute", "creating a compute instance fails VALUE times",
            &Faults::create_compute},
    Counted{"destroy", "destroying a GPU instance fails VALUE times", &Faults::destroy},
    Counted{"destroy-compute", "destroying a compute instance fails VALUE times",
            &Faults::destroy_compute},
    Counted{"mode", "a change of MIG mode fails VALUE times", &Faults::mode},
};
constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kOthers = {{
    {"xid", "an error with the number VALUE is raised"},
    {"leftover", "VALUE MiB read as used without a process, on --gi or on the GPU"},
    {"ecc", "VALUE uncorrected memory errors"},
    {"driver", "nvmlInit answers VALUE: 9 driver not loaded, 18 version mismatch, 0 success"},
}};

base::Result<void> apply_other(GpuRecord& gpu, const FaultOrder& order) {
  if (order.name == "xid") {
    raise_xid(gpu, order.value);
  } else if (order.name == "ecc") {
    gpu.uncorrected_ecc += order.value;
  } else if (order.gpu_instance) {
    auto* instance = find_instance(gpu, *order.gpu_instance);
    if (instance == nullptr) return fail(Reason::kUnknownObject, "no such GPU instance", "--gi");
    instance->leftover_mib = order.value;
  } else {
    gpu.leftover_mib = order.value;
  }
  return {};
}

std::uint32_t next_phantom(const GpuRecord& gpu, unsigned index) {
  std::uint32_t pid = kFirstPhantom + index * 100'000;
  for (const auto& process : gpu.processes)
    if (process.phantom != 0) pid = std::max(pid, process.pid + 1);
  return pid;
}

}  // namespace

base::Result<void> make_machine(const std::string& path, const MachineOrder& order) {
  if (order.models.empty() || order.models.size() > kMostGpus)
    return fail(Reason::kInvalidDocument, "a machine has 1 to 16 GPUs", "--gpus");
  const auto catalog = catalog::Catalog::built_in();
  base::SeededRandom random(order.seed);
  MachineHeader header{};
  header.gpus = static_cast<std::uint32_t>(order.models.size());
  header.seed = order.seed;
  header.latency_ms = order.latency_ms;
  put_text(header.driver_version, order.driver_version);
  const auto gpus = std::make_unique<GpuRecord[]>(kMostGpus);
  for (std::size_t i = 0; i < order.models.size(); ++i) {
    const auto model = catalog.find(order.models[i]);
    if (!model)
      return fail(Reason::kUnknownObject, "there is no GPU model \"" + order.models[i] + "\"",
                  "--model", "use a key of data/gpu_models.json, e.g. H100-80GB-SXM5");
    GpuRecord& gpu = gpus[i];
    put_text(gpu.model, catalog.model(*model).key);
    put_text(gpu.uuid, device::simulated::new_uuid("GPU-", random));
    gpu.persistence = 1;
    const bool mig = order.mig && catalog.model(*model).mig_capable();
    gpu.mig_current = gpu.mig_pending = mig ? 1 : 0;
  }
  if (!MachineFile::create(path, header, gpus.get()))
    return fail(Reason::kUnavailable, std::string("cannot write: ") + std::strerror(errno), path,
                "name a file in a folder that you may write to");
  return {};
}

base::Result<std::uint32_t> place_process(const std::string& path, const ProcessOrder& order) {
  return change_gpu(path, order.gpu, [&](GpuRecord& gpu) -> base::Result<std::uint32_t> {
    ProcessRecord process{};
    process.gpu_instance = process.compute_instance = abi::kAnyInstance;
    if (order.gpu_instance) {
      const auto* instance = find_instance(gpu, *order.gpu_instance);
      if (instance == nullptr || instance->compute[0].serial == 0)
        return fail(Reason::kUnknownObject, "no such GPU instance, or nothing computes on it",
                    "--gi", "see tessera-fake-gpus show");
      process.gpu_instance = instance->id;
      process.compute_instance = instance->compute[0].id;
    } else if (gpu.mig_current != 0) {
      return fail(Reason::kWrongState, "MIG mode is on: a process runs on an instance", "--gi",
                  "name the GPU instance; see tessera-fake-gpus show");
    }
    process.kind = order.kind;
    process.load_percent = std::min(order.load_percent, 100U);
    process.memory_mib =
        static_cast<std::uint64_t>(std::max<std::int64_t>(order.memory.count(), 0));
    process.since_us = now_us();
    process.phantom = order.pid ? 0 : 1;
    process.pid = order.pid.value_or(next_phantom(gpu, order.gpu));
    process.process_start = order.pid ? process_start(*order.pid) : 0;
    if (order.pid && process.process_start == 0)
      return fail(Reason::kUnknownObject, "there is no process " + std::to_string(*order.pid));
    const auto free = std::ranges::find(gpu.processes, 0U, &ProcessRecord::pid);
    if (free == std::end(gpu.processes))
      return fail(Reason::kConflict, "the GPU has as many processes as it can");
    *free = process;
    return process.pid;
  });
}

base::Result<bool> remove_process(const std::string& path, std::uint32_t pid) {
  const auto machine = look_at(path);
  if (!machine) return std::unexpected(machine.error());
  bool found = false;
  for (unsigned i = 0; i < machine->header.gpus; ++i) {
    const auto done = change_gpu(path, i, [&](GpuRecord& gpu) -> base::Result<bool> {
      bool here = false;
      for (auto& process : gpu.processes) {
        if (pid == 0 || process.pid != pid) continue;
        forget(gpu, process, now_us());
        here = true;
      }
      return here;
    });
    if (!done) return done;
    found |= *done;
  }
  return found;
}

base::Result<void> inject(const std::string& path, const FaultOrder& order) {
  if (order.name == "driver") return set_init_result(path, static_cast<abi::Return>(order.value));
  return change_gpu(path, order.gpu, [&](GpuRecord& gpu) -> base::Result<void> {
    const auto counted = std::ranges::find(kCounted, order.name, &Counted::name);
    if (counted != kCounted.end()) {
      gpu.faults.*counted->counter = order.value;
      if (order.name == "lost" && order.value != 0) raise_xid(gpu, 79);
      return {};
    }
    for (const auto& [name, meaning] : kOthers)
      if (name == order.name) return apply_other(gpu, order);
    return fail(Reason::kUnknownObject, "there is no fault \"" + order.name + "\"", "fault",
                "tessera-fake-gpus fault --help lists them");
  });
}

std::vector<std::pair<std::string_view, std::string_view>> fault_names() {
  std::vector<std::pair<std::string_view, std::string_view>> names;
  for (const auto& each : kCounted) names.emplace_back(each.name, each.meaning);
  names.insert(names.end(), kOthers.begin(), kOthers.end());
  return names;
}

base::Result<void> reboot(const std::string& path) {
  const auto machine = look_at(path);
  if (!machine) return std::unexpected(machine.error());
  const auto catalog = catalog::Catalog::built_in();
  for (unsigned i = 0; i < machine->header.gpus; ++i) {
    const auto done = change_gpu(path, i, [&](GpuRecord& gpu) -> base::Result<void> {
      const auto model = catalog.find(gpu.model);
      const bool remembers = model && catalog.model(*model).architecture == "Ampere";
      if (!remembers) gpu.mig_pending = 0;
      gpu.mig_current = gpu.mig_pending;
      for (auto& instance : gpu.instances) instance = {};
      for (auto& process : gpu.processes) process = {};
      gpu.leftover_mib = 0;
      gpu.faults = {};
      return {};
    });
    if (!done) return done;
  }
  return {};
}

base::Result<Snapshot> look_at(const std::string& path) {
  const auto machine = MachineFile::open(path, MachineFile::Access::kRead);
  if (!machine) return std::unexpected(not_a_machine(path));
  Snapshot snapshot{machine->header(), {}};
  snapshot.gpus.resize(snapshot.header.gpus);
  for (unsigned i = 0; i < snapshot.header.gpus; ++i) {
    if (!machine->read(i, snapshot.gpus[i])) return std::unexpected(not_a_machine(path));
    forget_the_dead(snapshot.gpus[i], now_us());
  }
  return snapshot;
}

}  // namespace tessera::fakes
