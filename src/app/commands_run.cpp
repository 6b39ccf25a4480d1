#include <algorithm>
#include <charconv>
#include <memory>
#include <optional>

#include <fmt/core.h>

#include "app/asking.h"
#include "app/child.h"
#include "app/commands.h"
#include "app/device_fence.h"
#include "app/guarded_start.h"
#include "app/lease_scope.h"
#include "app/node_shares.h"
#include "app/nvml_node.h"
#include "app/output.h"
#include "app/terminal.h"
#include "base/quantity.h"

/// `tessera run`: a program on the GPUs of a lease, on the machine itself.
namespace tessera::app {
namespace {

using base::fail;
using base::Reason;
using base::Result;
using wire::Json;

struct RunOptions {
  std::string lease;
  NeedOptions need;
  std::string node;
  std::string wait = "30s";
  std::string driver_files = "/proc/driver/nvidia/gpus";
  std::string shares, guard, driver;
  bool release = false;
  bool keep = false;
  std::vector<std::string> command;
};

/// Gives a lease back when it goes, if it was told to.
class Return {
 public:
  Return(client::Connection& connection, std::string lease, bool wanted)
      : connection_(&connection), lease_(std::move(lease)), wanted_(wanted) {}
  ~Return() {
    if (!wanted_) return;
    const auto released =
        fetch(*connection_,
              {.method = "POST", .target = "/v1/leases/" + client::encode(lease_) + "/release"});
    if (!released) print_error(released.error());
  }
  Return(const Return&) = delete;
  Return& operator=(const Return&) = delete;

