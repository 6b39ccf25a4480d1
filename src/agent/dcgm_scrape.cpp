#include "agent/dcgm_scrape.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace tessera::agent {
namespace {

using base::MiB;

constexpr double kMostMemory = 1 << 24;  // MiB
constexpr double kMostPower = 100'000;   // W

struct Row {
  std::string_view name;
  std::map<std::string, std::string, std::less<>> labels;
  double value = 0;

  std::string label(std::string_view key) const {
    const auto found = labels.find(key);
    return found == labels.end() ? std::string() : found->second;
  }
  bool has(std::string_view key) const { return labels.contains(key); }
  /// Where the exporter's own pod took the label, the tenant's was moved aside.
  std::string tenant(const std::string& key) const {
    return has("exported_" + key) ? label("exported_" + key) : label(key);
  }
};

void skip_spaces(std::string_view& rest) {
  rest.remove_prefix(std::min(rest.find_first_not_of(" \t"), rest.size()));
}

/// `key="value"`, with \" \\ and \n in the value.
bool read_label(std::string_view& rest, Row& row) {
  const auto equals = rest.find("=\"");
  if (equals == std::string_view::npos) return false;
  const auto key = rest.substr(0, equals);
  rest.remove_prefix(equals + 2);
  std::string value;
  while (!rest.empty() && rest.front() != '"') {
    const bool escape = rest.front() == '\\';
    if (escape) rest.remove_prefix(1);
    if (rest.empty()) return false;
    value += escape && rest.front() == 'n' ? '\n' : rest.front();
    rest.remove_prefix(1);
  }
  if (rest.empty()) return false;
  rest.remove_prefix(1);
  row.labels.insert_or_assign(std::string(key), std::move(value));
  return true;
}

bool read_labels(std::string_view& rest, Row& row) {
  if (rest.empty() || rest.front() != '{') return true;
  rest.remove_prefix(1);
  while (!rest.empty() && rest.front() != '}') {
    if (!read_label(rest, row)) return false;
    if (!rest.empty() && rest.front() == ',') rest.remove_prefix(1);
    skip_spaces(rest);
  }
  if (rest.empty()) return false;
  rest.remove_prefix(1);
  return true;
}

/// A sample with or without a time behind it, which is of no use here.
std::optional<Row> read_row(std::string_view line) {
  Row row;
  const auto end = line.find_first_of("{ \t");
  if (end == std::string_view::npos) return std::nullopt;
  row.name = line.substr(0, end);
  line.remove_prefix(end);
  if (!read_labels(line, row)) return std::nullopt;
  skip_spaces(line);
  const auto [next, error] = std::from_chars(line.data(), line.data() + line.size(), row.value);
  if (error != std::errc{} || next == line.data()) return std::nullopt;
  return row;
}

class Reader {
 public:
  void take(const Row& row) {
    const bool busy = row.name == "DCGM_FI_PROF_GR_ENGINE_ACTIVE" ||
                      row.name == "DCGM_FI_PROF_GR_ENGINE_UTIL_RATIO";
    const bool memory = row.name == "DCGM_FI_DEV_FB_USED";
    const bool power = row.name == "DCGM_FI_DEV_POWER_USAGE";
    if (!busy && !memory && !power) return;
    std::optional<std::uint32_t> instance;
    if (row.label("UUID").empty() || !std::isfinite(row.value) || row.value < 0 ||
        !read_instance(row, instance)) {
      ++scrape_.unread;
      return;
    }
    if (scrape_.host.empty())
      scrape_.host = row.has("hostname") ? row.label("hostname") : row.label("Hostname");
    if (busy) {
      // Above 1 is DCGM's mark for "no value", not a ratio.
      if (row.value <= 1)
        keep(device(row, instance).busy_permille, static_cast<int>(std::lround(row.value * 1000)));
    } else if (power) {
      if (row.value <= kMostPower)
        keep(device(row, std::nullopt).milliwatts,
             static_cast<std::int64_t>(std::llround(row.value * 1000)));
    } else if (row.value <= kMostMemory) {
      take_memory(row, instance);
    }
  }
  void not_a_row() { ++scrape_.unread; }

  DcgmScrape finish() {
    for (auto& [key, device] : devices_) scrape_.devices.push_back(std::move(device));
    return std::move(scrape_);
  }

 private:
  void take_memory(const Row& row, std::optional<std::uint32_t> instance) {
    const MiB used(std::llround(row.value));
    if (!row.has("vgpu")) return keep(device(row, instance).memory, used);
    const DcgmPod pod{row.label("UUID"), row.tenant("namespace"), row.tenant("pod"),
                      row.tenant("container"), used};
    const bool known = std::ranges::any_of(scrape_.pods, [&](const DcgmPod& other) {
      return std::tie(other.gpu, other.space, other.pod, other.container) ==
             std::tie(pod.gpu, pod.space, pod.pod, pod.container);
    });
    if (!known) scrape_.pods.push_back(pod);
  }

  static bool read_instance(const Row& row, std::optional<std::uint32_t>& instance) {
    const auto text = row.label("GPU_I_ID");
    if (text.empty()) return true;
    std::uint32_t id = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
    instance = id;
    return error == std::errc{} && end == text.data() + text.size();
  }

  DcgmDevice& device(const Row& row, std::optional<std::uint32_t> instance) {
    const auto gpu = row.label("UUID");
    return devices_.try_emplace({gpu, instance}, DcgmDevice{gpu, instance, {}, {}, {}})
        .first->second;
  }
  /// The first row of several that tell the same.
  template <class T>
  static void keep(std::optional<T>& known, T value) {
    if (!known) known = value;
  }

  DcgmScrape scrape_;
  std::map<std::pair<std::string, std::optional<std::uint32_t>>, DcgmDevice> devices_;
};

}  // namespace

DcgmScrape read_dcgm(std::string_view text) {
  Reader reader;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    auto line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    skip_spaces(line);
    if (line.empty() || line.front() == '#') continue;
    if (const auto row = read_row(line))
      reader.take(*row);
    else
      reader.not_a_row();
  }
  return reader.finish();
}

std::vector<OutsideReading> DcgmFeed::next(const DcgmScrape& scrape, base::Instant now) {
  std::vector<OutsideReading> readings;
  for (const auto& device : scrape.devices) {
    if (!device.busy_permille) continue;
    const auto [seen, first] = seen_.try_emplace({device.gpu, device.instance}, now);
    const auto span = std::clamp(now - seen->second, base::Duration(0), kLongest);
    seen->second = now;
    if (!first && span > base::Duration(0))
      readings.push_back({device.gpu, device.instance, *device.busy_permille, span});
  }
  std::erase_if(seen_, [&](const auto& entry) { return now - entry.second > kLongest; });
  return readings;
}

}  // namespace tessera::agent
