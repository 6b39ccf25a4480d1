#include "agent/meter.h"

#include <algorithm>
#include <ranges>

namespace tessera::agent {
namespace {

using base::Duration;
using base::Instant;
using device::UseSample;
using fleet::Use;

/// The part of `span`, which ends at `now`, in which the lease held the device.
Duration held_in(Duration span, const Holding& holding, Instant now) {
  return std::clamp(span, Duration(0), std::max(now - holding.since, Duration(0)));
}

const catalog::MigProfile* profile_of(const catalog::GpuModel* model,
                                      const device::InstanceSpec& spec) {
  if (model == nullptr) return nullptr;
  const auto found =
      std::ranges::find(model->profiles, spec.nvml_profile, &catalog::MigProfile::nvml_profile);
  return found == model->profiles.end() ? nullptr : &*found;
}

/// What `holding` used in `span` of a sample.
Use use_of(const Holding& holding, const UseSample& sample, const device::GpuReading& reading,
           Duration span) {
  Use use;
  use.memory = fleet::MemoryTime(sample.memory.count() * span.count());
  if (reading.milliwatts)
    use.energy = fleet::Energy(*reading.milliwatts * span.count() * holding.part.count() /
                               base::kWholeGpu.count());
  if (sample.busy_permille) {
    use.busy = fleet::BusyTime(*sample.busy_permille * span.count());
    use.measured = span;
  }
  return use;
}

}  // namespace

Meter::Meter(std::shared_ptr<const catalog::Catalog> catalog, UseBook book, MeterOptions options)
    : catalog_(std::move(catalog)), options_(options), book_(std::move(book)) {}

Instant Meter::sample(device::Driver& driver, const device::Observation& observation,
                      std::vector<Holding> holdings, Instant now) {
  const std::scoped_lock lock(mutex_);
  note_holdings(std::move(holdings), now);
  if (next_ && now < *next_) return *next_;
  next_ = next_ && now - *next_ < options_.every ? *next_ + options_.every : now + options_.every;
  std::erase_if(calls_, [&](const auto& call) { return now - call.second.at > options_.patience; });
  std::erase_if(gpus_, [&](const auto& gpu) {
    return std::ranges::find(observation.gpus, gpu.first, &device::GpuState::uuid) ==
           observation.gpus.end();
  });
  for (const auto& state : observation.gpus) {
    auto& shown = gpus_.try_emplace(state.uuid, describe(state)).first->second;
    shown.answering = state.condition == device::Condition::kAnswering;
    shown.last_xid = state.xids.empty() ? 0 : state.xids.back();
    const bool waiting = std::ranges::any_of(calls_ | std::views::values, [&](const Call& call) {
      return call.state.uuid == state.uuid;
    });
    if (waiting || !shown.answering) continue;
    if (const auto id = driver.submit(device::ReadUse{state.number}))
      calls_.emplace(*id, Call{state, holdings_, now});
  }
  return *next_;
}

void Meter::note_holdings(std::vector<Holding> holdings, Instant now) {
  for (auto& each : holdings) {
    const auto before = std::ranges::find_if(holdings_, [&](const Holding& other) {
      return other.device == each.device && other.lease == each.lease;
    });
    each.since = before == holdings_.end() ? now : before->since;
    last_held_[each.lease] = now;
  }
  // What was loaded with the book begins its time here.
  for (const auto& [lease, use] : book_.totals()) last_held_.try_emplace(lease, now);
  std::erase_if(last_held_, [&](const auto& entry) {
    if (now - entry.second <= options_.afterglow) return false;
    book_.forget_total(entry.first);
    return true;
  });
  holdings_ = std::move(holdings);
}

bool Meter::take(const device::Completion& completion) {
  const std::scoped_lock lock(mutex_);
  const auto found = calls_.find(completion.id);
  if (found == calls_.end()) return false;
  const Call call = std::move(found->second);
  calls_.erase(found);
  if (completion.error) return true;
  samples_ += completion.samples.size();
  for (const auto& sample : completion.samples)
    for (const auto& holding : call.holdings)
      if (holding.device == sample.device && holding.shared == sample.tenant.valid() &&
          (!holding.shared || holding.lease == sample.tenant))
        book_.add(holding.lease, use_of(holding, sample, completion.reading,
                                        held_in(sample.span, holding, call.at)));
  show(call, completion);
  return true;
}

void Meter::add_outside(const std::vector<OutsideReading>& readings, Instant now) {
  const std::scoped_lock lock(mutex_);
  for (const auto& reading : readings) {
    const auto gpu = gpus_.find(reading.gpu);
    if (gpu == gpus_.end()) continue;
    const auto device = std::ranges::find_if(gpu->second.devices, [&](const auto& each) {
      return each.driver_id == reading.instance && !each.sample.tenant.valid() &&
             !each.sample.busy_permille;
    });
    if (device == gpu->second.devices.end()) continue;
    for (const auto& holding : holdings_) {
      if (holding.device != device->sample.device || holding.shared) continue;
      Use use;
      use.measured = held_in(reading.span, holding, now);
      use.busy = fleet::BusyTime(std::clamp(reading.busy_permille, 0, 1000) * use.measured.count());
      book_.add(holding.lease, use);
    }
  }
}

MeterView::Gpu Meter::describe(const device::GpuState& state) const {
  const auto index = catalog_->find_pci(state.pci_id);
  MeterView::Gpu gpu;
  gpu.number = state.number;
  gpu.uuid = state.uuid;
  if (index) gpu.model = catalog_->model(*index).key;
  return gpu;
}

void Meter::show(const Call& call, const device::Completion& completion) {
  const auto index = catalog_->find_pci(call.state.pci_id);
  const auto* model = index ? &catalog_->model(*index) : nullptr;
  auto& gpu = gpus_.try_emplace(call.state.uuid, describe(call.state)).first->second;
  gpu.reading = completion.reading;
  gpu.devices.clear();
  for (const auto& sample : completion.samples) {
    MeterView::Device device{sample, {}, {}, {}, {}};
    const auto instance =
        std::ranges::find(call.state.instances, sample.device, &device::InstanceState::device);
    if (instance != call.state.instances.end()) {
      device.driver_id = instance->driver_id;
      if (const auto* profile = profile_of(model, instance->spec)) {
        device.profile = profile->name;
        device.memory = profile->memory;
      }
    } else if (model != nullptr && model->memory.count() > 0) {
      device.memory = model->memory;
    }
    for (const auto& holding : call.holdings)
      if (holding.device == sample.device &&
          (!sample.tenant.valid() || sample.tenant == holding.lease))
        device.leases.push_back(holding.lease);
    gpu.devices.push_back(std::move(device));
  }
}

bool Meter::close() {
  const std::scoped_lock lock(mutex_);
  return book_.close();
}

void Meter::acknowledge(const fleet::UseReceipt& receipt) {
  const std::scoped_lock lock(mutex_);
  book_.acknowledge(receipt);
}

UseBook Meter::book() const {
  const std::scoped_lock lock(mutex_);
  return book_;
}

MeterView Meter::view() const {
  const std::scoped_lock lock(mutex_);
  MeterView view;
  for (const auto& [uuid, gpu] : gpus_) view.gpus.push_back(gpu);
  std::ranges::sort(view.gpus, {}, &MeterView::Gpu::number);
  view.totals = book_.totals();
  view.unsent = book_.batches().size();
  view.samples = samples_;
  return view;
}

}  // namespace tessera::agent
