#include "agent/exposition.h"

#include <charconv>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

namespace tessera::agent {
namespace {

using Labels = std::vector<std::pair<const char*, std::string>>;
using Gpu = MeterView::Gpu;
using Device = MeterView::Device;

constexpr double kBytesInMib = 1024.0 * 1024.0;

std::string escaped(const std::string& text) {
  std::string safe;
  for (const char letter : text) {
    if (letter == '\\' || letter == '"') safe += '\\';
    if (letter == '\n')
      safe += "\\n";
    else
      safe += letter;
  }
  return safe;
}

std::string number(double value) {
  char text[32];
  const auto [end, error] = std::to_chars(text, text + sizeof text, value);
  return {text, error == std::errc{} ? end : text};
}

/// Families one after the other, each with its samples together, as the format asks.
class Page {
 public:
  void family(const char* name, const char* type, const char* help) {
    name_ = name;
    text_ += "# HELP " + name_ + " " + help + "\n# TYPE " + name_ + " " + type + "\n";
  }
  void add(const Labels& labels, double value) {
    text_ += name_;
    char before = '{';
    for (const auto& [label, content] : labels) {
      text_ += before + std::string(label) + "=\"" + escaped(content) + "\"";
      before = ',';
    }
    text_ += (labels.empty() ? " " : "} ") + number(value) + "\n";
  }
  std::string take() { return std::move(text_); }

 private:
  std::string name_;
  std::string text_;
};

std::string lease_name(fleet::LeaseId lease) {
  return "lease-" + std::to_string(lease.value());
}
/// The one lease it is held by; empty where there is none, or several share it.
std::string holder_of(const Device& device) {
  return device.leases.size() == 1 ? lease_name(device.leases.front()) : "";
}
bool of_a_tenant(const Device& device) {
  return device.sample.tenant.valid();
}

class Exposition {
 public:
  Exposition(const MeterView& view, const ExpositionOf& of, const std::vector<ShareUse>& shares)
      : view_(view), of_(of), shares_(shares) {}

  std::string text() {
    agent();
    leases();
    shares();
    gpus();
    slices();
    dcgm_gpus();
    dcgm_devices();
    return page_.take();
  }

 private:
  using OfGpu = std::function<std::optional<double>(const Gpu&)>;
  using OfDevice = std::function<std::optional<double>(const Device&)>;

  void agent() {
    page_.family("tessera_agent_info", "gauge", "The node that this agent works on; always 1.");
    page_.add({{"node", of_.node}, {"driver", of_.driver}}, 1);
    page_.family("tessera_agent_samples_total", "counter",
                 "Devices sampled since the agent was started.");
    page_.add({{"node", of_.node}}, static_cast<double>(view_.samples));
    page_.family("tessera_agent_unsent_batches", "gauge",
                 "Batches of use that the control plane has not yet said it counted.");
    page_.add({{"node", of_.node}}, static_cast<double>(view_.unsent));
  }

  /// Kept on disk: they go on where they were when the agent is started anew.
  void leases() {
    const auto family = [&](const char* name, const char* help, auto value) {
      page_.family(name, "counter", help);
      for (const auto& [lease, use] : view_.totals)
        page_.add({{"node", of_.node}, {"lease", lease_name(lease)}}, value(use));
    };
    family("tessera_lease_busy_seconds_total", "Time in which the slices of the lease computed.",
           [](const auto& use) { return static_cast<double>(use.busy.count()) / 1e6; });
    family("tessera_lease_measured_seconds_total",
           "Slice time of which it is known how busy it was.",
           [](const auto& use) { return static_cast<double>(use.measured.count()) / 1e3; });
    family("tessera_lease_memory_byte_seconds_total", "Device memory held, times the time.",
           [](const auto& use) {
             return static_cast<double>(use.memory.count()) / 1e3 * kBytesInMib;
           });
    family("tessera_lease_energy_joules_total",
           "Energy of the GPU, by the part of it that the lease holds.",
           [](const auto& use) { return static_cast<double>(use.energy.count()) / 1e6; });
  }

  void share_family(const char* name, const char* type, const char* help,
                    const std::function<double(const ShareUse&)>& value) {
    page_.family(name, type, help);
    for (const auto& share : shares_)
      page_.add({{"node", of_.node}, {"lease", lease_name(share.lease)}, {"uuid", share.gpu}},
                value(share));
  }

