#include <chrono>
#include <random>
#include <thread>

#include <fmt/core.h>

#include "app/asking.h"
#include "app/commands.h"
#include "app/output.h"
#include "app/table.h"
#include "app/terminal.h"
#include "base/quantity.h"
#include "catalog/technology.h"
#include "request/need.h"
#include "wire/spec.h"

namespace tessera::app {
namespace {

using base::Error;
using base::Result;
using wire::Json;
using namespace std::chrono_literals;

}  // namespace

void add_need_options(CLI::App& command, NeedOptions& need) {
  command.add_option("--team", need.team, "Team that asks")->required();
  command.add_option("--memory", need.memory, "GPU memory per slice: 10GB, 10GiB, 512MiB");
  command.add_option("--compute", need.compute, "Compute per slice, in percent of a GPU");
  command.add_option("--sms", need.sms, "Compute per slice, in SMs");
  command
      .add_option("--isolation", need.isolation,
                  "Least accepted: shared, limited, virtual, partition, dedicated")
      ->capture_default_str();
  command.add_option("--for", need.duration, "How long: 8h, 90m, 2d (default: the tier's)");
  command.add_option("--count", need.count, "Slices, all on one node")->capture_default_str();
  command.add_option("--model", need.models, "Acceptable GPU models (default: any)");
  command.add_option("--pool", need.pool, "Only this pool");
  command.add_option("--tier", need.tier, "Only this tier (default: the least that satisfies)");
  command.add_option("--cpu", need.cpu, "Host CPUs, for all slices together");
  command.add_option("--host-memory", need.host_memory, "Host memory, for all slices together");
  command.add_option("--purpose", need.purpose, "What it is for, shown to others");
}

namespace {

/// Parses one option into `out`; the error names the option.
template <class T, class Parse>
Result<void> read(const std::string& text, const char* option, T& out, Parse parse) {
  if (text.empty()) return {};
  auto parsed = parse(text);
  if (!parsed)
    return base::fail(parsed.error().reason, parsed.error().what, option, parsed.error().todo);
  out = *parsed;
  return {};
}

Result<request::Need> need_of(const NeedOptions& options) {
  request::Need need;
  const auto refuse = [](const char* option, std::string what, std::string todo) {
    return base::fail(base::Reason::kInvalidQuantity, std::move(what), option, std::move(todo));
  };
  if (auto done = read(options.memory, "--memory", need.memory, base::parse_memory); !done)
    return std::unexpected(done.error());
  if (auto done = read(options.host_memory, "--host-memory", need.host_memory, base::parse_memory);
      !done)
    return std::unexpected(done.error());
  if (auto done = read(options.duration, "--for", need.duration, base::parse_duration); !done)
    return std::unexpected(done.error());
  if (auto done = read(options.cpu, "--cpu", need.cpu, base::parse_cpu); !done)
    return std::unexpected(done.error());
  const auto isolation = catalog::isolation_from(options.isolation);
  if (!isolation)
    return refuse("--isolation", "\"" + options.isolation + "\" is not an isolation",
                  "use shared, limited, virtual, partition or dedicated");
  need.isolation = *isolation;
  if (!(options.compute >= 0 && options.compute <= 100))
    return refuse("--compute", "compute is 0 to 100 percent of a GPU",
                  "ask for several with --count");
  need.compute = base::MilliShare(static_cast<std::int64_t>(options.compute * 10 + 0.5));
  if (options.sms < 0 || options.sms > 1000)
    return refuse("--sms", "SMs are 0 to 1000", "state how many one slice needs");
  need.sms = base::Sms(options.sms);
  if (options.count < 1 || options.count > 64)
    return refuse("--count", "a request has 1 to 64 slices", "split it");
  need.count = options.count;
  need.models = options.models;
  need.pool = options.pool;
  need.tier = options.tier;
  return need;
}

Result<Json> spec_of(const NeedOptions& options) {
  const auto need = need_of(options);
  if (!need) return std::unexpected(need.error());
  return Json{{"kind", "Request"},
              {"spec", wire::request_spec(options.team, options.purpose, *need)}};
}

/// Settled: neither this command's waiting nor a moment's will change it.
bool settled(const Json& request) {
  const auto state = text_at(request, "status.state");
  return state != "submitted" && state != "matched" && state != "approved" &&
         state != "provisioning";
}

/// A request that waits because its nodes have not reported yet may be granted within moments.
bool starting(const Json& request) {
  return text_at(request, "status.state") == "queued" &&
         text_at(request, "status.reason") == "NodesAway";
}

Result<Json> wait_until_settled(client::Connection& connection, Json request,
                                base::Duration longest) {
  const auto start = std::chrono::steady_clock::now();
  const auto name = text_at(request, "metadata.name");
  while (!settled(request) || starting(request)) {
    const auto waited = std::chrono::steady_clock::now() - start;
    if (waited > (starting(request) ? std::min<base::Duration>(longest, 3s) : longest)) break;
    std::this_thread::sleep_for(50ms);
    auto next = fetch(connection, {.target = "/v1/requests/" + client::encode(name)});
    if (!next) return next;
    request = std::move(*next);
  }
  return request;
}

void print_hints(const Json& request) {
  const Json& status = request.value("status", Json::object());
  for (const auto& hint : status.value("hints", Json::array()))
    fmt::print(stderr, "hint: {}\n", hint.get<std::string>());
}

/// A fresh key, so that a repeated send can never make a second request.
std::string fresh_key() {
  std::random_device random;
  return fmt::format("cli-{:08x}{:08x}{:08x}", random(), random(), random());
}

}  // namespace

Result<Json> ask_and_wait(client::Connection& connection, const NeedOptions& need,
                          base::Duration longest) {
  const auto spec = spec_of(need);
  if (!spec) return std::unexpected(spec.error());
  auto answer = fetch(connection, {.method = "POST",
                                   .target = "/v1/requests",
                                   .body = spec->dump(),
                                   .headers = {{"Idempotency-Key", fresh_key()}}});
  if (!answer) return answer;
  return wait_until_settled(connection, std::move(*answer), longest);
}

namespace {

struct RequestOptions {
  NeedOptions need;
  Format format = Format::kTable;
  bool dry_run = false;
  bool no_wait = false;
  std::string wait = "30s";
  std::string key;
};

int request(Program& program, const RequestOptions& options) {
  const auto spec = spec_of(options.need);
  if (!spec) return refuse(spec.error());
  const auto wait = base::parse_duration(options.wait);
  if (!wait) return refuse(wait.error());
  auto connection = program.connect();
  if (!connection) return refuse(connection.error());
  client::Call call{.method = "POST",
                    .target = options.dry_run ? "/v1/requests?dryRun=true" : "/v1/requests",
                    .body = spec->dump()};
  if (!options.dry_run)
    call.headers.emplace_back("Idempotency-Key", options.key.empty() ? fresh_key() : options.key);
  auto answer = fetch(**connection, call);
  if (!answer) return refuse(answer.error());
  if (options.dry_run) {
    // What it would come to: preparing the slices is a matter of seconds.
    (*answer)["metadata"].erase("name");
    (*answer)["metadata"]["dryRun"] = true;
    (*answer)["status"].erase("lease");
    if (text_at(*answer, "status.state") == "provisioning") (*answer)["status"]["state"] = "active";
  } else if (!options.no_wait) {
    const auto hints = (*answer)["status"].value("hints", Json::array());
    answer = wait_until_settled(**connection, std::move(*answer), *wait);
    if (!answer) return refuse(answer.error());
    if (!hints.empty()) (*answer)["status"]["hints"] = hints;
  }
  print_object(*answer, options.format);
  if (options.format == Format::kTable || options.format == Format::kWide) print_hints(*answer);
  const auto name = text_at(*answer, "metadata.name");
  const auto state = text_at(*answer, "status.state");
  if (state == "queued" && !options.dry_run)
    print_hint(fmt::format("why, and what would fit now: tessera explain {}", name));
  if (state == "active" && !options.dry_run)
    print_hint(
        fmt::format("give it back with: tessera release {}", text_at(*answer, "status.lease")));
  return state == "rejected" || state == "failed" ? kRefused : kDone;
}

// --- explain ----------------------------------------------------------------------------------

void print_explanation(const Json& why) {
  const auto reason = text_at(why, "reason");
  if (why.value("fitsNow", false)) {
    const Json& spot = why.at("spot");
    std::string slices;
    for (const auto& slice : spot.value("slices", Json::array()))
      slices += fmt::format("{}{} on {}", slices.empty() ? "" : ", ", text_at(slice, "profile"),
                            text_at(slice, "gpu"));
    fmt::print("{}  {}, tier {}, {} per hour\n", paint("FITS NOW", Colour::kGreen), slices,
               text_at(spot, "tier"), text_at(spot, "pricePerHour"));
  } else {
    std::string line = paint("WAITS", Colour::kYellow) + "  " + reason;
    if (const auto position = text_at(why, "position", "0"); position != "0")
      line += "  position " + position;
    if (const auto eta = text_at(why, "eta"); !eta.empty())
      line += "  ETA " + eta + ", going by declared ends only";
    fmt::print("{}\n  {}\n", line, text_at(why, "message"));
  }
  for (const auto& blocker : why.value("blockers", Json::array()))
    fmt::print("  {} ({}): {}\n", text_at(blocker, "profile"), text_at(blocker, "reason"),
               text_at(blocker, "detail"));
  for (const auto& other : why.value("alternatives", Json::array()))
    fmt::print("  {}\n", text_at(other, "text"));
  for (const auto& hint : why.value("hints", Json::array()))
    fmt::print("  hint: {}\n", hint.get<std::string>());
}

struct ExplainOptions {
  std::string request;
  NeedOptions need;
  Format format = Format::kTable;
};

int explain(Program& program, const ExplainOptions& options) {
  auto connection = program.connect();
  if (!connection) return refuse(connection.error());
  client::Call call{.target = "/v1/requests/" + client::encode(options.request) + "/explanation"};
  if (options.request.empty()) {
    const auto spec = spec_of(options.need);
    if (!spec) return refuse(spec.error());
    call = {.method = "POST", .target = "/v1/explain", .body = spec->dump()};
  }
  const auto why = fetch(**connection, call);
  if (!why) return refuse(why.error());
  if (options.format == Format::kTable || options.format == Format::kWide)
    print_explanation(*why);
  else
    print_object(*why, options.format);
  return kDone;
}

// --- verbs on one object ----------------------------------------------------------------------

struct VerbOptions {
  std::string name;
  std::string extra;
  std::string message;
  Format format = Format::kTable;
  bool dry_run = false;
};

int act(Program& program, const char* kind, const char* verb, const VerbOptions& options) {
  auto connection = program.connect();
  if (!connection) return refuse(connection.error());
  Json body;
  if (!options.extra.empty()) body["extra"] = options.extra;
  if (!options.message.empty()) body["message"] = options.message;
  const auto answer = fetch(
      **connection, {.method = "POST",
                     .target = fmt::format("/v1/{}/{}/{}{}", kind, client::encode(options.name),
                                           verb, options.dry_run ? "?dryRun=true" : ""),
                     .body = body.is_null() ? "" : body.dump()});
  if (!answer) return refuse(answer.error());
  print_object(*answer, options.format);
  return kDone;
}

/// `tessera VERB NAME`, posted to /v1/KIND/NAME/VERB.
std::shared_ptr<VerbOptions> add_verb(Program& program, const char* verb, const char* kind,
                                      const char* help) {
  const auto options = std::make_shared<VerbOptions>();
  auto* command = program.cli.add_subcommand(verb, help);
  command->add_option("name", options->name, "Its name")->required();
  command->add_flag("--dry-run", options->dry_run, "Say what would happen, change nothing");
  add_format_option(*command, options->format);
  command->callback([&program, kind, verb, options] {
    program.chosen = [&program, kind, verb, options] { return act(program, kind, verb, *options); };
  });
  return options;
}

}  // namespace

void add_asking_commands(Program& program) {
  const auto asked = std::make_shared<RequestOptions>();
  auto* ask = program.cli.add_subcommand("request", "Ask for a piece of a GPU");
  add_need_options(*ask, asked->need);
  add_format_option(*ask, asked->format);
  ask->add_flag("--dry-run", asked->dry_run, "Answer, but ask for nothing");
  ask->add_flag("--no-wait", asked->no_wait, "Do not wait until it is active");
  ask->add_option("--wait", asked->wait, "Longest wait until it is active")->capture_default_str();
  ask->add_option("--idempotency-key", asked->key, "Repeating a request with the same key is safe");
  ask->callback([&program, asked] {
    program.chosen = [&program, asked] { return request(program, *asked); };
  });

  const auto explained = std::make_shared<ExplainOptions>();
  auto* why = program.cli.add_subcommand(
      "explain", "Why a request waits, or where a need would go, and what would fit now");
  auto* name = why->add_option("request", explained->request, "A request; or state a need instead");
  add_need_options(*why, explained->need);
  why->get_option("--team")->required(false);
  name->excludes(why->get_option("--team"));
  add_format_option(*why, explained->format);
  why->callback([&program, explained] {
    if (explained->request.empty() && explained->need.team.empty())
      throw CLI::RequiredError("a request, or --team with a need");
    program.chosen = [&program, explained] { return explain(program, *explained); };
  });

  add_verb(program, "cancel", "requests", "Cancel a request, whatever its state");
  add_verb(program, "approve", "requests", "Approve a request that waits for it");
  const auto rejected =
      add_verb(program, "reject", "requests", "Reject a request that waits for approval");
  program.cli.get_subcommand("reject")->add_option("--message", rejected->message, "Why");
  add_verb(program, "release", "leases", "Give a lease back");
  const auto renewed = add_verb(program, "renew", "leases", "Move the end of a lease");
  program.cli.get_subcommand("renew")
      ->add_option("--for", renewed->extra, "How much longer: 4h")
      ->required();
  add_verb(program, "cordon", "nodes", "Grant nothing new on a node");
  add_verb(program, "uncordon", "nodes", "Take a node back into service");
}

}  // namespace tessera::app
