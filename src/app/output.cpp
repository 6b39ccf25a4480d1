#include "app/output.h"

#include <functional>
#include <map>

#include <fmt/core.h>

#include "app/table.h"
#include "app/terminal.h"
#include "wire/yaml.h"

namespace tessera::app {
namespace {

using wire::Json;

struct Column {
  std::string title;
  std::function<std::string(const Json&)> cell;
  bool wide = false;  ///< only with -o wide
};

base::Instant now() {
  return std::chrono::time_point_cast<base::Duration>(std::chrono::system_clock::now());
}

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

/// "2 x 10GiB limited": what a request asks for.
std::string want_of(const Json& object) {
  const auto count = text_at(object, "spec.count", "1");
  std::string want = count == "1" ? "" : count + " x ";
  if (const auto memory = text_at(object, "spec.memory"); !memory.empty() && memory != "0MiB")
    want += memory + " ";
  if (const auto sms = text_at(object, "spec.sms", "0"); sms != "0") want += sms + "SMs ";
  if (const auto compute = text_at(object, "spec.compute", "0"); compute != "0")
    want += compute + "% ";
  return want + text_at(object, "spec.isolation");
}

/// The slices of a request or lease: "1g.10gb@h100-1/0", or "8 x whole@h100-2" for several.
std::string slices_of(const Json& object) {
  const Json& status = object.value("status", Json::object());
  const Json slices = status.value("slices", Json::array());
  if (slices.empty()) return "-";
  if (slices.size() == 1) return text_at(slices[0], "profile") + "@" + text_at(slices[0], "gpu");
  // All of them are of one kind, on one node.
  return fmt::format("{} x {}@{}", slices.size(), text_at(slices[0], "profile"),
                     text_at(slices[0], "node"));
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

/// A GPU as a line of blocks along its memory axis would need its model; a count says enough.
std::string occupied(const Json& gpu) {
  int held = 0, idle = 0;
  const Json& status = gpu.value("status", Json::object());
  for (const auto& slice : status.value("slices", Json::array()))
    ++(text_at(slice, "phase") == "idle" ? idle : held);
  return idle == 0 ? std::to_string(held) : fmt::format("{} (+{} idle)", held, idle);
}

std::string joined(const Json& object, std::string_view key) {
  std::string text;
  const Json& spec = object.value("spec", Json::object());
  for (const auto& item : spec.value(std::string(key), Json::array()))
    text += (text.empty() ? "" : ",") + item.get<std::string>();
  return text.empty() ? "-" : text;
}

const std::vector<Column>& columns_of(const std::string& kind) {
  static const std::map<std::string, std::vector<Column>> kColumns = {
      {"Request",
       {at("REQUEST", "metadata.name"),
        at("TEAM", "spec.team"),
        {"WANT", want_of},
        at("TIER", "status.tier"),
        state("status.state"),
        at("REASON", "status.reason"),
        at("POS", "status.position"),
        age("EXPIRES", "status.expiresAt"),
        age("AGE", "metadata.createdAt"),
        {"SLICES", slices_of, true},
        at("PRICE/H", "status.pricePerHour", true),
        at("BY", "metadata.createdBy", true)}},
      {"Lease",
       {at("LEASE", "metadata.name"),
        at("TEAM", "spec.team"),
        {"SLICES", slices_of},
        at("NODE", "status.node"),
        at("TIER", "spec.tier"),
        state("status.state"),
        age("EXPIRES", "status.expiresAt"),
        at("COST/H", "status.pricePerHour"),
        at("REQUEST", "spec.request", true),
        {"BUSY", busy_of, true},
        {"GPU TIME", gpu_time_of, true},
        {"ENERGY", energy_of, true}}},
      {"Gpu",
       {at("GPU", "metadata.name"),
        at("MODEL", "spec.model"),
        at("POOL", "spec.pool"),
        state("status.state"),
        at("USED BY", "status.technology"),
        {"SLICES", occupied},
        at("UUID", "status.uuid", true),
        at("DETAIL", "status.detail", true)}},
      {"Node",
       {at("NODE", "metadata.name"), at("POOL", "spec.pool"), state("status.phase"),
        at("CORDONED", "status.cordoned"), at("GPUS", "spec.gpus"),
        at("CPU USED", "status.cpuUsed", true), at("MEMORY USED", "status.memoryUsed", true)}},
      {"Pool",
       {at("POOL", "metadata.name"),
        at("MODEL", "spec.model"),
        {"TIERS", [](const Json& o) { return joined(o, "tiers"); }},
        at("LAYOUT", "spec.layout.policy"),
        at("NODES", "status.nodes"),
        at("GPUS", "status.gpus"),
        at("READY", "status.ready")}},
      {"Tier",
       {at("TIER", "metadata.name"),
        at("ISOLATION", "spec.isolation"),
        {"TECHNOLOGIES", [](const Json& o) { return joined(o, "technologies"); }},
        at("PRICE/H", "spec.pricePerHour"),
        at("MAX", "spec.maxDuration"),
        at("OVERSUBSCRIPTION", "spec.oversubscription", true),
        at("SLOT", "spec.slot", true)}},
      {"Team",
       {at("TEAM", "metadata.name"), at("PARENT", "spec.parent"), at("REQUESTS", "status.requests"),
        at("LEASES", "status.leases"), at("DESCRIPTION", "spec.description", true)}},
      {"Token",
       {at("TOKEN", "metadata.name"), at("ROLE", "spec.role"), at("SUBJECT", "spec.subject"),
        at("EXPIRES", "spec.expires")}},
  };
  static const std::vector<Column> kOther = {at("NAME", "metadata.name"), at("KIND", "kind")};
  const auto found = kColumns.find(kind);
  return found == kColumns.end() ? kOther : found->second;
}

void print_rows(const std::vector<Json>& items, const std::string& kind, bool wide) {
  std::vector<std::string> header;
  const auto& columns = columns_of(kind);
  for (const auto& column : columns)
    if (wide || !column.wide) header.push_back(column.title);
  Table table(header);
  for (const auto& item : items) {
    std::vector<std::string> cells;
    for (const auto& column : columns)
      if (wide || !column.wide) cells.push_back(column.cell(item));
    table.add(std::move(cells));
  }
  fmt::print("{}", table.text());
}

}  // namespace

void add_format_option(CLI::App& command, Format& format) {
  static const std::map<std::string, Format> kFormats = {{"table", Format::kTable},
                                                         {"wide", Format::kWide},
                                                         {"json", Format::kJson},
                                                         {"yaml", Format::kYaml},
                                                         {"name", Format::kName}};
  command
      .add_option_function<std::string>(
          "-o,--output", [&format](const std::string& text) { format = kFormats.at(text); },
          "table, wide, json, yaml or name")
      ->check(CLI::IsMember({"table", "wide", "json", "yaml", "name"}));
}

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

std::string age_of(std::string_view instant, base::Instant at) {
  const auto parsed = base::parse_instant(instant);
  if (!parsed) return "-";
  const auto span = std::chrono::abs(at - *parsed);
  const auto text = base::to_string(std::chrono::floor<std::chrono::seconds>(span));
  // The largest unit alone is enough to read at a glance.
  const auto end = text.find_first_not_of("0123456789");
  return text.substr(0, end + 1);
}

void print_object(const Json& object, Format format) {
  switch (format) {
    case Format::kJson:
      fmt::print("{}\n", object.dump(2));
      return;
    case Format::kYaml:
      fmt::print("{}", wire::to_yaml(object));
      return;
    case Format::kName:
      fmt::print("{}\n", text_at(object, "metadata.name"));
      return;
    case Format::kTable:
    case Format::kWide:
      print_rows({object}, text_at(object, "kind"), format == Format::kWide);
      return;
  }
}

void print_list(const Json& list, Format format) {
  const auto items = list.at("items").get<std::vector<Json>>();
  auto kind = text_at(list, "kind");
  if (kind.ends_with("List")) kind.resize(kind.size() - 4);
  switch (format) {
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
        print_rows(items, kind, format == Format::kWide);
      return;
  }
}

}  // namespace tessera::app
