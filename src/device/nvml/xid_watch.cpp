#include "device/nvml/xid_watch.h"

#include <thread>
#include <utility>

namespace tessera::device::nvml {
namespace {

constexpr unsigned kWaitMs = 250;  // bounds how long the watch takes to end
constexpr std::size_t kMostXids = 16;

}  // namespace

XidWatch::XidWatch(std::shared_ptr<const Library> library,
                   const std::vector<std::pair<GpuNumber, abi::Device>>& gpus) {
  inner_->library = std::move(library);
  const auto& nvml = inner_->library->call();
  if (nvml.nvmlEventSetCreate(&inner_->set) != abi::kSuccess) return;
  for (const auto& [number, device] : gpus)
    if (nvml.nvmlDeviceRegisterEvents(device, abi::kXidEvent, inner_->set) == abi::kSuccess)
      inner_->numbers.emplace(device, number);
  // A set nobody waits on is freed with the process.
  if (!inner_->numbers.empty()) thread_.emplace([inner = inner_] { run(inner); });
}

XidWatch::~XidWatch() {
  const std::scoped_lock lock(inner_->mutex);
  inner_->stopping = true;
}

std::vector<int> XidWatch::of(GpuNumber gpu) const {
  const std::scoped_lock lock(inner_->mutex);
  const auto heard = inner_->heard.find(gpu);
  return heard == inner_->heard.end() ? std::vector<int>() : heard->second;
}

void XidWatch::run(const std::shared_ptr<Inner>& inner) {
  const auto& nvml = inner->library->call();
  for (;;) {
    abi::Event event{};
    const auto code = nvml.nvmlEventSetWait_v2(inner->set, &event, kWaitMs);
    // Any other failure comes at once and may last: a lost GPU makes some drivers answer so.
    if (code != abi::kSuccess && code != abi::kTimeout)
      std::this_thread::sleep_for(std::chrono::milliseconds(kWaitMs));
    const std::scoped_lock lock(inner->mutex);
    if (inner->stopping) break;
    const auto number = inner->numbers.find(event.device);
    if (code != abi::kSuccess || number == inner->numbers.end()) continue;
    auto& heard = inner->heard[number->second];
    if (heard.size() == kMostXids) heard.erase(heard.begin());
    heard.push_back(static_cast<int>(event.data));
  }
  nvml.nvmlEventSetFree(inner->set);
}

}  // namespace tessera::device::nvml
