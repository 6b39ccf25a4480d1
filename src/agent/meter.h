#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/use_book.h"
#include "base/time.h"
#include "catalog/gpu_model.h"
#include "device/driver.h"
#include "fleet/slice.h"

/// Measures what every lease of a node really uses.
///
/// Once a second each GPU is sampled, all its instances and tenants in one operation. A sample says
/// how busy a device was over a span of time; that span, by the driver's steady clock, is what
/// counts, and never the time of day. A lease is charged from the first moment it was seen to hold
/// the device: of the span that reaches back beyond that, only the rest.
///
/// Power is measured of whole GPUs only. A lease is told the part of it that its slices are.
///
/// Threads: sample() and take() on the agent's; all else from anywhere.
namespace tessera::agent {

/// A device that a lease holds at this moment.
struct Holding {
  std::string device;  ///< an instance's UUID, or the GPU's
  fleet::LeaseId lease;
  bool shared = false;      ///< with other leases: the sample of this tenant counts
  fleet::GpuFraction part;  ///< of the GPU
  base::Instant since{};    ///< first seen; set by the Meter
};

/// What is known from elsewhere of how busy a device was, as where NVML measures nothing.
struct OutsideReading {
  std::string gpu;                        ///< UUID
  std::optional<std::uint32_t> instance;  ///< the driver's id of the GPU instance; none: the GPU
  int busy_permille = 0;
  base::Duration span{};
};

/// How things stand, for people and dashboards.
struct MeterView {
  struct Device {
    device::UseSample sample;
    std::string profile;                     ///< "1g.10gb"; empty for a GPU
    std::optional<std::uint32_t> driver_id;  ///< of the GPU instance
    std::optional<base::MiB> memory;         ///< in all, where the catalog knows
    std::vector<fleet::LeaseId> leases;
  };
  struct Gpu {
    device::GpuNumber number = 0;
    std::string uuid;
    std::string model;  ///< the catalog's key; empty where it does not know it
    bool answering = true;
    int last_xid = 0;
    device::GpuReading reading;
    std::vector<Device> devices;
  };
  std::vector<Gpu> gpus;
  std::map<fleet::LeaseId, fleet::Use> totals;
  std::size_t unsent = 0;     ///< batches without a receipt
  std::uint64_t samples = 0;  ///< of devices, since this process began
};

struct MeterOptions {
  base::Duration every = std::chrono::seconds(1);
  /// How long a lease's total is shown after it was last held, for a last scrape to find it.
  base::Duration afterglow = std::chrono::minutes(5);
  /// A sample that has not come back by then is not waited for.
  base::Duration patience = std::chrono::seconds(30);
};

class Meter {
 public:
  Meter(std::shared_ptr<const catalog::Catalog> catalog, UseBook book, MeterOptions options = {});

  /// Asks for samples where they are due. Returns when to call again.
  base::Instant sample(device::Driver& driver, const device::Observation& observation,
                       std::vector<Holding> holdings, base::Instant now);
  /// True if the completion was one of sample()'s.
  bool take(const device::Completion& completion);
  /// Counts only what NVML does not tell of the same device.
  void add_outside(const std::vector<OutsideReading>& readings, base::Instant now);

  /// Closes what is open into a batch; true if there was something.
  bool close();
  void acknowledge(const fleet::UseReceipt& receipt);
  UseBook book() const;
  MeterView view() const;

 private:
  struct Call {
    device::GpuState state;
    std::vector<Holding> holdings;
    base::Instant at{};
  };

  void note_holdings(std::vector<Holding> holdings, base::Instant now);
  MeterView::Gpu describe(const device::GpuState& state) const;
  void show(const Call& call, const device::Completion& completion);

  std::shared_ptr<const catalog::Catalog> catalog_;
  MeterOptions options_;

  mutable std::mutex mutex_;
  UseBook book_;
  std::vector<Holding> holdings_;
  std::map<fleet::LeaseId, base::Instant> last_held_;
  std::map<device::OperationId, Call> calls_;
  std::map<std::string, MeterView::Gpu> gpus_;  ///< by UUID
  std::optional<base::Instant> next_;
  std::uint64_t samples_ = 0;
};

}  // namespace tessera::agent
