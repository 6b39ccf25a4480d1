#include <algorithm>
#include <filesystem>
#include <memory>
#include <unistd.h>

#include <fmt/core.h>

#include "app/commands.h"
#include "app/control_plane.h"
#include "app/output.h"
#include "app/table.h"
#include "app/terminal.h"
#include "device/nvml/drift.h"
#include "device/nvml/driver.h"

/// `tessera doctor`: looks at this machine and says what stands in the way of offering its GPUs.
/// Nothing is changed.
namespace tessera::app {
namespace {

using device::Condition;
using device::nvml::NvmlDriver;
using wire::Json;

struct DoctorOptions {
  std::string library = "libnvidia-ml.so.1";
  std::string data = "tessera-agent";
  Format format = Format::kTable;
};

/// "failed": these GPUs cannot be offered. "warning": they can, with a drawback.
class Findings {
 public:
  void fine(const std::string& check, const std::string& detail) { add(check, "ok", detail, {}); }
  void warn(const std::string& check, const std::string& detail, const std::string& todo) {
    add(check, "warning", detail, todo);
  }
  void fail(const std::string& check, const std::string& detail, const std::string& todo) {
    add(check, "failed", detail, todo);
  }

  const Json& json() const { return list_; }
  bool all_fine() const {
    return std::ranges::all_of(list_, [](const Json& each) { return each["verdict"] == "ok"; });
  }

 private:
  void add(const std::string& check, const char* verdict, const std::string& detail,
           const std::string& todo) {
    list_.push_back({{"check", check}, {"verdict", verdict}, {"detail", detail}, {"todo", todo}});
  }
  Json list_ = Json::array();
};

void look_at_host(Findings& findings) {
  if (geteuid() == 0)
    findings.fine("user", "root");
  else
    findings.warn("user", "not root: MIG instances can be neither made nor destroyed",
                  "run the agent as root");
  std::error_code error;
  if (std::filesystem::exists("/sys/fs/cgroup/cgroup.controllers", error))
    findings.fine("cgroups", "version 2");
  else
    findings.warn("cgroups", "version 2 is not mounted: a process cannot be told to be a lease's",
                  "boot with systemd.unified_cgroup_hierarchy=1");
}

void look_at_instances(const device::GpuState& gpu, const std::string& name, Findings& findings) {
  for (const auto& instance : gpu.instances)
    if (instance.foreign)
      findings.fail(name + " owner", instance.device + " was not made by this agent",
                    "destroy it, or start the agent with --adopt");
  if (gpu.mig_current != gpu.mig_pending)
    findings.warn(name + " MIG mode", "a change waits for the next reset of the GPU",
                  "reset the GPU (nvidia-smi --gpu-reset) while nothing uses it, or reboot");
  else
    findings.fine(name + " MIG mode",
                  gpu.mig_current ? fmt::format("on, {} instances", gpu.instances.size()) : "off");
}

void look_at_gpu(const device::GpuState& gpu, const catalog::Catalog& catalog,
                 const NvmlDriver& driver, Findings& findings) {
  const auto name = fmt::format("GPU {}", gpu.number);
  if (gpu.condition != Condition::kAnswering) {
    findings.fail(name, fmt::format("{} is {}", gpu.uuid, to_string(gpu.condition)),
                  "see dmesg; a reset or reboot may be due");
    return;
  }
  const auto index = catalog.find_pci(gpu.pci_id);
  if (!index) {
    findings.fail(name, fmt::format("the catalog does not know PCI id 0x{:08X}", gpu.pci_id),
                  "add it to data/gpu_models.json");
    return;
  }
  const auto& model = catalog.model(*index);
  findings.fine(name, fmt::format("{} {}", model.key, gpu.uuid));
  look_at_instances(gpu, name, findings);
  for (const auto& finding : drift_from(model, driver.library(), gpu.number))
    findings.warn(name + " profiles", finding, "report it: the catalog should say the same");
}

Findings examine(const DoctorOptions& options) {
  Findings findings;
  look_at_host(findings);
  auto driver = NvmlDriver::open(
      {.library = options.library, .ledger = options.data + "/nvml-instances", .read_only = true},
      std::make_shared<device::nvml::LinuxProcesses>(
          device::nvml::EndingPolicy{.strangers = false}),
      std::make_shared<SystemClock>());
  if (!driver) {
    findings.fail("driver", driver.error().what, driver.error().todo);
    return findings;
  }
  findings.fine("driver", (*driver)->library().driver_version());
  const auto catalog = catalog::Catalog::built_in();
  for (const auto& gpu : (*driver)->observe().gpus) look_at_gpu(gpu, catalog, **driver, findings);
  std::string offers;
  for (const auto technology : (*driver)->capabilities().technologies)
    offers += (offers.empty() ? "" : ", ") + std::string(to_string(technology));
  findings.fine("offers", offers);
  return findings;
}

Colour colour_of_verdict(std::string_view verdict) {
  if (verdict == "ok") return Colour::kGreen;
  return verdict == "warning" ? Colour::kYellow : Colour::kRed;
}

int doctor(const DoctorOptions& options) {
  const auto findings = examine(options);
  if (options.format == Format::kJson || options.format == Format::kYaml) {
    print_object({{"kind", "NodeExamination"}, {"findings", findings.json()}}, options.format);
  } else {
    Table table({"CHECK", "VERDICT", "DETAIL"});
    for (const auto& each : findings.json()) {
      const std::string verdict = each["verdict"];
      table.add({each["check"], paint(verdict, colour_of_verdict(verdict)), each["detail"]});
    }
    fmt::print("{}", table.text());
    // Apart from the table, which would not fit any terminal with them.
    for (const auto& each : findings.json())
      if (!text_at(each, "todo").empty())
        fmt::print("\n{}\n",
                   wrapped(text_at(each, "check") + ": " + text_at(each, "todo"), text_width(), 2));
  }
  return findings.all_fine() ? kDone : kRefused;
}

}  // namespace

void add_doctor_command(Program& program) {
  const auto options = std::make_shared<DoctorOptions>();
  auto* command = program.cli.add_subcommand(
      "doctor", "Look at this machine: can its GPUs be offered? Exit code 1: not all");
  command->group(kRunning);
  command->add_option("--nvml", options->library, "By path or name (default: libnvidia-ml.so.1)")
      ->envname("TESSERA_NVML")
      ->type_name("LIBRARY");
  command
      ->add_option("--data", options->data,
                   "Folder of what the agent remembers (default: tessera-agent)")
      ->type_name("FOLDER");
  add_format_option(*command, options->format);
  command->callback(
      [&program, options] { program.chosen = [options] { return doctor(*options); }; });
}

}  // namespace tessera::app