  /// Of leases that are held to a share of a GPU; only there such families are.
  void shares() {
    if (shares_.empty()) return;
    const auto bytes = [](base::MiB memory) {
      return static_cast<double>(memory.count()) * kBytesInMib;
    };
    share_family("tessera_share_memory_limit_bytes", "gauge", "The most that the lease may have.",
                 [&](const ShareUse& share) { return bytes(share.limit); });
    share_family("tessera_share_memory_charged_bytes", "gauge",
                 "What programs under the guard have allocated.",
                 [&](const ShareUse& share) { return bytes(share.charged); });
    share_family("tessera_share_memory_outside_bytes", "gauge",
                 "Memory of the lease's programs that the guard does not limit.",
                 [&](const ShareUse& share) { return bytes(share.outside); });
    share_family("tessera_share_memory_driver_limit_bytes", "gauge",
                 "The most that the driver itself lets the lease have; 0: it does not limit it.",
                 [&](const ShareUse& share) { return bytes(share.by_driver); });
    share_family("tessera_share_programs", "gauge", "Programs of the lease under the guard.",
                 [](const ShareUse& share) { return static_cast<double>(share.programs); });
    share_family("tessera_share_gate_overruns", "gauge",
                 "Launches of those programs that waited as long as any may, and went on.",
                 [](const ShareUse& share) { return static_cast<double>(share.overruns); });
    share_family("tessera_share_refusals", "gauge",
                 "Times that somebody came to the lease's socket and was given nothing.",
                 [](const ShareUse& share) { return static_cast<double>(share.refusals); });
  }

  void gpu_family(const char* name, const char* type, const char* help, const OfGpu& value) {
    page_.family(name, type, help);
    for (const auto& gpu : view_.gpus)
      if (const auto known = value(gpu)) page_.add(ours(gpu), *known);
  }

  void gpus() {
    page_.family("tessera_gpu_info", "gauge", "A GPU of the node with its model; always 1.");
    for (const auto& gpu : view_.gpus) {
      auto labels = ours(gpu);
      labels.emplace_back("model", gpu.model);
      page_.add(labels, 1);
    }
    gpu_family("tessera_gpu_answering", "gauge", "1 while calls to the GPU come back.",
               [](const Gpu& gpu) { return gpu.answering ? 1.0 : 0.0; });
    gpu_family("tessera_gpu_power_watts", "gauge", "Power that the GPU draws.", watts);
    gpu_family("tessera_gpu_energy_joules_total", "counter", "Energy since the driver was loaded.",
               [](const Gpu& gpu) {
                 return gpu.reading.millijoules
                            ? std::optional(static_cast<double>(*gpu.reading.millijoules) / 1e3)
                            : std::nullopt;
               });
    gpu_family("tessera_gpu_temperature_celsius", "gauge", "Temperature of the GPU.", celsius);
  }

  void device_family(const char* name, const char* help, bool tenants, bool like_dcgm,
                     const OfDevice& value) {
    page_.family(name, "gauge", help);
    for (const auto& gpu : view_.gpus) {
      if (!gpu.answering) continue;
      for (const auto& device : gpu.devices) {
        if (of_a_tenant(device) && !tenants) continue;
        if (const auto known = value(device))
          page_.add(like_dcgm ? dcgm(gpu, &device) : ours(gpu, device), *known);
      }
    }
  }

  void slices() {
    device_family(
        "tessera_slice_busy_ratio",
        "How busy a device, or a lease's part of a shared one, was since the last sample.", true,
        false, [](const Device& each) { return ratio(each.sample.busy_permille); });
    device_family("tessera_slice_memory_used_bytes",
                  "Memory used on a device, or by a lease on a shared one.", true, false,
                  [](const Device& each) {
                    return static_cast<double>(each.sample.memory.count()) * kBytesInMib;
                  });
  }

  void dcgm_gpu_family(const char* name, const char* help, const OfGpu& value) {
    page_.family(name, "gauge", help);
    for (const auto& gpu : view_.gpus)
      if (const auto known = value(gpu)) page_.add(dcgm(gpu, nullptr), *known);
  }