 private:
  client::Connection* connection_;
  std::string lease_;
  bool wanted_;
};

/// The lease to run on: the one named, or one granted now. Errors: it was not granted, and is not
/// waited for any longer.
Result<std::string> find_lease(client::Connection& connection, const RunOptions& options) {
  if (!options.lease.empty()) return options.lease;
  const auto wait = base::parse_duration(options.wait);
  if (!wait) return std::unexpected(wait.error());
  const auto request = ask_and_wait(connection, options.need, *wait);
  if (!request) return std::unexpected(request.error());
  const auto name = text_at(*request, "metadata.name");
  const auto state = text_at(*request, "status.state");
  if (state == "active") return text_at(*request, "status.lease");
  const auto cancelled = fetch(
      connection, {.method = "POST", .target = "/v1/requests/" + client::encode(name) + "/cancel"});
  if (!cancelled) print_error(cancelled.error());
  return fail(Reason::kUnavailable,
              fmt::format("{} is {} and was cancelled: {}", name, state,
                          text_at(*request, "status.message", "no reason was given")),
              {}, "wait longer with --wait, or see what fits now: tessera explain --team …");
}

std::optional<fleet::LeaseId> id_of(const std::string& lease) {
  constexpr std::string_view kPrefix = "lease-";
  if (!lease.starts_with(kPrefix)) return std::nullopt;
  std::uint64_t number = 0;
  const auto* end = lease.data() + lease.size();
  const auto [next, error] = std::from_chars(lease.data() + kPrefix.size(), end, number);
  if (error != std::errc{} || next != end || number == 0) return std::nullopt;
  return fleet::LeaseId(number);
}

/// What a program needs to know of its lease.
Result<std::map<std::string, std::string>> environment_of(const Json& lease,
                                                          const std::string& node) {
  const auto name = text_at(lease, "metadata.name");
  const auto state = text_at(lease, "status.state");
  if (state != "active" && state != "expiring")
    return fail(Reason::kUnavailable, name + " is " + state, "--lease",
                "wait until it is active, or ask for another");
  std::string devices, memory;
  for (const auto& slice : lease["status"]["slices"]) {
    if (text_at(slice, "node") != node) continue;  // of a gang: another machine's part
    devices += (devices.empty() ? "" : ",") + text_at(slice, "device");
    if (text_at(slice, "technology") == "time-slicing") memory = text_at(slice, "memory");
  }
  if (devices.empty())
    return fail(Reason::kUnavailable,
                fmt::format("{} is on node {}, and this machine is {}", name,
                            text_at(lease, "status.node"), node),
                "--lease", "run it there; or say with --node what this machine is called");
  std::map<std::string, std::string> environment = {{"CUDA_VISIBLE_DEVICES", devices},
                                                    {"TESSERA_LEASE", name}};
  // What an MPS server holds its clients to. Without one it is for the program to know.
  if (const auto most = base::parse_memory(memory); !memory.empty() && most) {
    environment["CUDA_MPS_PINNED_DEVICE_MEM_LIMIT"] = fmt::format("0={}M", most->count());
    environment["TESSERA_MEMORY_LIMIT_MIB"] = std::to_string(most->count());
  }
  return environment;
}

/// The minors of the device files of the lease's GPUs on this machine; empty where one is not
/// known.
std::vector<unsigned> minors_of(client::Connection& connection, const Json& lease,
                                const std::string& node, const std::string& driver_files) {
  std::vector<unsigned> minors;
  for (const auto& slice : lease["status"]["slices"]) {
    if (text_at(slice, "node") != node) continue;
    const auto gpu = fetch(connection, {.target = "/v1/gpus/" + text_at(slice, "gpu")});
    const auto minor =
        gpu ? minor_of(text_at(*gpu, "status.uuid"), driver_files) : std::optional<unsigned>();
    if (!minor) return {};
    minors.push_back(*minor);
  }
  return minors;
}

/// The control group that the program is to be in, if there can be one; fenced where that works.
/// Whose a program under the guard is, is known without it.
std::optional<LeaseScope> enclose(client::Connection& connection, const Json& lease,
                                  const std::string& node, const RunOptions& options,
                                  bool guarded) {
  const auto name = text_at(lease, "metadata.name");
  const auto id = id_of(name);
  auto scope = id ? LeaseScope::make(*id) : fail(Reason::kInvalidDocument, "not a lease", name);
  if (!scope) {
    fmt::print(stderr, "warning: {}: {}\n", base::to_string(scope.error()),
               guarded ? "what it leaves running is not ended with it"
                       : "what it uses cannot be told from others' use");
    return std::nullopt;
  }
  // Where the driver shows no GPUs there are none to be kept from.
  if (const auto minors = minors_of(connection, lease, node, options.driver_files); !minors.empty())
    if (const auto fenced = fence_devices(scope->folder(), minors); !fenced)
      fmt::print(stderr, "warning: {}\n", base::to_string(fenced.error()));
  return std::move(*scope);
}

/// Does the lease promise, of what it has on this machine, that all keep within their shares?
bool is_limited(const Json& lease, const std::string& node) {
  return std::ranges::any_of(lease["status"]["slices"], [&](const Json& slice) {
    return text_at(slice, "node") == node && text_at(slice, "isolation") == "limited";
  });
}

/// The guard around a program on such a lease. None, and a warning, where programs find no CUDA
/// driver: there is nothing to guard. Errors: the lease would not be held to its share; the driver
/// that was named cannot be loaded.
Result<std::optional<GuardedStart>> put_under_guard(
    const std::string& lease, const std::string& node, const RunOptions& options,
    std::map<std::string, std::string>& environment) {
  if (options.driver.empty() && !has_cuda_driver(options.driver)) {
    fmt::print(stderr, "warning: no CUDA driver here: the program runs without the guard\n");
    return std::optional<GuardedStart>();
  }
  const auto socket = find_share_socket(options.shares, node, lease);
  if (!socket) return std::unexpected(socket.error());
  auto start = GuardedStart::prepare(options.guard, options.driver);
  if (!start) return std::unexpected(start.error());
  for (const auto& [name, value] : start->environment()) environment[name] = value;
  environment["TESSERA_GUARD_SOCKET"] = *socket;
  return std::optional<GuardedStart>(std::move(*start));
}

Result<Ending> run_on(client::Connection& connection, const std::string& name,
                      const RunOptions& options) {
  const auto lease = fetch(connection, {.target = "/v1/leases/" + client::encode(name)});
  if (!lease) return std::unexpected(lease.error());
  const auto node = options.node.empty() ? host_name() : options.node;
  auto environment = environment_of(*lease, node);
  if (!environment) return std::unexpected(environment.error());
  std::optional<GuardedStart> guarded;
  if (is_limited(*lease, node)) {
    auto started = put_under_guard(name, node, options, *environment);
    if (!started) return std::unexpected(started.error());
    if (*started) guarded.emplace(std::move(**started));
  }
  const auto scope = enclose(connection, *lease, node, options, guarded.has_value());
  return run_child({options.command, *environment, scope ? scope->door() : std::string()});
}

int run(Program& program, const RunOptions& options) {
  auto connection = program.connect();
  if (!connection) return refuse(connection.error());
  const auto lease = find_lease(**connection, options);
  if (!lease) return refuse(lease.error());
  Result<Ending> ending{Ending{}};
  {
    const bool own = options.lease.empty() && !options.keep;
    const Return release(**connection, *lease, own || options.release);
    ending = run_on(**connection, *lease, options);
  }
  if (!ending) return refuse(ending.error());
  if (!ending->trouble.empty()) fmt::print(stderr, "error: {}\n", ending->trouble);
  return end_like(*ending);
}

}  // namespace

void add_run_command(Program& program) {
  const auto options = std::make_shared<RunOptions>();
  auto* command = program.cli.add_subcommand(
      "run",
      "Run a program on a lease's GPUs, on this machine: run --lease L -- CMD…, or run "
      "--team T --memory 10GB --for 2h -- CMD…");
  command->group(kRunning);
  auto* lease = command->add_option("--lease", options->lease, "A lease; or state a need instead");
  add_need_options(*command, options->need);
  command->get_option("--team")->required(false);
  lease->excludes(command->get_option("--team"));
  command->add_option("--node", options->node,
                      "What this machine is called (default: its host name)");
  command->add_option("--wait", options->wait, "Longest wait for a lease")->capture_default_str();
  command->add_option("--driver-files", options->driver_files, "Where the driver shows its GPUs")
      ->capture_default_str();
  command
      ->add_option("--shares", options->shares,
                   "Where the agent of this machine holds leases to their shares (default: where "
                   "root's does, or yours)")
      ->envname("TESSERA_SHARES")
      ->type_name("FOLDER");
  command
      ->add_option(
          "--guard", options->guard,
          "libtessera-guard.so, for leases that are limited (default: beside this program)")
      ->type_name("FILE");
  command->add_option("--driver", options->driver, "The CUDA driver (default: libcuda.so.1)")
      ->envname("TESSERA_GUARD_CUDA")
      ->type_name("LIBRARY");
  command->add_flag("--release", options->release, "Give the lease of --lease back at the end");
  command->add_flag("--keep", options->keep, "Keep a lease that was asked for here");
  command->add_option("command", options->command, "The program and its arguments")->required();
  command->callback([&program, options] {
    if (options->lease.empty() && options->need.team.empty())
      throw CLI::RequiredError("--lease, or --team with a need");
    program.chosen = [&program, options] { return run(program, *options); };
  });
}

}  // namespace tessera::app
