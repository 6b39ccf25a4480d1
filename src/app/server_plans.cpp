#include "app/server_plans.h"

#include <charconv>
#include <thread>

#include <fmt/core.h>

#include "app/table.h"
#include "app/terminal.h"
#include "wire/plan_resource.h"

namespace tessera::app {
namespace {

using base::Result;
using wire::Json;
using namespace std::chrono_literals;

struct NamedPlan {
  std::string name;
  bool dry_run = false;
  bool watch = false;
  bool allow_restarts = false;
  std::string window;
  Format format = Format::kTable;
};

/// "7g.80gb=2" is a profile, "18GiB" an amount of memory.
Result<Json> demand_of(const std::string& want) {
  const auto equals = want.find('=');
  const std::string what = want.substr(0, equals);
  std::int64_t count = 1;
  if (equals != std::string::npos) {
    const char* end = want.data() + want.size();
    const auto [next, error] = std::from_chars(want.data() + equals + 1, end, count);
    if (error != std::errc{} || next != end || count < 0)
      return base::fail(base::Reason::kInvalidQuantity,
                        "\"" + want + "\" has no count behind \"=\"", "--want",
                        "write e.g. --want 2g.20gb=3 or --want 18GiB=3");
  }
  const bool profile = what.find("g.") != std::string::npos;
  return Json{{profile ? "profile" : "memory", what}, {"count", count}};
}

Json forecast_wish_of(const ServerPlanOptions& options) {
  Json wish = Json::object();
  if (options.percentile) wish["percentile"] = *options.percentile;
  if (!options.over.empty()) wish["over"] = options.over;
  if (!options.at.empty()) wish["at"] = options.at;
  if (!options.ahead.empty()) wish["for"] = options.ahead;
  if (options.headroom) wish["headroom"] = *options.headroom;
  return wish;
}

Result<Json> order_of(const ServerPlanOptions& options) {
  Json order{{"waiting", !options.no_waiting}, {"demand", Json::array()}};
  if (!options.time_limit.empty()) order["timeLimit"] = options.time_limit;
  if (options.spare >= 0) order["spareGpus"] = options.spare;
  if (options.max_parallel >= 0) order["maxParallel"] = options.max_parallel;
  if (!options.pool.empty()) order["pool"] = options.pool;
  if (options.from_history) order["forecast"] = forecast_wish_of(options);
  for (const auto& want : options.wants) {
    auto demand = demand_of(want);
    if (!demand) return demand;
    order["demand"].push_back(std::move(*demand));
  }
  return order;
}

/// "1g.10gb@0 3g.40gb@4:lease-3", what nobody holds in brackets.
std::string gpu_text(const Json& layout) {
  std::string text;
  for (const Json& one : layout) {
    std::string part = text_at(one, "profile") + "@" + text_at(one, "start");
    const auto who = text_at(one, "lease") + text_at(one, "request");
    if (!who.empty()) part += ":" + who;
    if (text_at(one, "use") == "free") part = "(" + part + ")";
    text += (text.empty() ? "" : " ") + part;
  }
  return text.empty() ? "(empty)" : text;
}

std::string place_text(const Json& place) {
  return text_at(place, "gpu", "(gone)") + " " + text_at(place, "profile") + "@" +
         text_at(place, "start");
}

void print_table(const Table& table) {
  if (!table.empty()) fmt::print("{}\n", table.text());
}

/// What is expected, and from what that follows.
void print_forecast(const Json& forecast) {
  Table lines({"TIER", "SIZE", "HELD", "WAITING", "P" + text_at(forecast, "percentile"), "EXPECTED",
               "MORE"});
  for (const Json& one : forecast.at("lines"))
    lines.add({text_at(one, "tier"), text_at(one, "size"), text_at(one, "held"),
               text_at(one, "waiting"), text_at(one, "usual"), text_at(one, "expected"),
               text_at(one, "more")});
  if (const Json& other = forecast.at("other"); other.at("expected") != 0)
    lines.add({"(other)", "(any)", text_at(other, "now"), "", text_at(other, "usual"),
               text_at(other, "expected"), ""});
  print_table(lines);
  fmt::print("Expected from {} to {}: {}, headroom {}.\n\n", text_at(forecast, "from"),
             text_at(forecast, "until"), text_at(forecast, "message"),
             text_at(forecast, "headroom"));
}

void print_plan(const Json& plan) {
  const Json& status = plan.at("status");
  if (const Json& expected = status.at("forecast"); !expected.is_null()) print_forecast(expected);
  Table demand({"DEMAND", "ITEMS", "SERVED"});
  for (const Json& one : status.at("demand"))
    demand.add({text_at(one, "text"), text_at(one, "count"), text_at(one, "served")});
  Table gpus({"GPU", "NOW", "AFTER"});
  for (const Json& one : status.at("gpus"))
    gpus.add({text_at(one, "gpu"), gpu_text(one.at("before")), gpu_text(one.at("after"))});
  Table moves({"LEASE", "TEAM", "FROM", "TO", "STATE"});
  for (const Json& one : status.at("moves"))
    moves.add({text_at(one, "lease"), text_at(one, "team"), place_text(one.at("from")),
               place_text(one.at("to")), text_at(one, "state")});
  print_table(demand);
  print_table(gpus);
  Table restarts({"RESTARTED", "TEAM", "FROM", "TO", "NOT BEFORE", "STATE"});
  for (const Json& one : status.at("restarts"))
    restarts.add({text_at(one, "lease"), text_at(one, "team"), place_text(one.at("from")),
                  place_text(one.at("to")), text_at(one, "notBefore"), text_at(one, "state")});
  print_table(moves);
  print_table(restarts);
  fmt::print(
      "Serves {} of at most {}, moves {} leases, changes {} GPUs, from revision {} in {} "
      "s. {}\n",
      status.at("served").dump(), status.at("servedBound").dump(), status.at("moved").dump(),
      status.at("changedGpus").dump(), status.at("revision").dump(),
      status.at("solveSeconds").dump(), proof_words(status));
  fmt::print("Steps: {} moves, {} leases parked at most, {} forced restarts.\n",
             status.at("moves").size(), status.at("peakExtra").dump(),
             status.at("forcedRestarts").dump());
  if (!status.at("restarts").empty())
    fmt::print(
        "There is no room to move every lease: those in the last table are told, ended after "
        "their tier's\nnotice and granted anew. Applying the plan takes --allow-restarts; with "
        "--spare it may need none.\n");
  for (const Json& note : status.at("notes")) fmt::print("Note: {}.\n", note.get<std::string>());
}

void print_state(const Json& plan) {
  const auto name = text_at(plan, "metadata.name");
  const auto message = text_at(plan, "status.message");
  const auto window = text_at(plan, "status.window.opens");
  fmt::print("{} is {}{}: {} of {} moves done{}\n", name.empty() ? "the plan" : name,
             text_at(plan, "status.state"),
             window.empty() ? ""
                            : fmt::format(" (window {} to {} UTC)", window,
                                          text_at(plan, "status.window.closes")),
             text_at(plan, "status.progress.done"), text_at(plan, "status.progress.moves"),
             message.empty() ? "" : "; " + message);
}

void print(const Json& plan, Format format) {
  if (format == Format::kJson || format == Format::kYaml || format == Format::kName)
    print_object(plan, format);
  else
    print_plan(plan);
}

void print_plans(const Json& list, Format format) {
  if (format == Format::kJson || format == Format::kYaml || format == Format::kName)
    return print_list(list, format);
  Table table({"NAME", "STATE", "SERVED", "MOVED", "CHANGED", "PROVEN", "BY", "MESSAGE"});
  for (const Json& plan : list.at("items"))
    table.add({text_at(plan, "metadata.name"), text_at(plan, "status.state"),
               text_at(plan, "status.served"), text_at(plan, "status.moved"),
               text_at(plan, "status.changedGpus"), text_at(plan, "status.proven"),
               text_at(plan, "metadata.createdBy"), text_at(plan, "status.message")});
  fmt::print("{}", table.text());
}

std::string target_of(const std::string& name, std::string_view verb = {}, bool dry_run = false) {
  std::string target = "/v1/plans/" + client::encode(name);
  if (!verb.empty()) target += "/" + std::string(verb);
  return target + (dry_run ? "?dryRun=true" : "");
}

int show(Program& program, const NamedPlan& options) {
  auto connection = program.connect();
  if (!connection) return refuse(connection.error());
  const bool all = options.name.empty();
  const auto answer = fetch(**connection, {.target = all ? "/v1/plans" : target_of(options.name)});
  if (!answer) return refuse(answer.error());
  if (all) {
    print_plans(*answer, options.format);
    return kDone;
  }
  print(*answer, options.format);
  if (options.format == Format::kTable) print_state(*answer);
  return kDone;
}

/// Tells how a plan goes on until it has ended. Its own limits see to it that it does: one that
/// stands still is stopped.
int follow(client::Connection& connection, Json plan, Format format) {
  const bool table = format == Format::kTable || format == Format::kWide;
  std::string told;
  while (true) {
    const auto seen = text_at(plan, "status.state") + text_at(plan, "status.progress.done");
    if (table && seen != told) print_state(plan);
    told = seen;
    const auto state = text_at(plan, "status.state");
    if (state != "applying" && state != "scheduled") break;
    std::this_thread::sleep_for(500ms);
    auto next = fetch(connection, {.target = target_of(text_at(plan, "metadata.name"))});
    if (!next) return refuse(next.error());
    plan = std::move(*next);
  }
  if (!table) print_object(plan, format);
  return text_at(plan, "status.state") == "done" ? kDone : kRefused;
}

int act(Program& program, const NamedPlan& options, std::string_view verb) {
  auto connection = program.connect();
  if (!connection) return refuse(connection.error());
  Json body = Json::object();
  if (!options.window.empty()) body["window"] = options.window;
  if (options.allow_restarts) body["allowRestarts"] = true;
  const auto answer = fetch(**connection, {.method = "POST",
                                           .target = target_of(options.name, verb, options.dry_run),
                                           .body = body.dump()});
  if (!answer) return refuse(answer.error());
  if (options.watch && !options.dry_run) return follow(**connection, *answer, options.format);
  if (options.format == Format::kTable || options.format == Format::kWide)
    print_state(*answer);
  else
    print_object(*answer, options.format);
  return kDone;
}

}  // namespace

int plan_from_server(Program& program, const ServerPlanOptions& options) {
  const auto order = order_of(options);
  if (!order) return refuse(order.error());
  auto connection = program.connect();
  if (!connection) return refuse(connection.error());
  const auto plan =
      fetch(**connection, {.method = "POST",
                           .target = options.dry_run ? "/v1/plans?dryRun=true" : "/v1/plans",
                           .body = order->dump(),
                           .limit = wire::kLongestPlanning + 30s});
  if (!plan) return refuse(plan.error());
  print(*plan, options.format);
  const auto name = text_at(*plan, "metadata.name");
  if (options.format == Format::kTable && !name.empty()) {
    fmt::print("Stored as {}.\n", name);
    const bool restarts = !plan->at("status").at("restarts").empty();
    print_hint("next: tessera plan apply " + name + (restarts ? " --allow-restarts" : "") +
               " --watch");
  }
  return kDone;
}

void add_server_plan_commands(Program& program, CLI::App& plan) {
  const auto add = [&](const char* name, const char* what, bool named,
                       std::function<int(Program&, const NamedPlan&)> run) {
    const auto options = std::make_shared<NamedPlan>();
    auto* command = plan.add_subcommand(name, what);
    auto* which = command->add_option("plan", options->name, "plan-3");
    if (named) which->required();
    add_format_option(*command, options->format);
    command->callback([&program, options, run = std::move(run)] {
      program.chosen = [&program, options, run] { return run(program, *options); };
    });
    return std::pair(command, options);
  };
  add("show", "The plans of the control plane, or one of them", false, show);
  const auto [apply, options] =
      add("apply", "Start what a plan says", true,
          [](Program& of, const NamedPlan& named) { return act(of, named, "apply"); });
  apply
      ->add_option("--window", options->window,
                   "Only in the next such time, in UTC: \"Sat 02:00-06:00\"")
      ->type_name("WHEN");
  apply->add_flag("--allow-restarts", options->allow_restarts,
                  "Agree to what `plan show` says is restarted, after its tier's notice");
  apply->add_flag("--watch,-w", options->watch, "Stay until it has ended; exit code 1 if it stops");
  apply->add_flag("--dry-run", options->dry_run, "Only say whether it could be applied now");
  add("abort", "Stop a plan where it is, or withdraw it", true,
      [](Program& of, const NamedPlan& named) { return act(of, named, "abort"); });
}

}  // namespace tessera::app
