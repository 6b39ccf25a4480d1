#include "app/output.h"

#include <functional>
#include <map>
#include <optional>
#include <set>

#include <fmt/core.h>
#include <fmt/ranges.h>

#include "app/table.h"
#include "app/terminal.h"
#include "app/words.h"
#include "base/time.h"
#include "wire/yaml.h"

namespace tessera::app {
namespace {

using wire::Json;

struct Column {
  std::string title;
  std::function<std::string(const Json&)> cell;
  bool wide = false;  ///< only with -o wide
};

Column at(std::string title, std::string path, bool wide = false) {
  return {std::move(title), [path](const Json& o) { return text_at(o, path, "-"); }, wide};
}

Column state(std::string path) {
  return {"STATE", [path](const Json& o) {
            const auto text = text_at(o, path, "-");
            return paint(text, colour_of_state(text));
          }};
}

Column age(std::string title, std::string path) {
  return {std::move(title), [path](const Json& o) { return age_of(text_at(o, path), now()); }};
}

Column money(std::string title, std::string path, bool wide = false) {
  return {std::move(title), [path](const Json& o) { return money_words(text_at(o, path, "-")); },
          wide};
}

/// What is over does not expire.
std::string expiry_of(const Json& object) {
  if (has_ended(text_at(object, "status.state"))) return "-";
  return time_until(text_at(object, "status.expiresAt"), now());
}

/// A reason that only repeats the state says nothing.
std::string reason_of(const Json& request) {
  const auto reason = text_at(request, "status.reason", "-");
  return reason == "Released" || reason == "Cancelled" ? "-" : reason;
}

std::string position_of(const Json& request) {
  const auto position = text_at(request, "status.position", "0");
  return position == "0" ? "-" : position;
}

Json slices_at(const Json& object) {
  return object.value("status", Json::object()).value("slices", Json::array());
}

std::string slices_of(const Json& object) {
  const Json slices = slices_at(object);
  return slices.empty() ? "-" : profiles_words(slices) + "@" + place_words(slices);
}

/// A number of a lease's measured use; none where nothing was measured yet.
std::optional<double> used(const Json& lease, const char* what) {
  const auto number = lease.value(Json::json_pointer(std::string("/status/use/") + what), Json());
  return number.is_number() ? std::optional(number.get<double>()) : std::nullopt;
}
std::string busy_of(const Json& lease) {
  const auto ratio = used(lease, "busyRatio");
  return ratio ? fmt::format("{:.0f}%", *ratio * 100) : "-";
}
std::string gpu_time_of(const Json& lease) {
  const auto seconds = used(lease, "busySeconds").value_or(0);
  return used(lease, "busyRatio")
             ? base::to_string(base::Duration(static_cast<std::int64_t>(seconds) * 1000))
             : "-";
}
std::string energy_of(const Json& lease) {
  const auto joules = used(lease, "energyJoules").value_or(0);
  return joules > 0 ? fmt::format("{:.2f}kWh", joules / 3.6e6) : "-";
}

/// The teams that hold a part of a GPU, each once.
std::string teams_of(const Json& gpu) {
  std::set<std::string> teams;
  for (const auto& slice : slices_at(gpu))
    if (const auto team = text_at(slice, "team"); !team.empty()) teams.insert(team);
  return teams.empty() ? "-" : fmt::format("{}", fmt::join(teams, ","));
}

/// A cordoned node is ready for what it holds and for nothing new.
std::string phase_of(const Json& node) {
  const auto phase = text_at(node, "status.phase", "-");
  const auto shown =
      phase == "ready" && text_at(node, "status.cordoned") == "true" ? "cordoned" : phase;
  return paint(shown, colour_of_state(shown));
}

std::string used_of(const Json& node, const std::string& used, const std::string& whole) {
  return text_at(node, "status." + used, "0") + " of " + text_at(node, "spec." + whole, "0");
}

std::string joined(const Json& object, std::string_view key) {
  std::string text;
  const Json& spec = object.value("spec", Json::object());
  for (const auto& item : spec.value(std::string(key), Json::array()))
    text += (text.empty() ? "" : ",") + item.get<std::string>();
  return text.empty() ? "-" : text;
}

std::map<std::string, std::vector<Column>> columns_of_asking() {
  return {{"Request",
           {at("REQUEST", "metadata.name"),
            at("TEAM", "spec.team"),
            {"WANT", want_words},
            at("TIER", "status.tier"),
            state("status.state"),
            {"REASON", reason_of},
            {"POS", position_of},
            {"EXPIRES", expiry_of},
            age("AGE", "metadata.createdAt"),
            {"SLICES", slices_of, true},
            money("PRICE/H", "status.pricePerHour", true),
            at("BY", "metadata.createdBy", true),
            at("PURPOSE", "spec.purpose", true)}},
          {"Lease",
           {at("LEASE", "metadata.name"),
            at("TEAM", "spec.team"),
            {"SLICES", [](const Json& o) { return profiles_words(slices_at(o)); }},
            {"GPU", [](const Json& o) { return place_words(slices_at(o)); }},
            at("TIER", "spec.tier"),
            state("status.state"),
            {"EXPIRES", expiry_of},
            money("COST/H", "status.pricePerHour"),
            at("REQUEST", "spec.request", true),
            {"BUSY", busy_of, true},
            {"GPU TIME", gpu_time_of, true},
            {"ENERGY", energy_of, true},
            at("REASON", "status.endReason", true)}},
          {"Token",
           {at("TOKEN", "metadata.name"),
            at("ROLE", "spec.role"),
            at("SUBJECT", "spec.subject"),
            {"EXPIRES",
             [](const Json& o) { return time_until(text_at(o, "spec.expiresAt"), now()); }}}}};
}

std::map<std::string, std::vector<Column>> columns_of_the_fleet() {
  return {{"Gpu",
           {at("GPU", "metadata.name"),
            at("MODEL", "spec.model"),
            at("POOL", "spec.pool"),
            state("status.state"),
            at("TECHNOLOGY", "status.technology"),
            {"MEMORY", memory_bar},
            {"TEAMS", teams_of},
            at("UUID", "status.uuid", true),
            at("DETAIL", "status.detail", true)}},
          {"Node",
           {at("NODE", "metadata.name"),
            at("POOL", "spec.pool"),
            {"STATE", phase_of},
            at("GPUS", "spec.gpus"),
            {"CPU", [](const Json& o) { return used_of(o, "cpuUsed", "cpu"); }},
            {"HOST MEMORY", [](const Json& o) { return used_of(o, "memoryUsed", "memory"); }}}},
          {"Pool",
           {at("POOL", "metadata.name"),
            at("MODEL", "spec.model"),
            {"TIERS", [](const Json& o) { return joined(o, "tiers"); }},
            at("LAYOUT", "spec.layout.policy"),
            at("NODES", "status.nodes"),
            at("GPUS", "status.gpus"),
            at("READY", "status.ready")}}};
}

std::map<std::string, std::vector<Column>> columns_of_promises() {
  return {
      {"Tier",
       {at("TIER", "metadata.name"),
        at("ISOLATION", "spec.isolation"),
        {"TECHNOLOGIES", [](const Json& o) { return joined(o, "technologies"); }},
        {"SLOT", [](const Json& o) { return memory_words(text_at(o, "spec.slot", "-")); }},
        money("PRICE/H", "spec.pricePerHour"),
        at("DEFAULT", "spec.defaultDuration"),
        at("MAX", "spec.maxDuration"),
        at("OVERSUBSCRIPTION", "spec.oversubscription", true),
        {"TEAMS", [](const Json& o) { return joined(o, "teams"); }, true}}},
      {"Team",
       {at("TEAM", "metadata.name"), at("POOL", "quota.pool"), at("USED", "quota.used"),
        at("GUARANTEED", "quota.guaranteed"), at("BORROWED", "quota.borrowed"),
        at("LIMIT", "quota.limit"), at("WEIGHT", "quota.weight", true),
        at("PARENT", "spec.parent", true), at("REQUESTS", "status.requests", true),
        at("LEASES", "status.leases", true), at("DESCRIPTION", "spec.description", true)}},
  };
}

const std::vector<Column>& columns_of(const std::string& kind) {
  static const auto kColumns = [] {
    auto all = columns_of_asking();
    all.merge(columns_of_the_fleet());
    all.merge(columns_of_promises());
    return all;
  }();
  static const std::vector<Column> kOther = {at("NAME", "metadata.name"), at("KIND", "kind")};
  const auto found = kColumns.find(kind);
  return found == kColumns.end() ? kOther : found->second;
}

std::vector<std::string> titles_of(const std::vector<Column>& columns) {
  std::vector<std::string> titles;
  for (const auto& column : columns) titles.push_back(column.title);
  return titles;
}

}  // namespace

base::Instant now() {
  return std::chrono::time_point_cast<base::Duration>(std::chrono::system_clock::now());
}

void add_format_option(CLI::App& command, Format& format) {
  static const std::map<std::string, Format> kFormats = {{"table", Format::kTable},
                                                         {"wide", Format::kWide},
                                                         {"json", Format::kJson},
                                                         {"yaml", Format::kYaml},
                                                         {"name", Format::kName}};
  const auto choose = [&format](const std::string& text) {
    const auto found = kFormats.find(text);
    if (found == kFormats.end())
      throw CLI::ValidationError("--output", "\"" + text +
                                                 "\" is not a format: use table, wide, "
                                                 "json, yaml or name");
    format = found->second;
  };
  command
      .add_option_function<std::string>("-o,--output", choose, "table, wide, json, yaml or name")
      ->type_name("FORMAT");
}

void Printer::rows(const std::vector<Json>& items, const std::string& kind) {
  std::vector<Column> columns;
  for (const auto& column : columns_of(kind))
    if (format_ == Format::kWide || !column.wide) columns.push_back(column);
  Table table = widths_.empty() ? Table(titles_of(columns)) : Table::continued(widths_);
  for (const auto& item : items) {
    for (const auto& row : kind == "Team" ? team_rows(item) : std::vector<Json>{item}) {
      std::vector<std::string> cells;
      for (const auto& column : columns) cells.push_back(column.cell(row));
      table.add(std::move(cells));
    }
  }
  widths_ = table.widths();
  fmt::print("{}", table.text());
}

void Printer::object(const Json& object) {
  switch (format_) {
    case Format::kJson:
      fmt::print("{}\n", object.dump(2));
      return;
    case Format::kYaml:
      fmt::print("{}", wire::to_yaml_documents({object}));
      return;
    case Format::kName:
      fmt::print("{}\n", text_at(object, "metadata.name"));
      return;
    case Format::kTable:
    case Format::kWide:
      rows({object}, text_at(object, "kind"));
      return;
  }
}

void Printer::list(const Json& list) {
  const auto items = list.at("items").get<std::vector<Json>>();
  auto kind = text_at(list, "kind");
  if (kind.ends_with("List")) kind.resize(kind.size() - 4);
  switch (format_) {
    case Format::kJson:
      fmt::print("{}\n", list.dump(2));
      return;
    case Format::kYaml:
      fmt::print("{}", wire::to_yaml_documents(items));
      return;
    case Format::kName:
      for (const auto& item : items) fmt::print("{}\n", text_at(item, "metadata.name"));
      return;
    case Format::kTable:
    case Format::kWide:
      if (items.empty())
        fmt::print(stderr, "none found\n");
      else
        rows(items, kind);
      return;
  }
}

void print_object(const Json& object, Format format) {
  if (format == Format::kYaml)
    fmt::print("{}", wire::to_yaml(object));
  else
    Printer(format).object(object);
}

void print_list(const Json& list, Format format) {
  Printer(format).list(list);
}

}  // namespace tessera::app
