// GPM: use measured between two samples, of a GPU or of one GPU instance. Hopper and newer.

#include "fakes/nvml/library.h"
#include "fakes/nvml/slot_table.h"

using namespace tessera::fakes;

namespace {

struct Sample {
  std::uint64_t at_us = 0;  ///< 0: never taken
  std::uint64_t busy_us = 0;
};
SlotTable<Sample, 4096, 0x7e56> samples;

constexpr unsigned kMostMetrics = 1024;

bool measures(const tessera::catalog::GpuModel& model) {
  return model.architecture == "Hopper" || model.architecture == "Blackwell";
}

abi::Return take(View& view, unsigned part, Sample* sample) {
  if (sample == nullptr) return abi::kInvalidArgument;
  if (!measures(view.model)) return abi::kNotSupported;
  *sample = {view.now, use_of(view.gpu, part, view.now).busy_us};
  return abi::kSuccess;
}

/// The whole GPU is as busy as its instances are, each by its part of the compute slices.
std::uint64_t busy_with_mig(const View& view) {
  std::uint64_t sum = 0;
  for (const auto& instance : view.gpu.instances) {
    if (instance.serial == 0 || instance.profile >= view.model.profiles.size()) continue;
    const auto slices = view.model.profiles[instance.profile].compute_slices;
    sum += use_of(view.gpu, instance.id, view.now).busy_us * static_cast<unsigned>(slices) /
           static_cast<unsigned>(view.model.compute_slices);
  }
  return sum;
}

void fill(abi::GpmMetric& metric, double busy) {
  metric.result = abi::kSuccess;
  metric.short_name = metric.long_name = metric.unit = "";
  switch (metric.id) {
    case abi::kGraphicsUtilisation:
    case abi::kSmUtilisation:
      metric.value = busy;
      break;
    case abi::kSmOccupancy:
      metric.value = busy * 0.6;
      break;
    case abi::kTensorUtilisation:
    case abi::kDramUtilisation:
      metric.value = busy * 0.5;
      break;
    default:
      metric.result = abi::kNotSupported;
  }
}

}  // namespace

TESSERA_NVML_EXPORT abi::Return nvmlGpmQueryDeviceSupport(abi::Device device,
                                                          abi::GpmSupport* support) {
  return read_device(device, [&](View& view) -> abi::Return {
    if (support == nullptr) return abi::kInvalidArgument;
    if (support->version != abi::kGpmVersion) return abi::kArgumentVersion;
    support->supported = measures(view.model) ? 1 : 0;
    return abi::kSuccess;
  });
}

TESSERA_NVML_EXPORT abi::Return nvmlGpmSampleAlloc(abi::GpmSample* sample) {
  if (sample == nullptr) return abi::kInvalidArgument;
  *sample = static_cast<abi::GpmSample>(samples.take());
  return *sample == nullptr ? abi::kOutOfMemory : abi::kSuccess;
}
TESSERA_NVML_EXPORT abi::Return nvmlGpmSampleFree(abi::GpmSample sample) {
  return samples.give_back(sample) ? abi::kSuccess : abi::kInvalidArgument;
}

TESSERA_NVML_EXPORT abi::Return nvmlGpmSampleGet(abi::Device device, abi::GpmSample sample) {
  return read_device(device, [&](View& view) -> abi::Return {
    auto* target = samples.find(sample);
    const auto done = take(view, view.part(), target);
    if (done == abi::kSuccess && view.whole() && view.gpu.mig_current != 0)
      target->busy_us = busy_with_mig(view);
    return done;
  });
}
TESSERA_NVML_EXPORT abi::Return nvmlGpmMigSampleGet(abi::Device device, unsigned instance,
                                                    abi::GpmSample sample) {
  return read_gpu(device, [&](View& view) -> abi::Return {
    if (find_instance(view.gpu, instance) == nullptr) return abi::kNotFound;
    return take(view, instance, samples.find(sample));
  });
}

TESSERA_NVML_EXPORT abi::Return nvmlGpmMetricsGet(abi::GpmMetricsGet* get) {
  return guarded([&]() -> abi::Return {
    if (get == nullptr || get->count > kMostMetrics) return abi::kInvalidArgument;
    if (get->version != abi::kGpmVersion) return abi::kArgumentVersion;
    const auto* first = samples.find(get->first);
    const auto* second = samples.find(get->second);
    if (first == nullptr || second == nullptr) return abi::kInvalidArgument;
    if (first->at_us == 0 || second->at_us <= first->at_us) return abi::kInvalidArgument;
    const auto work = second->busy_us > first->busy_us ? second->busy_us - first->busy_us : 0;
    const auto span = second->at_us - first->at_us;
    double busy = 100.0 * static_cast<double>(work) / static_cast<double>(span);
    if (busy > 100) busy = 100;
    for (unsigned i = 0; i < get->count; ++i) fill(get->metrics[i], busy);
    return abi::kSuccess;
  });
}

TESSERA_NVML_EXPORT abi::Return nvmlGpmQueryIfStreamingEnabled(abi::Device device,
                                                               unsigned* enabled) {
  return read_gpu(device, [&](View&) { return answer(enabled, 0U); });
}
