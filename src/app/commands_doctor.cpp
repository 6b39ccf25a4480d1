#include <memory>

#include <fmt/core.h>

#include "app/commands.h"
#include "app/control_plane.h"
#include "app/doctor_host.h"
#include "app/output.h"
#include "app/table.h"
#include "app/terminal.h"
#include "device/nvml/care.h"
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
  std::string root;
  Format format = Format::kTable;
};

void look_at_care(const device::GpuState& gpu, const std::string& name, const NvmlDriver& driver,
                  Findings& findings) {
  const auto care = care_of(driver.library(), gpu.number);
  if (care.persistence && !*care.persistence)
    findings.warn(name + " persistence",
                  "off: the driver unloads while nobody uses the GPU, and MIG instances of some "
                  "models with it",
                  "enable nvidia-persistenced, or nvidia-smi -pm 1");
  else if (care.persistence)
    findings.fine(name + " persistence", "on");
  if (care.ecc && !*care.ecc)
    findings.warn(name + " ECC", "off: memory errors go unnoticed into tenants' results",
                  "nvidia-smi -e 1, then reboot");
  else if (care.ecc && care.ecc_after_boot != care.ecc)
    findings.warn(name + " ECC", "is off from the next boot on", "nvidia-smi -e 1");
  else if (care.uncorrected.value_or(0) > 0)
    findings.warn(
        name + " ECC",
        fmt::format("{} uncorrected memory errors since the driver was loaded", *care.uncorrected),
        "reset the GPU while nothing uses it; if they come back, exchange it");
  else if (care.ecc)
    findings.fine(name + " ECC", "on, no uncorrected errors");
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
  look_at_care(gpu, name, driver, findings);
  if (!gpu.xids.empty())
    findings.warn(name + " Xid", fmt::format("the last error was Xid {}", gpu.xids.back()),
                  "see dmesg and NVIDIA's list of Xid errors");
  for (const auto& finding : drift_from(model, driver.library(), gpu.number))
    findings.warn(name + " profiles", finding, "report it: the catalog should say the same");
}

Findings examine(const DoctorOptions& options) {
  Findings findings;
  look_at_host(options.root, findings);
  look_at_container_toolkit(options.root, findings);
  look_at_other_owners(options.root, findings);
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

int doctor(const DoctorOptions& options) {
  const auto findings = examine(options);
  if (options.format == Format::kJson || options.format == Format::kYaml) {
    print_object({{"kind", "NodeExamination"},
                  {"verdict", findings.verdict()},
                  {"findings", findings.json()}},
                 options.format);
  } else {
    Table table({"CHECK", "VERDICT", "DETAIL", "TO DO"});
    for (const auto& each : findings.json())
      table.add({each["check"], each["verdict"], each["detail"], each["todo"]});
    fmt::print("{}", table.text());
  }
  // As for programs that watch machines: 0 fine, 1 usable with a drawback, 2 not usable.
  const auto verdict = findings.verdict();
  return verdict == "ok" ? 0 : verdict == "warning" ? 1 : 2;
}

}  // namespace

void add_doctor_command(Program& program) {
  const auto options = std::make_shared<DoctorOptions>();
  auto* command = program.cli.add_subcommand(
      "doctor",
      "Look at this machine: can its GPUs be offered? Exit code 1: with a drawback; 2: not at all");
  command->add_option("--nvml", options->library, "libnvidia-ml.so.1, by path or name")
      ->envname("TESSERA_NVML")
      ->capture_default_str();
  command->add_option("--data", options->data, "Folder of what the agent remembers")
      ->capture_default_str();
  command->add_option("--root", options->root,
                      "Folder to look at in the place of /, as of an image that is not booted");
  add_format_option(*command, options->format);
  command->callback(
      [&program, options] { program.chosen = [options] { return doctor(*options); }; });
}

}  // namespace tessera::app
