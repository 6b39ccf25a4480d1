#include <algorithm>
#include <chrono>
#include <random>
#include <thread>

#include <fmt/core.h>

#include "app/asking.h"
#include "app/commands.h"
#include "app/describe.h"
#include "app/output.h"
#include "app/terminal.h"
#include "base/quantity.h"
#include "catalog/gpu_model.h"
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
  command.add_option("--team", need.team, "Team that asks (default: the token's)")
      ->type_name("TEAM");
  command.add_option("--memory", need.memory, "GPU memory per slice: 10GB, 10GiB, 512MiB")
      ->type_name("SIZE");
  command.add_option("--compute", need.compute, "Compute per slice, in percent of a GPU")
      ->type_name("PERCENT");
  command.add_option("--sms", need.sms, "Compute per slice, in SMs")->type_name("N");
  command
      .add_option("--isolation", need.isolation,
                  "Least accepted: shared (default), limited, virtual, partition, dedicated")
      ->type_name("LEVEL");
  command.add_option("--for", need.duration, "How long: 8h, 90m, 2d (default: the tier's)")
      ->type_name("TIME");
  auto* count = command.add_option("--count", need.count, "Slices on each node (default: 1)");
  count->type_name("N");
  command
      .add_option("--gpus", need.gpus,
                  "Whole GPUs on each node: short for --isolation dedicated --count N")
      ->type_name("N")
      ->excludes(count);
  command
      .add_option("--nodes", need.nodes, "Nodes that each give as much, all or none (default: 1)")
      ->type_name("N");
  command
      .add_option("--nvlink", need.nvlink,
                  "Links between the GPUs of a node: preferred (default), required")
      ->type_name("HOW");
  command
      .add_option("--model", need.models, "Acceptable GPU models, or families: H100 (default: any)")
      ->type_name("MODEL");
  command.add_option("--pool", need.pool, "Only this pool")->type_name("POOL");
  command.add_option("--tier", need.tier, "Only this tier (default: the least that satisfies)")
      ->type_name("TIER");
  command.add_option("--cpu", need.cpu, "CPUs of each host, for all slices there")->type_name("N");
  command
      .add_option("--host-memory", need.host_memory, "Memory of each host, for all slices there")
      ->type_name("SIZE");
  command.add_option("--purpose", need.purpose, "What it is for, shown to others")
      ->type_name("TEXT");
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

/// A family stands for its models: "H100" for all whose names begin with "H100-". What is no family
/// is left to the server to judge.
std::vector<std::string> models_of(const std::vector<std::string>& wanted) {
  const auto catalog = catalog::Catalog::built_in();
  std::vector<std::string> models;
  const auto add = [&](const std::string& name) {
    if (std::ranges::find(models, name) == models.end()) models.push_back(name);
  };
  for (const auto& name : wanted) {
    bool family = false;
    for (const auto& model : catalog.models()) {
      if (catalog.find(name) || !model.key.starts_with(name + "-")) continue;
      family = true;
      add(model.key);
    }
    if (!family) add(name);
  }
  return models;
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
  if (options.gpus < 0 || options.gpus > 64)
    return refuse("--gpus", "a node has 1 to 64 GPUs", "ask for several nodes with --nodes");
  if (options.gpus > 0) {
    need.count = options.gpus;
    need.isolation = catalog::Isolation::kDedicated;
  }
  if (options.nodes < 1 || options.nodes > 64)
    return refuse("--nodes", "a request is for 1 to 64 nodes", "split it");
  need.nodes = options.nodes;
  if (options.nvlink != "preferred" && options.nvlink != "required")
    return refuse("--nvlink", "\"" + options.nvlink + "\" is not a wish",
                  "use preferred or required");
  if (options.nvlink == "required") need.nvlink = request::Nvlink::kRequired;
  need.models = models_of(options.models);
  need.pool = options.pool;
  need.tier = options.tier;
  return need;
}

/// The team that the options name, else the one the token belongs to.
Result<std::string> team_of(client::Connection& connection, const NeedOptions& options) {
  if (!options.team.empty()) return options.team;
  const auto who = fetch(connection, {.target = "/v1/whoami"});
  if (!who) return std::unexpected(who.error());
  if (text_at(*who, "role") != "member")
    return base::fail(base::Reason::kInvalidDocument, "which team asks?", "--team",
                      "name one of `tessera get teams`; only a member's token implies its team");
  return text_at(*who, "subject");
}

Result<Json> spec_of(client::Connection& connection, const NeedOptions& options) {
  const auto need = need_of(options);
  if (!need) return std::unexpected(need.error());
  const auto team = team_of(connection, options);
  if (!team) return std::unexpected(team.error());
  return Json{{"kind", "Request"}, {"spec", wire::request_spec(*team, options.purpose, *need)}};
}

/// Settled: neither this command's waiting nor a moment's will change it.
bool settled(const Json& request) {
  const auto state = text_at(request, "status.state");
  return state != "approved" && state != "provisioning";
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
  const Json status = request.value("status", Json::object());
  for (const auto& hint : status.value("hints", Json::array()))
    print_note(wrapped("hint: " + hint.get<std::string>(), text_width(), 6));
}

