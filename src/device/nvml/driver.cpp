#include "device/nvml/driver.h"

#include <algorithm>
#include <fstream>
#include <future>
#include <thread>
#include <utility>

namespace tessera::device::nvml {
namespace {

using base::fail;
using base::Reason;
using catalog::Technology;

constexpr auto kLongestLook = std::chrono::milliseconds(250);

/// The kernel's name for this boot of the machine.
std::string boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  return std::getline(file, id) ? id : "unknown";
}

}  // namespace

base::Result<std::unique_ptr<NvmlDriver>> NvmlDriver::open(
    const NvmlOptions& options, std::shared_ptr<Processes> processes,
    std::shared_ptr<const base::Clock> clock) {
  // On a thread of its own: a driver in trouble may keep its first caller for ever.
  std::promise<base::Result<Machine>> promise;
  auto found = promise.get_future();
  std::thread([options, clock = std::move(clock), processes = std::move(processes),
               promise = std::move(promise)]() mutable {
    promise.set_value(find_gpus(options, std::move(processes), std::move(clock)));
  }).detach();
  if (found.wait_for(options.start_timeout) != std::future_status::ready)
    return fail(Reason::kUnavailable,
                "the NVIDIA driver did not answer within " + base::to_string(options.start_timeout),
                options.library, "look at dmesg; a reset of the GPU or a reboot may be due");
  auto machine = found.get();
  if (!machine) return std::unexpected(machine.error());
  return std::unique_ptr<NvmlDriver>(new NvmlDriver(options, std::move(*machine)));
}

base::Result<NvmlDriver::Machine> NvmlDriver::find_gpus(const NvmlOptions& options,
                                                        std::shared_ptr<Processes> processes,
                                                        std::shared_ptr<const base::Clock> clock) {
  auto library = Library::open(options.library);
  if (!library) return std::unexpected(library.error());
  Machine machine{*library, {}};
  const Surroundings around{
      *library,         std::move(processes), std::make_shared<Ledger>(options.ledger, boot_id()),
      std::move(clock), options.read_only,    options.limits};
  unsigned count = 0;
  if (const auto code = machine.library->call().nvmlDeviceGetCount_v2(&count);
      code != abi::kSuccess)
    return fail(Reason::kUnavailable, error_of(code, "counting GPUs").detail, options.library);
  std::string trouble;
  for (unsigned i = 0; i < count; ++i) {
    auto gpu = Gpu::open(around, static_cast<GpuNumber>(i));
    if (gpu && options.adopt) (*gpu)->adopt();
    auto state = gpu ? (*gpu)->read() : std::unexpected(gpu.error());
    if (state)
      machine.gpus.push_back({std::move(*gpu), std::move(*state)});
    else
      trouble = state.error().detail;  // it is missed by whoever knows its UUID
  }
  if (machine.gpus.empty())
    return fail(Reason::kUnavailable,
                count == 0 ? "the driver runs, and finds no GPU" : "no GPU answers: " + trouble,
                options.library, "see nvidia-smi and dmesg");
  return machine;
}

NvmlDriver::NvmlDriver(const NvmlOptions& options, Machine machine)
    : options_(options), library_(std::move(machine.library)) {
  capabilities_.technologies = {Technology::kTimeSlicing};
  capabilities_.max_in_flight = options_.max_in_flight;
  std::vector<std::pair<GpuNumber, abi::Device>> handles;
  bool mig = false;
  for (auto& [gpu, state] : machine.gpus) {
    handles.emplace_back(gpu->number(), gpu->handle());
    mig |= gpu->mig_capable();
    capabilities_.use_samples |= gpu->measures();
    const auto number = gpu->number();
    workers_.emplace(
        number, std::make_unique<Worker>(std::move(gpu), std::move(state), options_.call_timeout));
  }
  if (mig) capabilities_.technologies.push_back(Technology::kMig);
  capabilities_.technologies.push_back(Technology::kWhole);
  xids_ = std::make_unique<XidWatch>(library_, handles);
}

Capabilities NvmlDriver::capabilities() const {
  return capabilities_;
}

std::expected<OperationId, Error> NvmlDriver::submit(Operation operation) {
  const auto worker = workers_.find(gpu_of(operation));
  if (worker == workers_.end())
    return std::unexpected(
        Error{ErrorCode::kNotFound, "no GPU " + std::to_string(gpu_of(operation))});
  std::size_t in_flight = 0;
  for (const auto& [number, each] : workers_) in_flight += each->in_flight();
  if (in_flight >= options_.max_in_flight)
    return std::unexpected(Error{ErrorCode::kOverloaded,
                                 std::to_string(options_.max_in_flight) + " operations in flight"});
  worker->second->submit(next_id_, operation);
  return next_id_++;
}

std::vector<Completion> NvmlDriver::poll() {
  std::vector<Completion> ended;
  for (const auto& [number, worker] : workers_)
    for (auto& completion : worker->collect()) ended.push_back(std::move(completion));
  return ended;
}

Observation NvmlDriver::observe() {
  const auto until = Worker::Clock::now() + kLongestLook;
  for (const auto& [number, worker] : workers_) worker->ask();
  Observation observation{boot_id(), {}};
  for (const auto& [number, worker] : workers_) {
    worker->wait_until(until, kLongestLook);
    observation.gpus.push_back(worker->state());
    observation.gpus.back().xids = xids_->of(number);
  }
  return observation;
}

}  // namespace tessera::device::nvml
