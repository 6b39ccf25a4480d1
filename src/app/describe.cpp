#include "app/describe.h"

#include <algorithm>
#include <array>
#include <vector>

#include <fmt/core.h>

#include "app/table.h"
#include "app/terminal.h"
#include "app/words.h"

namespace tessera::app {
namespace {

using wire::Json;

/// What matters first comes first; other fields follow in alphabetical order.
constexpr std::array<std::string_view, 26> kOrder = {
    "state",  "phase",       "cordoned", "reason",       "message",  "position", "team",
    "parent", "description", "purpose",  "memory",       "sms",      "compute",  "isolation",
    "count",  "duration",    "tier",     "request",      "lease",    "pool",     "node",
    "model",  "models",      "gpus",     "pricePerHour", "expiresAt"};

/// Shown as tables or a bar, or told by another line.
constexpr std::array<std::string_view, 8> kApart = {"slices", "free",  "stranded", "quotas",
                                                    "usage",  "hints", "axis",     "cost"};

constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kAcronyms = {
    {{"cpu", "CPU"}, {"cpuUsed", "CPU used"}, {"gpus", "GPUs"}, {"sms", "SMs"}, {"uuid", "UUID"}}};

bool says_nothing(const Json& value) {
  if (value.is_null() || (value.is_structured() && value.empty())) return true;
  if (value.is_boolean()) return !value.get<bool>();
  if (value.is_number()) return value.get<double>() == 0;
  const auto text = value.is_string() ? value.get<std::string>() : std::string();
  return value.is_string() && (text.empty() || text == "0" || text == "0MiB" || text == "0s");
}

/// "pricePerHour" -> "Price per hour".
std::string label_of(std::string_view key) {
  for (const auto& [name, label] : kAcronyms)
    if (key == name) return std::string(label);
  std::string label;
  for (const char c : key) {
    const bool upper = c >= 'A' && c <= 'Z';
    if (upper) label += ' ';
    label += upper ? static_cast<char>(c - 'A' + 'a') : c;
  }
  if (!label.empty() && label[0] >= 'a' && label[0] <= 'z')
    label[0] = static_cast<char>(label[0] - 'a' + 'A');
  return label;
}

std::string moment_and_span(const std::string& instant, base::Instant now) {
  const auto parsed = base::parse_instant(instant);
  if (!parsed) return instant;
  const auto span =
      *parsed > now ? "in " + time_until(instant, now) : age_of(instant, now) + " ago";
  return fmt::format("{} ({})", moment_words(instant, now), span);
}

std::string value_of(std::string_view key, const Json& value, base::Instant now) {
  if (value.is_array()) {
    std::string words;
    for (const auto& item : value) words += (words.empty() ? "" : ", ") + value_of("", item, now);
    return words;
  }
  if (value.is_object()) {
    std::string words;
    for (const auto& [name, item] : value.items())
      words += (words.empty() ? "" : ", ") + name + " " + value_of(name, item, now);
    return words;
  }
  if (!value.is_string()) return value.is_boolean() ? "yes" : value.dump();
  const auto text = value.get<std::string>();
  if (key.ends_with("At")) return moment_and_span(text, now);
  if (key == "pricePerHour") return money_words(text);
  if (key == "memory" || key == "slot") return memory_words(text);
  if (key == "state" || key == "phase") return paint(text, colour_of_state(text));
  return text;
}

std::vector<std::string> keys_of(const Json& object) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : object.items())
    if (!says_nothing(value) && std::ranges::find(kApart, key) == kApart.end()) keys.push_back(key);
  std::ranges::stable_sort(keys, {}, [](const std::string& key) {
    return std::ranges::find(kOrder, key) - kOrder.begin();
  });
  return keys;
}

/// A table of objects; a column that is empty in all of them is left out.
std::string table_of(const Json& rows,
                     const std::vector<std::pair<std::string, std::string>>& columns) {
  std::vector<std::pair<std::string, std::string>> kept;
  for (const auto& column : columns)
    if (std::ranges::any_of(rows,
                            [&](const Json& row) { return !text_at(row, column.second).empty(); }))
      kept.push_back(column);
  std::vector<std::string> titles;
  for (const auto& [title, path] : kept) titles.push_back(title);
  Table table(titles);
  for (const auto& row : rows) {
    std::vector<std::string> cells;
    for (const auto& [title, path] : kept) cells.push_back(text_at(row, path, "-"));
    table.add(std::move(cells));
  }
  return "\n" + table.text();
}