  void dcgm_gpus() {
    dcgm_gpu_family("DCGM_FI_DEV_POWER_USAGE", "Power draw (in W).", watts);
    dcgm_gpu_family("DCGM_FI_DEV_GPU_TEMP", "GPU temperature (in C).", celsius);
    dcgm_gpu_family("DCGM_FI_DEV_XID_ERRORS", "Value of the last XID error encountered.",
                    [](const Gpu& gpu) { return static_cast<double>(gpu.last_xid); });
    dcgm_gpu_family("DCGM_FI_DEV_GPU_UTIL", "GPU utilization (in %).",
                    [](const Gpu& gpu) -> std::optional<double> {
                      for (const auto& each : gpu.devices)
                        if (each.sample.device == gpu.uuid && !of_a_tenant(each))
                          if (const auto busy = ratio(each.sample.busy_permille))
                            return *busy * 100;
                      return std::nullopt;
                    });
  }

  void dcgm_devices() {
    const auto family = [&](const char* name, const char* help, const OfDevice& value) {
      device_family(name, help, false, true, value);
    };
    family("DCGM_FI_PROF_GR_ENGINE_ACTIVE", "Ratio of time the graphics engine is active.",
           [](const Device& each) { return ratio(each.sample.busy_permille); });
    family("DCGM_FI_PROF_SM_ACTIVE", "Ratio of time an SM has a warp assigned.",
           [](const Device& each) { return ratio(each.sample.sm_permille); });
    family("DCGM_FI_PROF_PIPE_TENSOR_ACTIVE", "Ratio of time the tensor pipe is active.",
           [](const Device& each) { return ratio(each.sample.tensor_permille); });
    family("DCGM_FI_PROF_DRAM_ACTIVE", "Ratio of time the memory interface is active.",
           [](const Device& each) { return ratio(each.sample.dram_permille); });
    family("DCGM_FI_DEV_FB_USED", "Framebuffer memory used (in MiB).",
           [](const Device& each) { return static_cast<double>(each.sample.memory.count()); });
    family("DCGM_FI_DEV_FB_FREE", "Framebuffer memory free (in MiB).",
           [](const Device& each) -> std::optional<double> {
             if (!each.memory) return std::nullopt;
             return static_cast<double>(
                 std::max(*each.memory - each.sample.memory, base::MiB(0)).count());
           });
  }

  static std::optional<double> ratio(std::optional<int> permille) {
    return permille ? std::optional(*permille / 1000.0) : std::nullopt;
  }
  static std::optional<double> watts(const Gpu& gpu) {
    return gpu.reading.milliwatts
               ? std::optional(static_cast<double>(*gpu.reading.milliwatts) / 1e3)
               : std::nullopt;
  }
  static std::optional<double> celsius(const Gpu& gpu) {
    return gpu.reading.celsius ? std::optional<double>(*gpu.reading.celsius) : std::nullopt;
  }

  Labels ours(const Gpu& gpu) const {
    return {{"node", of_.node}, {"gpu", std::to_string(gpu.number)}, {"uuid", gpu.uuid}};
  }
  Labels ours(const Gpu& gpu, const Device& device) const {
    auto labels = ours(gpu);
    labels.emplace_back("device", device.sample.device);
    labels.emplace_back("profile", device.profile);
    labels.emplace_back("lease",
                        of_a_tenant(device) ? lease_name(device.sample.tenant) : holder_of(device));
    return labels;
  }
  /// Old dashboards ask for Hostname, those since 2026 for hostname.
  Labels dcgm(const Gpu& gpu, const Device* device) const {
    const auto number = std::to_string(gpu.number);
    Labels labels = {
        {"gpu", number},        {"UUID", gpu.uuid},     {"device", "nvidia" + number},
        {"Hostname", of_.node}, {"hostname", of_.node}, {"DCGM_FI_DRIVER_VERSION", of_.driver}};
    if (device != nullptr && device->driver_id) {
      labels.emplace_back("GPU_I_PROFILE", device->profile);
      labels.emplace_back("GPU_I_ID", std::to_string(*device->driver_id));
    }
    if (device != nullptr) labels.emplace_back("tessera_lease", holder_of(*device));
    return labels;
  }

  const MeterView& view_;
  const ExpositionOf& of_;
  const std::vector<ShareUse>& shares_;
  Page page_;
};

}  // namespace

std::string exposition(const MeterView& view, const ExpositionOf& of,
                       const std::vector<ShareUse>& shares) {
  return Exposition(view, of, shares).text();
}

}  // namespace tessera::agent
