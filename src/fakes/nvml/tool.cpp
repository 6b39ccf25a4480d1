// tessera-fake-gpus: sets up the machine that the stand-in libnvidia-ml.so.1 pretends, and lets
// things happen to it.

#include <csignal>
#include <cstdio>
#include <iostream>
#include <memory>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <sys/prctl.h>

#include "catalog/gpu_model.h"
#include "fakes/nvml/abi_layout.h"
#include "fakes/nvml/processes.h"
#include "fakes/nvml/workshop.h"

namespace {

using namespace tessera;
using fakes::GpuRecord;
using Json = nlohmann::ordered_json;

int report(const base::Error& error) {
  std::cerr << "tessera-fake-gpus: " << base::to_string(error) << "\n";
  return 1;
}
template <class T>
int finish(const base::Result<T>& done) {
  return done ? 0 : report(done.error());
}

Json json_of(const GpuRecord& gpu, const catalog::GpuModel& model, unsigned index) {
  Json instances = Json::array();
  for (const auto& each : gpu.instances) {
    if (each.serial == 0) continue;
    const auto& profile = model.profiles.at(each.profile);
    Json devices = Json::array();
    for (const auto& compute : each.compute)
      if (compute.serial != 0)
        devices.push_back({{"id", compute.id}, {"slices", compute.slices}, {"uuid", compute.uuid}});
    const auto use = fakes::use_of(gpu, each.id, fakes::now_us());
    instances.push_back({{"id", each.id},
                         {"profile", profile.name},
                         {"start", each.start},
                         {"size", profile.memory_slices},
                         {"memoryUsedMiB", use.memory_mib},
                         {"devices", devices}});
  }
  Json processes = Json::array();
  for (const auto& each : gpu.processes) {
    if (each.pid == 0) continue;
    Json process = {{"pid", each.pid}, {"memoryMiB", each.memory_mib}, {"load", each.load_percent}};
    if (each.gpu_instance != fakes::abi::kAnyInstance) process["gi"] = each.gpu_instance;
    processes.push_back(process);
  }
  return {{"gpu", index},
          {"model", gpu.model},
          {"uuid", gpu.uuid},
          {"mig", gpu.mig_current != 0},
          {"migPending", gpu.mig_pending != 0},
          {"lost", gpu.faults.lost != 0},
          {"hangs", gpu.faults.hang != 0},
          {"instances", instances},
          {"processes", processes}};
}

int show(const std::string& path, bool json) {
  const auto machine = fakes::look_at(path);
  if (!machine) return report(machine.error());
  const auto catalog = catalog::Catalog::built_in();
  Json gpus = Json::array();
  for (unsigned i = 0; i < machine->header.gpus; ++i) {
    const auto model = catalog.find(machine->gpus[i].model);
    if (model) gpus.push_back(json_of(machine->gpus[i], catalog.model(*model), i));
  }
  if (json) {
    std::cout << Json({{"driver", machine->header.driver_version}, {"gpus", gpus}}).dump(2) << "\n";
    return 0;
  }
  for (const auto& gpu : gpus) {
    std::cout << "GPU " << gpu["gpu"] << "  " << gpu["model"].get<std::string>() << "  "
              << gpu["uuid"].get<std::string>() << (gpu["mig"] ? "  MIG" : "") << "\n";
    for (const auto& each : gpu["instances"])
      std::cout << "  instance " << each["id"] << "  " << each["profile"].get<std::string>()
                << "  at " << each["start"] << ":" << each["size"] << "  "
                << (each["devices"].empty() ? "without a device"
                                            : each["devices"][0]["uuid"].get<std::string>())
                << "\n";
    for (const auto& each : gpu["processes"]) std::cout << "  process " << each.dump() << "\n";
  }
  return 0;
}

int print_abi() {
  Json structs = Json::object();
  for (const auto& each : fakes::struct_layouts())
    structs[each.name] = {{"size", each.size}, {"offsets", each.offsets}};
  Json numbers = Json::object();
  for (const auto& each : fakes::constants()) numbers[each.name] = each.value;
  std::cout << Json({{"structs", structs}, {"constants", numbers}}).dump() << "\n";
  return 0;
}

/// A process that does nothing but live, in a session of its own, until it is told to end.
pid_t start_idler(bool stubborn) {
  const pid_t child = fork();
  if (child != 0) return child;
  setsid();
  prctl(PR_SET_NAME, "fake-gpu-user");
  if (stubborn) std::signal(SIGTERM, SIG_IGN);
  for (const int file : {0, 1, 2}) close(file);
  for (;;) pause();
}

struct StartOptions {
  fakes::ProcessOrder order;
  std::string memory = "1GiB";
  bool phantom = false;
  bool stubborn = false;
};

int start_process(const std::string& path, StartOptions options) {
  const auto memory = base::parse_memory(options.memory);
  if (!memory) return report(memory.error());
  options.order.memory = *memory;
  pid_t idler = 0;
  if (!options.phantom && !options.order.pid) {
    idler = start_idler(options.stubborn);
    if (idler < 0) return report({base::Reason::kUnavailable, "cannot start a process", {}, {}});
    options.order.pid = static_cast<std::uint32_t>(idler);
  }
  const auto pid = fakes::place_process(path, options.order);
  if (!pid) {
    if (idler > 0) kill(idler, SIGKILL);
    return report(pid.error());
  }
  std::cout << *pid << "\n";
  return 0;
}

int stop_process(const std::string& path, std::uint32_t pid) {
  const auto machine = fakes::look_at(path);
  if (!machine) return report(machine.error());
  const fakes::ProcessRecord* found = nullptr;
  for (const auto& gpu : machine->gpus)
    for (const auto& process : gpu.processes)
      if (process.pid == pid) found = &process;
  if (found == nullptr || pid == 0)
    return report({base::Reason::kUnknownObject,
                   "no process " + std::to_string(pid) + " runs on a pretended GPU",
                   {},
                   "see tessera-fake-gpus show"});
  if (found->phantom == 0) kill(static_cast<pid_t>(pid), SIGKILL);
  // A real one may be gone from the machine already, because it is dead.
  return finish(fakes::remove_process(path, pid));
}

struct Options {
  std::string state;
  std::string model = "H100-80GB-SXM5";
  unsigned gpus = 1;
  fakes::MachineOrder machine;
  StartOptions start;
  std::uint32_t pid = 0;
  fakes::FaultOrder fault;
  std::string output = "text";
};

void add_process_commands(CLI::App& cli, Options& options, int& result) {
  auto* process = cli.add_subcommand("process", "Processes that use the GPUs");
  process->require_subcommand(1);
  auto* start = process->add_subcommand("start", "Start one that stays until it is stopped");
  start->add_option("--gpu", options.start.order.gpu, "Number of the GPU")->capture_default_str();
  start->add_option("--gi", options.start.order.gpu_instance, "Id of the GPU instance");
  start->add_option("--memory", options.start.memory, "What it holds")->capture_default_str();
  start->add_option("--load", options.start.order.load_percent, "Per cent of its slice");
  start->add_option("--pid", options.start.order.pid, "Take this running process instead");
  start->add_flag("--phantom", options.start.phantom, "Seen by NVML alone; no signal ends it");
  start->add_flag("--stubborn", options.start.stubborn, "Does not end when asked to (SIGTERM)");
  start->callback([&] { result = start_process(options.state, options.start); });
  auto* stop = process->add_subcommand("stop", "End one");
  stop->add_option("pid", options.pid)->required();
  stop->callback([&] { result = stop_process(options.state, options.pid); });
}

void add_fault_command(CLI::App& cli, Options& options, int& result) {
  std::string names = "Faults:";
  for (const auto& [name, meaning] : fakes::fault_names())
    names += "\n  " + std::string(name) + ": " + std::string(meaning);
  auto* fault = cli.add_subcommand("fault", "Let something break");
  fault->footer(names);
  fault->add_option("name", options.fault.name)->required();
  fault->add_option("--gpu", options.fault.gpu, "Number of the GPU")->capture_default_str();
  fault->add_option("--gi", options.fault.gpu_instance, "Id of the GPU instance");
  fault->add_option("--value", options.fault.value, "How many, which, how much; 0 ends it")
      ->capture_default_str();
  fault->callback([&] { result = finish(fakes::inject(options.state, options.fault)); });
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App cli{"A machine with GPUs that are not there, for programs that use NVML."};
  cli.require_subcommand(1);
  Options options;
  int result = 0;
  cli.add_option("--state", options.state, "The machine's file (else TESSERA_FAKE_GPUS)")
      ->envname("TESSERA_FAKE_GPUS");

  auto* init = cli.add_subcommand("init", "Make a machine, in place of the one in the file");
  init->add_option("--model", options.model, "Key of data/gpu_models.json")->capture_default_str();
  init->add_option("--gpus", options.gpus, "How many")->capture_default_str();
  init->add_option("--driver", options.machine.driver_version)->capture_default_str();
  init->add_option("--seed", options.machine.seed, "Of the UUIDs")->capture_default_str();
  init->add_option("--latency", options.machine.latency_ms, "Milliseconds that a change takes");
  init->add_flag("--mig", options.machine.mig, "MIG mode on");
  init->callback([&] {
    options.machine.models.assign(options.gpus, options.model);
    result = finish(fakes::make_machine(options.state, options.machine));
  });
  add_process_commands(cli, options, result);
  add_fault_command(cli, options, result);
  cli.add_subcommand("reboot", "Start the machine anew")->callback([&] {
    result = finish(fakes::reboot(options.state));
  });
  auto* show_command = cli.add_subcommand("show", "What the machine is at this moment");
  show_command->add_option("-o,--output", options.output)
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
  show_command->callback([&] { result = show(options.state, options.output == "json"); });
  cli.add_subcommand("abi", "Print the layout of NVML's structs as declared here")->callback([&] {
    result = print_abi();
  });

  CLI11_PARSE(cli, argc, argv);
  return result;
}
