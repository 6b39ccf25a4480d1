#include "app/words.h"

#include <algorithm>
#include <charconv>
#include <set>

#include <fmt/format.h>

#include "base/quantity.h"

namespace tessera::app {
namespace {

using wire::Json;
using namespace std::chrono_literals;

constexpr std::int64_t kGigabyte = 1'000'000'000;
constexpr std::int64_t kMebibyte = 1 << 20;

std::string times(std::size_t count, const std::string& what) {
  return count == 1 ? what : fmt::format("{} x {}", count, what);
}

/// An instant to the minute, and how long until then.
std::string until_words(const Json& status, base::Instant now) {
  const auto expires = text_at(status, "expiresAt");
  if (expires.empty()) return {};
  return fmt::format(", until {} ({})", moment_words(expires, now), time_until(expires, now));
}

constexpr std::size_t kBarCells = 8;

/// Marks the cells of a bar that [start, start + size) of `whole` touches.
void fill(std::string& bar, std::int64_t start, std::int64_t size, std::int64_t whole, char mark) {
  const auto cells = static_cast<std::int64_t>(bar.size());
  const auto first = start * cells / whole;
  const auto last = (std::min(start + size, whole) * cells + whole - 1) / whole;
  for (auto i = std::max<std::int64_t>(first, 0); i < std::min(last, cells); ++i)
    bar[static_cast<std::size_t>(i)] = mark;
}

std::int64_t number_at(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number() ? found->get<std::int64_t>() : 0;
}

double number_of(const std::string& text) {
  double value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

/// An amount of GPUs is a number, or compute and memory apart; the larger is what limits.
double larger_of(const Json& amount) {
  if (amount.is_object())
    return std::max(number_of(text_at(amount, "compute")), number_of(text_at(amount, "memory")));
  return number_of(text_at(amount, ""));
}

/// At most two decimals and none in vain: "3.5", "4".
std::string gpus_words(double gpus) {
  auto text = fmt::format("{:.2f}", gpus);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text;
}

}  // namespace

std::string text_at(const Json& object, std::string_view path, std::string_view otherwise) {
  const Json* value = &object;
  while (!path.empty()) {
    const auto key = std::string(path.substr(0, path.find('.')));
    if (!value->is_object() || !value->contains(key)) return std::string(otherwise);
    value = &(*value)[key];
    path.remove_prefix(std::min(path.size(), key.size() + 1));
  }
  if (value->is_null()) return std::string(otherwise);
  const auto text = value->is_string() ? value->get<std::string>() : value->dump();
  return text.empty() ? std::string(otherwise) : text;
}

std::string memory_words(std::string_view text) {
  const auto memory = base::parse_memory(text);
  if (!memory || memory->count() % 1024 == 0) return std::string(text);
  const auto gigabytes = memory->count() * kMebibyte / kGigabyte;
  const bool whole =
      gigabytes > 0 && (gigabytes * kGigabyte + kMebibyte - 1) / kMebibyte == memory->count();
  return whole ? fmt::format("{}GB", gigabytes) : std::string(text);
}

std::string money_words(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::string(text);
  auto words = fmt::format("{:.3f}", value);
  if (words.ends_with('0')) words.pop_back();
  return words;
}

std::string proof_words(const Json& plan) {
  if (plan.at("proven").get<bool>())
    return "Proven: no plan serves more, and none that serves as much moves less or changes fewer "
           "GPUs.";
  return fmt::format(
      "Not proven within the time limit: no plan serves more than {}; one that serves as much "
      "moves at least {} and changes at least {} GPUs.",
      plan.at("servedBound").dump(), plan.at("movedBound").dump(), plan.at("changedBound").dump());
}

std::string age_of(std::string_view instant, base::Instant now) {
  const auto parsed = base::parse_instant(instant);
  if (!parsed) return "-";
  const auto span = std::max<base::Duration>(now - *parsed, 0s);
  const auto text = base::to_string(std::chrono::floor<std::chrono::seconds>(span));
  // The largest unit alone is enough to read at a glance.
  return text.substr(0, text.find_first_not_of("0123456789") + 1);
}

std::string time_until(std::string_view instant, base::Instant now) {
  const auto parsed = base::parse_instant(instant);
  if (!parsed) return "-";
  const auto span = std::chrono::ceil<std::chrono::minutes>(*parsed - now);
  return span <= 0min ? "0m" : base::to_string(span);
}

std::string moment_words(std::string_view instant, base::Instant now) {
  constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const auto parsed = base::parse_instant(instant);
  if (!parsed) return std::string(instant);
  const auto day = std::chrono::floor<std::chrono::days>(*parsed);
  const auto time = std::chrono::hh_mm_ss(*parsed - day);
  const auto clock = fmt::format("{:02}:{:02} UTC", time.hours().count(), time.minutes().count());
  if (day == std::chrono::floor<std::chrono::days>(now)) return clock;
  const std::chrono::year_month_day date(day);
  return fmt::format("{} {} {}", static_cast<unsigned>(date.day()),
                     kMonths[static_cast<unsigned>(date.month()) - 1], clock);
}

std::string want_words(const Json& request) {
  const auto count = text_at(request, "spec.count", "1");
  const auto nodes = text_at(request, "spec.nodes", "1");
  std::string want = nodes == "1" ? "" : nodes + " nodes x ";
  if (count != "1") want += count + " x ";
  if (const auto memory = text_at(request, "spec.memory"); !memory.empty() && memory != "0MiB")
    want += memory_words(memory) + " ";
  if (const auto sms = text_at(request, "spec.sms", "0"); sms != "0") want += sms + "SMs ";
  if (const auto compute = text_at(request, "spec.compute", "0"); compute != "0")
    want += compute + "% ";
  return want + text_at(request, "spec.isolation");
}

std::string profiles_words(const Json& slices) {
  return slices.empty() ? "-" : times(slices.size(), text_at(slices[0], "profile"));
}

std::string place_words(const Json& slices) {
  if (slices.empty()) return "-";
  constexpr std::size_t kNamed = 3;
  std::vector<std::string> gpus, nodes;
  const auto add = [](std::vector<std::string>& names, std::string name) {
    if (std::ranges::find(names, name) == names.end()) names.push_back(std::move(name));
  };
  for (const auto& slice : slices) {
    const auto gpu = text_at(slice, "gpu");
    add(gpus, gpu);
    add(nodes, gpu.substr(0, gpu.rfind('/')));
  }
  if (gpus.size() == 1) return gpus.front();
  return nodes.size() > kNamed ? std::to_string(nodes.size()) + " nodes"
                               : fmt::format("{}", fmt::join(nodes, ", "));
}

std::string slices_words(const Json& slices) {
  return slices.empty() ? "-" : profiles_words(slices) + " on " + place_words(slices);
}

std::vector<Json> team_rows(const Json& team) {
  const Json quotas = team.value("spec", Json::object()).value("quotas", Json::object());
  const Json usage = team.value("status", Json::object()).value("usage", Json::object());
  std::set<std::string> pools;
  for (const auto& [pool, quota] : quotas.items()) pools.insert(pool);
  for (const auto& [pool, used] : usage.items()) pools.insert(pool);
  std::vector<Json> rows;
  for (const auto& pool : pools) {
    const Json quota = quotas.value(pool, Json::object());
    const double used = larger_of(usage.value(pool, Json()));
    const double guaranteed = larger_of(quota.value("guaranteed", Json()));
    Json row = team;
    row["quota"] = {{"pool", pool},
                    {"used", gpus_words(used)},
                    {"guaranteed", gpus_words(guaranteed)},
                    {"borrowed", gpus_words(std::max(0.0, used - guaranteed))},
                    {"weight", quota.value("weight", Json())}};
    if (const Json limit = quota.value("limit", Json()); !limit.is_null())
      row["quota"]["limit"] = gpus_words(larger_of(limit));
    rows.push_back(std::move(row));
  }
  if (rows.empty()) rows.push_back(team);
  return rows;
}

bool has_ended(std::string_view state) {
  return state == "released" || state == "ended" || state == "rejected" || state == "cancelled" ||
         state == "failed";
}

std::string request_words(const Json& request, base::Instant now) {
  const Json status = request.value("status", Json::object());
  const Json slices = status.value("slices", Json::array());
  const auto state = text_at(status, "state");
  const auto reason = text_at(status, "reason");
  std::string words = state;
  if (!slices.empty() && !has_ended(state)) {
    words += ": " + slices_words(slices) + ", tier " + text_at(status, "tier");
    if (const auto price = text_at(status, "pricePerHour"); !price.empty())
      words += ", " + money_words(price) + " per hour";
    return words + until_words(status, now);
  }
  if (!reason.empty()) words += " (" + reason + ")";
  if (const auto message = text_at(status, "message"); !message.empty()) words += ": " + message;
  if (const auto position = text_at(status, "position", "0"); position != "0")
    words += ", position " + position + " in the queue";
  return words;
}

std::string memory_bar(const Json& gpu) {
  const Json status = gpu.value("status", Json::object());
  const auto parts = number_at(status, "memorySlices");
  const bool in_slices = text_at(status, "axis") != "MiB";
  const auto memory = base::parse_memory(text_at(status, "memory"));
  const auto whole = in_slices ? parts : (memory ? memory->count() : 0);
  if (whole <= 0) return "-";
  std::string bar(in_slices ? static_cast<std::size_t>(parts) : kBarCells, '/');
  for (const auto& free : status.value("free", Json::array()))
    fill(bar, number_at(free, "start"), number_at(free, "size"), whole, '.');
  for (const auto& slice : status.value("slices", Json::array()))
    fill(bar, number_at(slice, "start"), number_at(slice, "size"), whole,
         text_at(slice, "phase") == "idle" ? '=' : '#');
  return bar;
}

std::size_t seen_width(std::string_view text) {
  std::size_t seen = 0;
  bool escape = false;
  for (const char c : text) {
    if (c == '\033') escape = true;
    if (!escape && (static_cast<unsigned char>(c) & 0xc0) != 0x80) ++seen;
    if (escape && c == 'm') escape = false;
  }
  return seen;
}

std::string wrapped(std::string_view text, std::size_t width, std::size_t indent) {
  if (width == 0) return std::string(text);
  std::string out;
  std::size_t column = 0;
  while (!text.empty()) {
    const auto word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(text.size(), word.size() + 1));
    if (column > indent && column + 1 + seen_width(word) > width) {
      out += "\n" + std::string(indent, ' ');
      column = indent;
    } else if (!out.empty()) {
      out += ' ';
      ++column;
    }
    out += word;
    column += seen_width(word);
  }
  return out;
}

}  // namespace tessera::app
