#include "app/capacity_report.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include "app/output.h"
#include "app/table.h"
#include "app/terminal.h"

namespace tessera::app {
namespace {

using wire::Json;

/// "12", "11.7": slots, with at most one decimal.
std::string slots_words(const Json& slots) {
  if (slots.is_number_integer()) return slots.dump();
  return fmt::format("{:.1f}", slots.get<double>());
}

/// "3.4": GPUs, with at most one decimal, never 0 for something.
std::string gpus_words(const Json& part) {
  const double gpus = std::strtod(part.get<std::string>().c_str(), nullptr);
  const auto text = fmt::format("{:.1f}", gpus);
  if (text == "0.0" && gpus > 0) return "<0.1";
  return text.ends_with(".0") ? text.substr(0, text.size() - 2) : text;
}

/// "1 234 567": money without decimals, "-" where it is not known.
std::string cost_words(const Json& cost) {
  if (!cost.is_string()) return "-";
  const double amount = std::strtod(cost.get<std::string>().c_str(), nullptr);
  std::string digits = fmt::format("{:.0f}", amount);
  for (std::size_t at = digits.size(); at > 3; at -= 3) digits.insert(at - 3, " ");
  return digits;
}

/// "6/h for 2h, 99% at once": why so many slots.
std::string reason_words(const Json& line) {
  if (!line.contains("load")) return "";
  return fmt::format("{:g}/h for {}: {:.1f} on average, {:g}% served at once",
                     line.at("arrivalsPerHour").get<double>(), text_at(line, "meanDuration"),
                     line.at("load").get<double>(), line.at("serviceLevel").get<double>() * 100);
}

/// "share-9537MiB" -> "share-10GB"; other names stay as they are.
std::string slice_name(const std::string& name) {
  constexpr std::string_view kShare = "share-";
  if (!name.starts_with(kShare)) return name;
  return std::string(kShare) + memory_words(name.substr(kShare.size()));
}

/// "2 x 4g.40gb + 1 x 3g.40gb", over all lines.
std::string slices_words(const Json& lines) {
  std::map<std::string, std::int64_t> sums;
  for (const Json& line : lines)
    for (const auto& [name, count] : line.at("slices").items())
      sums[name] += count.get<std::int64_t>();
  std::string text;
  for (auto at = sums.rbegin(); at != sums.rend(); ++at)
    text += fmt::format("{}{} x {}", text.empty() ? "" : " + ", at->second, slice_name(at->first));
  return text.empty() ? "-" : text;
}

/// "5", or "5 (at least 4)" where that is not proven to be the least.
std::string count_words(const Json& sizing) {
  const auto count = sizing.at("gpus").dump();
  if (sizing.at("proven").get<bool>() || sizing.at("bound").is_string()) return count;
  return count + " (at least " + sizing.at("bound").dump() + ")";
}

std::string count_or_dash(const Json& sizing) {
  return sizing.at("possible").get<bool>() ? count_words(sizing) : "-";
}

/// The profile that is the largest, and how large.
std::string largest_words(const Json& slice) {
  if (slice.is_null()) return "nothing";
  const auto name = text_at(slice, "profile");
  return name == "whole" ? "whole GPU, " + text_at(slice, "memory") : slice_name(name);
}

void heading(std::string_view text) {
  fmt::print("{}\n", text);
}

void print_demand(const Json& answer) {
  Table table({"TIER", "NEED", "ISOLATION", "SLOTS", "BECAUSE OF"});
  for (const Json& line : answer.at("demand"))
    table.add({text_at(line, "tier"), memory_words(text_at(line, "need")),
               text_at(line, "isolation"), text_at(line, "slots"), reason_words(line)});
  heading("Asked for, beside what is leased");
  fmt::print("{}\n", table.text());
}

void print_models(const Json& answer) {
  Table table({"MODEL", "GPUS", "TO BUY", "COST/YEAR", "MADE OF"});
  for (const Json& model : answer.at("models")) {
    const Json& alone = model.at("alone");
    const bool possible = alone.at("possible").get<bool>();
    table.add({text_at(model, "model"), count_or_dash(alone), count_or_dash(model.at("beside")),
               possible ? cost_words(alone.at("costPerYear")) : "-",
               possible ? slices_words(alone.at("lines")) : text_at(alone, "why")});
  }
  if (table.empty()) return;
  heading("GPUs that serve all of it, of one model; TO BUY beside the fleet at hand");
  fmt::print("{}\n", table.text());
}

void print_cheapest(const Json& answer) {
  const Json& cheapest = answer.at("cheapest");
  if (cheapest.is_null() || !cheapest.at("possible").get<bool>()) return;
  std::string mix;
  for (const auto& [model, count] : cheapest.at("mix").items())
    mix += fmt::format("{}{} x {}", mix.empty() ? "" : " + ", count.dump(), model);
  const bool proven = cheapest.at("proven").get<bool>();
  const std::string text = fmt::format(
      "Cheapest: {} for {} a year, {}.", mix.empty() ? "nothing" : mix,
      cost_words(cheapest.at("costPerYear")),
      proven ? "proven: no mix of these models costs less"
             : "not proven: no mix costs less than " + cost_words(cheapest.at("bound")));
  fmt::print("{}\n\n", wrapped(text, text_width()));
}

/// One column of served slots per answer, side by side.
void print_serving(const std::vector<std::pair<std::string, const Json*>>& answers,
                   const Json* rooms) {
  std::vector<std::string> header = {"TIER", "ASKED"};
  for (const auto& [title, serving] : answers) {
    header.push_back(title);
    header.emplace_back("MISSING");
    header.emplace_back("GPUS");
  }
  if (rooms != nullptr) header.insert(header.end(), {"LARGEST NOW", "AFTER A PLAN"});
  Table table(header);
  const Json& tiers = answers.front().second->at("tiers");
  for (std::size_t t = 0; t < tiers.size(); ++t) {
    std::vector<std::string> row = {text_at(tiers[t], "tier"), slots_words(tiers[t].at("asked"))};
    for (const auto& [title, serving] : answers) {
      const Json& tier = serving->at("tiers")[t];
      row.push_back(slots_words(tier.at("served")));
      row.push_back(tier.at("missing") == 0 ? "-" : slots_words(tier.at("missing")));
      row.push_back(gpus_words(tier.at("gpus")));
    }
    if (rooms != nullptr)
      for (const Json& room : *rooms)
        if (room.at("tier") == tiers[t].at("tier"))
          row.insert(row.end(),
                     {largest_words(room.at("now")), largest_words(room.at("afterPlan"))});
    table.add(row);
  }
  fmt::print("{}", table.text());
  for (const auto& [title, serving] : answers)
    if (!serving->at("proven").get<bool>())
      fmt::print("{}: not proven; no more than {} of value can be served.\n", title,
                 serving->at("bound").dump());
  fmt::print("\n");
}

void print_fleet(const Json& answer) {
  const Json& fleet = answer.at("fleet");
  std::vector<std::pair<std::string, const Json*>> answers = {{"SERVED NOW", &fleet.at("now")}};
  if (!fleet.at("afterPlan").is_null())
    answers.emplace_back("AFTER A PLAN", &fleet.at("afterPlan"));
  heading(fmt::format("The fleet at hand, {} GPUs", text_at(fleet, "gpus")));
  print_serving(answers, &fleet.at("largest"));
}

void print_added(const Json& answer) {
  const Json& added = answer.at("added");
  if (added.is_null()) return;
  std::string what;
  for (const Json& one : added.at("gpus"))
    what += fmt::format("{}{} x {}", what.empty() ? "" : " and ", text_at(one, "count"),
                        text_at(one, "model"));
  heading("With " + what + " more");
  print_serving({{"BEFORE", &added.at("before")}, {"AFTER", &added.at("after")}}, nullptr);
}

/// What is not served, each reason once.
std::string refusals(const Json& technique) {
  std::vector<std::string> reasons;
  for (const Json& one : technique.at("refused"))
    if (const auto why = text_at(one, "why"); std::ranges::find(reasons, why) == reasons.end())
      reasons.push_back(why);
  std::string text;
  for (const auto& why : reasons) text += (text.empty() ? "" : "; ") + why;
  return text;
}

void print_techniques(const Json& answer) {
  std::int64_t asked = 0;
  for (const Json& line : answer.at("demand")) asked += line.at("slots").get<std::int64_t>();
  Table table({"TECHNIQUE", "MODEL", "SLOTS", "GPUS", "COST/YEAR", "FOR ALL", "COST/YEAR",
               "NOT SERVED BECAUSE"});
  for (const Json& one : answer.at("techniques")) {
    const Json& alone = one.at("alone");
    const Json& whole = one.at("whole");
    const bool some = one.at("slots") != 0 && alone.at("possible").get<bool>();
    const bool all = whole.at("possible").get<bool>();
    table.add({text_at(one, "technique"), text_at(one, "model"),
               fmt::format("{} of {}", one.at("slots").dump(), asked),
               some ? count_words(alone) : "-", some ? cost_words(alone.at("costPerYear")) : "-",
               all ? count_words(whole) : "-", all ? cost_words(whole.at("costPerYear")) : "-",
               refusals(one)});
  }
  if (table.empty()) return;
  heading("The same with one technique; FOR ALL: the rest by any that keeps its isolation");
  fmt::print("{}\n", table.text());
}

}  // namespace

void print_capacity_answer(const Json& answer) {
  print_demand(answer);
  print_models(answer);
  print_cheapest(answer);
  print_fleet(answer);
  print_added(answer);
  print_techniques(answer);
  for (const Json& note : answer.at("notes"))
    fmt::print("{}\n", wrapped("Note: " + note.get<std::string>() + ".", text_width(), 2));
}

}  // namespace tessera::app