std::string parts_of(const Json& object) {
  const Json slices = object.value("status", Json::object()).value("slices", Json::array());
  std::string text;
  if (!slices.empty())
    text += table_of(slices, {{"SLICE", "profile"},
                              {"GPU", "gpu"},
                              {"START", "start"},
                              {"SMS", "sms"},
                              {"MEMORY", "memory"},
                              {"PHASE", "phase"},
                              {"TEAM", "team"},
                              {"LEASE", "lease"},
                              {"DEVICE", "device"}});
  if (text_at(object, "kind") == "Team")
    text += table_of(team_rows(object), {{"POOL", "quota.pool"},
                                         {"USED", "quota.used"},
                                         {"GUARANTEED", "quota.guaranteed"},
                                         {"BORROWED", "quota.borrowed"},
                                         {"LIMIT", "quota.limit"},
                                         {"WEIGHT", "quota.weight"}});
  return text;
}

std::string expected(const std::string& eta, base::Instant now) {
  return fmt::format("{} (in {})", moment_words(eta, now), time_until(eta, now));
}

std::string alternative_words(const Json& alternative, base::Instant now) {
  const auto at = text_at(alternative, "at");
  if (at.empty()) return text_at(alternative, "text");
  return fmt::format("fits when {} ends, {}, going by declared ends only",
                     text_at(alternative, "after"), expected(at, now));
}

}  // namespace

std::string description(const Json& object, base::Instant now) {
  Table lines({text_at(object, "kind"), text_at(object, "metadata.name")});
  const Json metadata = object.value("metadata", Json::object());
  if (const auto at = text_at(metadata, "createdAt"); !at.empty()) {
    const auto by = text_at(metadata, "createdBy");
    lines.add({"Created", moment_and_span(at, now) + (by.empty() ? "" : " by " + by)});
  }
  const Json spec = object.value("spec", Json::object());
  const Json status = object.value("status", Json::object());
  for (const Json* part : {&spec, &status}) {
    for (const auto& key : keys_of(*part)) {
      // What was asked for and what came of it may have the same name: the latter counts.
      if (part == &spec && status.contains(key) && !says_nothing(status[key])) continue;
      lines.add({label_of(key), value_of(key, (*part)[key], now)});
    }
  }
  if (text_at(object, "kind") == "Gpu")
    lines.add({"Memory map", fmt::format("{}   ({})", memory_bar(object), kMemoryBarKey)});
  std::string text = lines.text() + parts_of(object);
  for (const auto& hint : status.value("hints", Json::array()))
    text += "\nhint: " + hint.get<std::string>() + "\n";
  return text;
}

std::string explanation(const Json& why, base::Instant now, std::size_t width) {
  std::string text;
  const std::size_t inside = width > 2 ? width - 2 : 0;
  const auto line = [&](std::string_view words) {
    text += "  " + wrapped(words, inside, 4) + "\n";
  };
  if (why.value("fitsNow", false)) {
    const Json spot = why.value("spot", Json::object());
    text += wrapped(fmt::format("{}  {}, tier {}, {} per hour", paint("FITS NOW", Colour::kGreen),
                                slices_words(spot.value("slices", Json::array())),
                                text_at(spot, "tier"), money_words(text_at(spot, "pricePerHour"))),
                    width, 2) +
            "\n";
  } else {
    text += wrapped(fmt::format("{}  {}: {}", paint("DOES NOT FIT NOW", Colour::kYellow),
                                text_at(why, "reason"), text_at(why, "message")),
                    width, 2) +
            "\n";
    if (const auto position = text_at(why, "position", "0"); position != "0")
      line("position " + position + " in the queue");
    if (const auto eta = text_at(why, "eta"); !eta.empty())
      line("expected " + expected(eta, now) + ", going by declared ends only");
  }
  const Json blockers = why.value("blockers", Json::array());
  if (!blockers.empty()) text += "\nIn the way:\n";
  for (const auto& blocker : blockers)
    line(fmt::format("{} ({}): {}", text_at(blocker, "profile"), text_at(blocker, "reason"),
                     text_at(blocker, "detail")));
  const Json alternatives = why.value("alternatives", Json::array());
  if (!alternatives.empty()) text += "\nWhat would fit:\n";
  for (const auto& alternative : alternatives) line(alternative_words(alternative, now));
  const Json hints = why.value("hints", Json::array());
  if (!hints.empty()) text += "\n";
  for (const auto& hint : hints)
    text += wrapped("hint: " + hint.get<std::string>(), width, 6) + "\n";
  return text;
}

}  // namespace tessera::app
