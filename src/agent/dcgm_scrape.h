#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "agent/meter.h"
#include "base/quantity.h"
#include "base/time.h"

/// Reads what NVIDIA's dcgm-exporter shows at /metrics, for GPUs whose instances NVML does not
/// measure (MIG on Ampere).
///
/// What a scrape says has traps, and this is what is made of them:
/// 1. Names and labels differ by version: GR_ENGINE_ACTIVE or GR_ENGINE_UTIL_RATIO, Hostname or
///    hostname. Both are read.
/// 2. Through a Prometheus server the exporter's own pod may take the label, and the tenant's is
///    then exported_pod (and so on).
/// 3. Values of a whole GPU are repeated on each of its instances, and values of a device on each
///    pod that shares it. A device has one value of each, however many rows tell it.
/// 4. Where GPUs are shared, there is a row for the device, and rows of what each pod holds. The
///    latter have a `vgpu` label, and only their memory is theirs.
/// 5. The exporter collects every 30 s, so half of the scrapes repeat the other half. Values are
///    taken as holding since the scrape before, by the clock: repeats count nothing twice.
/// 6. Instance ids are used again. The Meter knows which device has one now, and since when.
namespace tessera::agent {

struct DcgmDevice {
  std::string gpu;                        ///< UUID
  std::optional<std::uint32_t> instance;  ///< none: the whole GPU
  std::optional<int> busy_permille;
  std::optional<base::MiB> memory;         ///< used
  std::optional<std::int64_t> milliwatts;  ///< on whole GPUs only
  friend bool operator==(const DcgmDevice&, const DcgmDevice&) = default;
};

/// What one pod holds of a shared GPU.
struct DcgmPod {
  std::string gpu;
  std::string space, pod, container;
  base::MiB memory;
  friend bool operator==(const DcgmPod&, const DcgmPod&) = default;
};

struct DcgmScrape {
  std::vector<DcgmDevice> devices;  ///< by GPU and instance
  std::vector<DcgmPod> pods;
  std::string host;        ///< as the exporter calls it
  std::size_t unread = 0;  ///< lines that make no sense; those of other metrics are not counted
};

/// Takes any bytes.
DcgmScrape read_dcgm(std::string_view text);

/// Makes readings out of scrapes that follow one another.
class DcgmFeed {
 public:
  /// A value speaks for no more time than this: longer ago nobody looked.
  static constexpr base::Duration kLongest = std::chrono::seconds(60);

  /// `now` by a clock that nobody sets.
  std::vector<OutsideReading> next(const DcgmScrape& scrape, base::Instant now);

 private:
  using Key = std::pair<std::string, std::optional<std::uint32_t>>;
  std::map<Key, base::Instant> seen_;
};

}  // namespace tessera::agent