/// What it came to, in a sentence; what a dry run would come to.
void print_outcome(const Json& request, bool dry_run) {
  const auto state = text_at(request, "status.state");
  const auto words = request_words(request, now());
  const auto coloured = paint(state, colour_of_state(state)) + words.substr(state.size());
  fmt::print("{}\n", wrapped(dry_run ? "would be " + coloured
                                     : text_at(request, "metadata.name") + " is " + coloured,
                             text_width(), 2));
}

/// What one would do next.
void print_next_step(const Json& request) {
  const auto name = text_at(request, "metadata.name");
  const auto state = text_at(request, "status.state");
  if (state == "queued")
    print_hint(fmt::format("why, and what would fit now: tessera explain {}", name));
  if (state == "pending-approval")
    print_hint(fmt::format("an operator decides: tessera approve {}", name));
  if (state == "active")
    print_hint(
        fmt::format("give it back with: tessera release {}", text_at(request, "status.lease")));
}

/// A fresh key, so that a repeated send can never make a second request.
std::string fresh_key() {
  std::random_device random;
  return fmt::format("cli-{:08x}{:08x}{:08x}", random(), random(), random());
}

}  // namespace

Result<Json> ask_and_wait(client::Connection& connection, const NeedOptions& need,
                          base::Duration longest) {
  const auto spec = spec_of(connection, need);
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
  base::Duration wait{};
  if (auto done = read(options.wait, "--wait", wait, base::parse_duration); !done)
    return refuse(done.error());
  auto connection = program.connect();
  if (!connection) return refuse(connection.error());
  const auto spec = spec_of(**connection, options.need);
  if (!spec) return refuse(spec.error());
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
    answer = wait_until_settled(**connection, std::move(*answer), wait);
    if (!answer) return refuse(answer.error());
    if (!hints.empty()) (*answer)["status"]["hints"] = hints;
  }
  if (options.format == Format::kTable)
    print_outcome(*answer, options.dry_run);
  else
    print_object(*answer, options.format);
  if (for_people(options.format)) {
    print_hints(*answer);
    if (!options.dry_run) print_next_step(*answer);
  }
  const auto state = text_at(*answer, "status.state");
  return state == "rejected" || state == "failed" ? kRefused : kDone;
}

// --- explain ----------------------------------------------------------------------------------

struct ExplainOptions {
  std::string request;
  NeedOptions need;
  Format format = Format::kTable;
};

/// A request that does not wait has nothing to be explained: where it is, is the answer.
Result<bool> told_where(client::Connection& connection, const std::string& name) {
  const auto request = fetch(connection, {.target = "/v1/requests/" + client::encode(name)});
  if (!request) return std::unexpected(request.error());
  if (text_at(*request, "status.state") == "queued") return false;
  print_outcome(*request, false);
  print_next_step(*request);
  return true;
}

int explain(Program& program, const ExplainOptions& options) {
  auto connection = program.connect();
  if (!connection) return refuse(connection.error());
  client::Call call{.target = "/v1/requests/" + client::encode(options.request) + "/explanation"};
  if (options.request.empty()) {
    const auto spec = spec_of(**connection, options.need);
    if (!spec) return refuse(spec.error());
    call = {.method = "POST", .target = "/v1/explain", .body = spec->dump()};
  } else if (for_people(options.format)) {
    const auto told = told_where(**connection, options.request);
    if (!told) return refuse(told.error());
    if (*told) return kDone;
  }
  const auto why = fetch(**connection, call);
  if (!why) return refuse(why.error());
  if (for_people(options.format))
    fmt::print("{}", explanation(*why, now(), text_width()));
  else
    print_object(*why, options.format);
  return kDone;
}

}  // namespace

void add_asking_commands(Program& program) {
  const auto asked = std::make_shared<RequestOptions>();
  auto* ask = program.cli.add_subcommand("request", "Say what you need, get the least that does");
  ask->group(kAsking);
  add_need_options(*ask, asked->need);
  add_format_option(*ask, asked->format);
  ask->add_flag("--dry-run", asked->dry_run, "Answer, but ask for nothing");
  ask->add_flag("--no-wait", asked->no_wait, "Do not wait until it is active");
  ask->add_option("--wait", asked->wait, "Longest wait until it is active (default: 30s)")
      ->type_name("TIME");
  ask->add_option("--idempotency-key", asked->key, "Repeating a request with the same key is safe")
      ->type_name("KEY");
  ask->footer(
      "Examples:\n"
      "  tessera request --team vision --memory 10GB --isolation partition --for 8h\n"
      "  tessera request --team bio --isolation dedicated --count 8 --for 2h --dry-run");
  ask->callback([&program, asked] {
    program.chosen = [&program, asked] { return request(program, *asked); };
  });

  const auto explained = std::make_shared<ExplainOptions>();
  auto* why = program.cli.add_subcommand(
      "explain", "Why a request waits, or where a need would go, and what would fit now");
  why->group(kAsking);
  auto* name = why->add_option("request", explained->request, "A request; or state a need instead")
                   ->type_name("NAME");
  add_need_options(*why, explained->need);
  name->excludes(why->get_option("--team"))->excludes(why->get_option("--memory"));
  add_format_option(*why, explained->format);
  why->footer(
      "Examples:\n"
      "  tessera explain req-7\n"
      "  tessera explain --team vision --isolation dedicated --count 8");
  why->callback([&program, explained] {
    program.chosen = [&program, explained] { return explain(program, *explained); };
  });
}

}  // namespace tessera::app
