#pragma once

#include <map>

#include "device/driver.h"
#include "device/simulated/machine.h"

/// The Driver over a simulated Machine. It serves MIG, shares and whole GPUs; vGPUs it does not.
namespace tessera::device::simulated {

struct DriverOptions {
  Duration call_timeout = std::chrono::seconds(10);  ///< then a call counts as hung
  std::size_t max_in_flight = 64;
};

/// Must not outlive its machine; a machine may have any number of drivers one after another.
class SimulatedDriver final : public Driver {
 public:
  explicit SimulatedDriver(Machine& machine, DriverOptions options = {});
  ~SimulatedDriver() override;
  SimulatedDriver(const SimulatedDriver&) = delete;
  SimulatedDriver& operator=(const SimulatedDriver&) = delete;

  Capabilities capabilities() const override;
  std::expected<OperationId, Error> submit(Operation operation) override;
  std::vector<Completion> poll() override;
  Observation observe() override;
  std::optional<Instant> next_completion() const override;

 private:
  struct Call {
    GpuNumber gpu = 0;
    Instant deadline{};
  };

  void collect();
  bool hung(GpuNumber gpu) const;

  Machine* machine_;
  DriverOptions options_;
  Machine::Session session_;
  OperationId next_id_ = 1;
  std::map<OperationId, Call> running_;
  std::map<OperationId, GpuNumber> overdue_;  ///< completed as kTimeout, still not back
  std::vector<Completion> ended_;             ///< not yet polled
  std::map<GpuNumber, GpuState> last_read_;
};

}  // namespace tessera::device::simulated
