#include "device/nvml/drift.h"

#include <algorithm>
#include <cstdint>

namespace tessera::device::nvml {
namespace {

// Usable memory shifts a little from driver to driver.
constexpr std::int64_t kMemoryPercent = 3;

class Comparison {
 public:
  Comparison(const catalog::MigProfile& profile, std::vector<std::string>& findings)
      : profile_(profile), findings_(findings) {}

  void number(const char* what, std::int64_t theirs, std::int64_t ours) {
    if (theirs == ours) return;
    add(std::string(what) + " " + std::to_string(theirs) + ", the catalog has " +
        std::to_string(ours));
  }
  void memory(std::int64_t theirs, std::int64_t ours) {
    if (std::abs(theirs - ours) * 100 > ours * kMemoryPercent) number("MiB", theirs, ours);
  }
  void places(const std::vector<abi::Placement>& theirs) {
    const auto& ours = profile_.placements;
    const auto known = [&](const abi::Placement& each) {
      return std::ranges::any_of(ours, [&](const catalog::Placement& place) {
        return place.start == each.start && place.size == each.size;
      });
    };
    for (const auto& each : theirs)
      if (!known(each)) add("a place at " + std::to_string(each.start) + " that the catalog lacks");
    number("places", static_cast<std::int64_t>(theirs.size()),
           static_cast<std::int64_t>(ours.size()));
  }
  void add(const std::string& text) { findings_.push_back(profile_.name + ": " + text); }

 private:
  const catalog::MigProfile& profile_;
  std::vector<std::string>& findings_;
};

}  // namespace

std::vector<std::string> drift_from(const catalog::GpuModel& model, const Library& library,
                                    GpuNumber number) {
  std::vector<std::string> findings;
  const auto& nvml = library.call();
  abi::Device device = nullptr;
  if (const auto code = nvml.nvmlDeviceGetHandleByIndex_v2(number, &device); code != abi::kSuccess)
    return {error_of(code, "opening GPU " + std::to_string(number)).detail};
  for (const auto& profile : model.profiles) {
    Comparison compare(profile, findings);
    abi::ProfileInfo info{};
    const auto code = nvml.nvmlDeviceGetGpuInstanceProfileInfo(
        device, static_cast<unsigned>(profile.nvml_profile), &info);
    if (code != abi::kSuccess) {
      compare.add("the driver does not offer it");
      continue;
    }
    compare.number("id", info.id, profile.driver_profile_id);
    compare.number("compute slices", info.slices, profile.compute_slices);
    compare.number("instances", info.instances, profile.max_instances);
    if (profile.sms) compare.number("SMs", info.sms, profile.sms->count());
    if (profile.memory)
      compare.memory(static_cast<std::int64_t>(info.memory_mib), profile.memory->count());
    std::vector<abi::Placement> places(64);
    auto count = static_cast<unsigned>(places.size());
    if (nvml.nvmlDeviceGetGpuInstancePossiblePlacements_v2(device, info.id, places.data(),
                                                           &count) != abi::kSuccess)
      continue;
    places.resize(std::min<std::size_t>(count, places.size()));
    compare.places(places);
  }
  return findings;
}

}  // namespace tessera::device::nvml
