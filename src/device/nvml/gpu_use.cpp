#include <algorithm>
#include <array>
#include <cstddef>
#include <thread>
#include <utility>

#include "device/nvml/gpu.h"

namespace tessera::device::nvml {
namespace {

using SteadyClock = std::chrono::steady_clock;

// NVML wants a tenth of a second at least between two samples.
constexpr auto kShortest = std::chrono::milliseconds(110);
// What only tells of this moment speaks for no more time than this, however long nobody asked.
constexpr Duration kLongest = std::chrono::seconds(2);
// A state read so recently is not read again for a sample.
constexpr auto kRecent = std::chrono::milliseconds(300);
constexpr std::uint64_t kMost = 100;  // per cent; NVML has been seen to tell more, which is garbage
constexpr unsigned kMostUtilisations = 4096;

/// What GPM is asked for, all in one call.
constexpr std::array kMetrics = {abi::kGraphicsUtilisation, abi::kSmUtilisation,
                                 abi::kTensorUtilisation, abi::kDramUtilisation};
/// abi::GpmMetricsGet with room for them: NVML looks at as many as it is told of.
struct MetricsGet {
  unsigned version = abi::kGpmVersion;
  unsigned count = kMetrics.size();
  abi::GpmSample first = nullptr, second = nullptr;
  std::array<abi::GpmMetric, kMetrics.size()> metrics{};
};
static_assert(offsetof(MetricsGet, metrics) == offsetof(abi::GpmMetricsGet, metrics));

int permille(double per_cent) {
  return std::clamp(static_cast<int>(per_cent * 10 + 0.5), 0, 1000);
}

Duration between(SteadyClock::time_point from, SteadyClock::time_point to) {
  return std::chrono::duration_cast<Duration>(to - from);
}

}  // namespace

std::optional<Error> Gpu::change(const ReadUse&, Completion& completion) {
  const auto state = recent();
  if (!state) return state.error();
  std::vector<Part> parts;
  if (!state->mig_current) parts.push_back({uuid_, state->memory_used, std::nullopt});
  for (const auto& each : state->instances)
    parts.push_back({each.device, each.memory_used, each.driver_id});
  forget_samples_but(parts);
  if (gpm_) begin_measuring(parts);
  for (const auto& part : parts) completion.samples.push_back(measure(part));
  if (!state->mig_current)
    measure_tenants(*state, completion.samples.front().span, completion.samples);
  completion.reading = reading();
  return std::nullopt;
}

std::expected<GpuState, Error> Gpu::recent() {
  if (last_read_ && SteadyClock::now() - *last_read_ < kRecent) return last_;
  return read();
}

/// The first sample of those that have none yet; then the shortest time, once for all of them.
void Gpu::begin_measuring(const std::vector<Part>& parts) {
  bool begun = false;
  for (const auto& part : parts) {
    auto& last = measured_[part.device];
    if (last.sample != nullptr) continue;
    last = {take(part), SteadyClock::now()};
    begun = true;
  }
  if (begun) std::this_thread::sleep_for(kShortest);
}

/// Between the last call and this one where NVML can measure it; else what it says of this moment,
/// for the time since the last call. Nothing of how busy it was where it says nothing, as under MIG
/// before Hopper.
UseSample Gpu::measure(const Part& part) {
  UseSample sample{.device = part.device, .memory = part.memory, .at = around_.clock->now()};
  auto [last, first] = measured_.try_emplace(part.device, Measured{nullptr, SteadyClock::now()});
  const auto began = last->second.at;
  const auto busy = busy_since(last->second, part);
  sample.span = between(began, last->second.at);
  if (!gpm_ || !busy.all) sample.span = std::min(sample.span, kLongest);
  sample.busy_permille = busy.all;
  sample.sm_permille = busy.sm;
  sample.tensor_permille = busy.tensor;
  sample.dram_permille = busy.dram;
  return sample;
}

/// Moves `last` on to the moment of which it tells: not at all where it was too short ago.
Gpu::Busy Gpu::busy_since(Measured& last, const Part& part) {
  const auto moment = SteadyClock::now();
  if (!gpm_) {
    last.at = moment;
    abi::Utilization rates{};
    if (part.instance || nvml().nvmlDeviceGetUtilizationRates(handle_, &rates) != abi::kSuccess)
      return {};
    return {.all = permille(rates.gpu), .sm = {}, .tensor = {}, .dram = {}};
  }
  if (last.sample == nullptr || moment - last.at < kShortest) return {};
  const auto now = take(part);
  if (now == nullptr) return {};
  MetricsGet get;
  get.first = last.sample;
  get.second = now;
  for (std::size_t i = 0; i < kMetrics.size(); ++i) get.metrics[i].id = kMetrics[i];
  const auto code = nvml().nvmlGpmMetricsGet(reinterpret_cast<abi::GpmMetricsGet*>(&get));
  nvml().nvmlGpmSampleFree(std::exchange(last.sample, now));
  last.at = moment;
  if (code != abi::kSuccess) return {};
  const auto value = [&](std::size_t i) {
    const auto& metric = get.metrics[i];
    return metric.result == abi::kSuccess ? std::optional(permille(metric.value)) : std::nullopt;
  };
  return {value(0), value(1), value(2), value(3)};
}

/// One sample for every lease that has processes on the undivided GPU.
void Gpu::measure_tenants(const GpuState& state, Duration span, std::vector<UseSample>& samples) {
  std::map<LeaseId, UseSample> tenants;
  for (const auto& process : state.processes)
    if (process.tenant.valid()) tenants[process.tenant].memory += process.memory;
  if (tenants.empty()) return;
  const auto busy = busy_processes();
  const bool told = nvml().nvmlDeviceGetProcessUtilization != nullptr;
  for (const auto& process : state.processes) {
    if (!process.tenant.valid() || !told) continue;
    auto& sum = tenants[process.tenant].busy_permille;
    const auto found = busy.find(process.pid);
    sum = std::min(1000, sum.value_or(0) + (found == busy.end() ? 0 : found->second));
  }
  for (auto& [tenant, sample] : tenants) {
    sample.device = uuid_;
    sample.tenant = tenant;
    sample.at = around_.clock->now();
    sample.span = std::min(span, kLongest);
    samples.push_back(std::move(sample));
  }
}

/// By process, the mean of what the driver sampled since the last call.
std::map<std::uint32_t, int> Gpu::busy_processes() {
  const auto call = nvml().nvmlDeviceGetProcessUtilization;
  if (call == nullptr) return {};
  std::vector<abi::ProcessUtilization> entries(128);
  auto count = static_cast<unsigned>(entries.size());
  auto code = call(handle_, entries.data(), &count, seen_us_);
  if (code == abi::kInsufficientSize && count <= kMostUtilisations) {
    entries.resize(count);
    code = call(handle_, entries.data(), &count, seen_us_);
  }
  if (code != abi::kSuccess) return {};
  entries.resize(std::min<std::size_t>(count, entries.size()));
  std::map<std::uint32_t, std::pair<std::uint64_t, int>> sums;  // per cent, samples
  for (const auto& entry : entries) {
    seen_us_ = std::max(seen_us_, entry.at_us);
    if (entry.sm > kMost) continue;
    auto& [sum, samples] = sums[entry.pid];
    sum += entry.sm;
    ++samples;
  }
  std::map<std::uint32_t, int> busy;
  for (const auto& [pid, sum] : sums)
    busy[pid] = permille(static_cast<double>(sum.first) / sum.second);
  return busy;
}

GpuReading Gpu::reading() const {
  const auto& call = nvml();
  GpuReading reading;
  unsigned number = 0;
  if (call.nvmlDeviceGetPowerUsage != nullptr &&
      call.nvmlDeviceGetPowerUsage(handle_, &number) == abi::kSuccess)
    reading.milliwatts = number;
  std::uint64_t energy = 0;
  if (call.nvmlDeviceGetTotalEnergyConsumption != nullptr &&
      call.nvmlDeviceGetTotalEnergyConsumption(handle_, &energy) == abi::kSuccess)
    reading.millijoules = static_cast<std::int64_t>(energy);
  if (call.nvmlDeviceGetTemperature != nullptr &&
      call.nvmlDeviceGetTemperature(handle_, 0, &number) == abi::kSuccess)
    reading.celsius = static_cast<int>(number);
  return reading;
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
