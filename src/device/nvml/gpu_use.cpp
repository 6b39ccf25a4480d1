#include <algorithm>
#include <thread>
#include <utility>

#include "device/nvml/gpu.h"

namespace tessera::device::nvml {
namespace {

// NVML wants a tenth of a second at least between two samples.
constexpr auto kShortest = std::chrono::milliseconds(110);

int permille(double per_cent) {
  return std::clamp(static_cast<int>(per_cent * 10 + 0.5), 0, 1000);
}

}  // namespace

std::optional<Error> Gpu::change(const ReadUse&, Completion& completion) {
  const auto state = read();
  if (!state) return state.error();
  std::vector<Part> parts;
  if (!state->mig_current) parts.push_back({uuid_, state->memory_used, std::nullopt});
  for (const auto& each : state->instances)
    parts.push_back({each.device, each.memory_used, each.driver_id});
  forget_samples_but(parts);
  if (gpm_) begin_measuring(parts);
  for (const auto& part : parts)
    if (const auto busy = busy_permille(part))
      completion.samples.push_back({part.device, *busy, part.memory, around_.clock->now()});
  return std::nullopt;
}

/// The first sample of those that have none yet; then the shortest time, once for all of them.
void Gpu::begin_measuring(const std::vector<Part>& parts) {
  bool begun = false;
  for (const auto& part : parts) {
    auto& last = measured_[part.device];
    if (last.sample != nullptr) continue;
    last = {take(part), std::chrono::steady_clock::now(), std::nullopt};
    begun = true;
  }
  if (begun) std::this_thread::sleep_for(kShortest);
}

/// Between the last call and this one where NVML can measure it, and the last answer again where
/// that is too short; else what it says of this moment. None where it says nothing, as under MIG
/// before Hopper.
std::optional<int> Gpu::busy_permille(const Part& part) {
  if (!gpm_) {
    abi::Utilization rates{};
    if (part.instance || nvml().nvmlDeviceGetUtilizationRates(handle_, &rates) != abi::kSuccess)
      return std::nullopt;
    return permille(rates.gpu);
  }
  auto& last = measured_[part.device];
  if (last.sample == nullptr) return std::nullopt;
  if (last.permille && std::chrono::steady_clock::now() - last.at < kShortest) return last.permille;
  const auto now = take(part);
  if (now == nullptr) return std::nullopt;
  abi::GpmMetricsGet get{};
  get.version = abi::kGpmVersion;
  get.count = 1;
  get.first = last.sample;
  get.second = now;
  get.metrics[0].id = abi::kGraphicsUtilisation;
  const auto code = nvml().nvmlGpmMetricsGet(&get);
  nvml().nvmlGpmSampleFree(std::exchange(last.sample, now));
  last.at = std::chrono::steady_clock::now();
  last.permille.reset();
  if (code == abi::kSuccess && get.metrics[0].result == abi::kSuccess)
    last.permille = permille(get.metrics[0].value);
  return last.permille;
}

abi::GpmSample Gpu::take(const Part& part) {
  abi::GpmSample sample = nullptr;
  if (nvml().nvmlGpmSampleAlloc(&sample) != abi::kSuccess) return nullptr;
  const auto code = part.instance ? nvml().nvmlGpmMigSampleGet(handle_, *part.instance, sample)
                                  : nvml().nvmlGpmSampleGet(handle_, sample);
  if (code == abi::kSuccess) return sample;
  nvml().nvmlGpmSampleFree(sample);
  return nullptr;
}

void Gpu::forget_samples_but(const std::vector<Part>& parts) {
  std::erase_if(measured_, [&](const auto& entry) {
    if (std::ranges::find(parts, entry.first, &Part::device) != parts.end()) return false;
    if (entry.second.sample != nullptr) nvml().nvmlGpmSampleFree(entry.second.sample);
    return true;
  });
}

}  // namespace tessera::device::nvml
