#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <sstream>

#include <fmt/core.h>
#include <spdlog/spdlog.h>

#include "agent/agent.h"
#include "agent/runner.h"
#include "app/commands.h"
#include "app/control_plane.h"
#include "app/files.h"
#include "app/nvml_node.h"
#include "app/simulated_nodes.h"
#include "app/terminal.h"
#include "client/agent_transport.h"
#include "client/join.h"
#include "device/simulated/driver.h"
#include "tls/identity.h"

namespace tessera::app {
namespace {

struct ServeOptions {
  std::string fleet;
  std::string data = "tessera-data";
  std::string listen = "127.0.0.1:8787";
  bool tls = false;
  std::vector<std::string> tls_names;
  std::string agent_certificates = "30d";
  bool simulate = false;  ///< run a simulated machine and an agent for every node
  NvmlChoice nvml;        ///< with a library: this machine's GPUs instead of simulated ones
};

/// Blocks SIGINT and SIGTERM in this thread and all it starts; wait_for_stop() then takes them.
sigset_t hold_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

void wait_for_stop(const sigset_t& signals) {
  int signal = 0;
  sigwait(&signals, &signal);
}

/// A command to paste into another terminal: `tessera` is there only if it is on the path.
std::string path_line() {
  std::error_code none;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", none);
  const char* path = std::getenv("PATH");
  std::istringstream folders(path == nullptr ? "" : path);
  for (std::string folder; std::getline(folders, folder, ':');)
    if (std::filesystem::equivalent(std::filesystem::path(folder) / "tessera", self, none))
      return {};
  return fmt::format("  export PATH={}:$PATH\n", self.parent_path().string());
}

/// Three commands that suit what is declared.
std::string first_steps(const control::State& state) {
  if (state.teams().empty())
    return "  tessera apply -f FILE        # nothing is declared yet; examples/ has fleets\n"
           "  tessera capacity\n"
           "  tessera get nodes\n";
  return fmt::format(
      "  tessera capacity\n"
      "  tessera request --team {} --memory 10GB --isolation partition --for 8h\n"
      "  tessera get gpus\n",
      state.teams().begin()->first);
}

void greet(ControlPlane& plane) {
  const auto& context = plane.context();
  fmt::print(
      "Tessera is up.\n\n"
      "  console  {0}/#token={1}\n"
      "  token    {1}\n\n"
      "Try, in another terminal:\n"
      "{2}"
      "  export TESSERA_CONTEXT={3}\n"
      "{4}\n"
      "Ctrl-C ends it; what was granted is kept.\n",
      context.server.url(), context.token, path_line(),
      std::filesystem::absolute(plane.context_path()).lexically_normal().string(),
      plane.engine().read(first_steps));
  if (const auto* authority = plane.authority())
    fmt::print("\nCA certificate  {}\nits pin         {}\n", authority->certificate_path(),
               authority->pin());
  std::fflush(stdout);
}

base::Result<std::unique_ptr<NvmlNode>> open_machine(
    const ServeOptions& options, const std::shared_ptr<const catalog::Catalog>& catalog) {
  auto choice = options.nvml;
  choice.data = options.data;
  return NvmlNode::open(choice, catalog);
}

/// Adds to the documents what the control plane lacks to offer the machine's GPUs.
base::Result<void> add_machine(ControlPlane& plane, NvmlNode& machine,
                               std::vector<wire::Document>& documents) {
  auto missing = plane.engine().read(
      [&](const control::State& state) { return machine.declare(state, documents); });
  if (!missing) return std::unexpected(missing.error());
  for (auto& document : *missing) documents.push_back(std::move(document));
  return {};
}

base::Result<void> start_machine(ControlPlane& plane, NvmlNode& machine) {
  auto token = plane.agent_token(machine.name());
  if (!token) return std::unexpected(token.error());
  auto context = plane.context();
  context.token = std::move(*token);
  if (auto started = machine.start(context); !started) return started;
  fmt::print("node {}: {}\n", machine.name(), machine.summary());
  return {};
}

int serve(const ServeOptions& options) {
  const auto signals = hold_signals();
  const auto refuse = [](const base::Error& error) {
    print_error(error);
    return kRefused;
  };
  ControlPlaneOptions plane_options{
      .data = options.data,
      .tls = options.tls,
      .tls_names = options.tls_names,
      .agent_certificates = options.agent_certificates,
      .agents_inside = options.simulate || !options.nvml.library.empty()};
  if (auto listen = parse_listen(options.listen, plane_options); !listen)
    return refuse(listen.error());
  const auto catalog = std::make_shared<const catalog::Catalog>(catalog::Catalog::built_in());
  std::vector<wire::Document> documents;
  if (!options.fleet.empty()) {
    auto read = read_documents(options.fleet, *catalog);
    if (!read) return refuse(read.error());
    documents = std::move(*read);
  }
  std::unique_ptr<NvmlNode> machine;
  if (!options.nvml.library.empty()) {
    auto opened = open_machine(options, catalog);
    if (!opened) return refuse(opened.error());
    machine = std::move(*opened);
  }
  auto plane = ControlPlane::start(catalog, plane_options);
  if (!plane) return refuse(plane.error());
  if (machine)
    if (auto added = add_machine(**plane, *machine, documents); !added)
      return refuse(added.error());
  if (!documents.empty())
    if (auto declared = (*plane)->declare(documents); !declared) return refuse(declared.error());
  (*plane)->open();
  std::unique_ptr<SimulatedNodes> nodes;
  if (machine) {
    if (auto started = start_machine(**plane, *machine); !started) return refuse(started.error());
  } else if (options.simulate) {
    nodes = std::make_unique<SimulatedNodes>(**plane, catalog);
  }
  greet(**plane);
  wait_for_stop(signals);
  machine.reset();
  nodes.reset();
  return kDone;
}

void add_serve_options(CLI::App& command, ServeOptions& options) {
  command.group(kRunning);
  command.add_option("--fleet", options.fleet, "Documents to declare at the start (YAML or JSON)")
      ->type_name("FILE");
  command
      .add_option("--data", options.data,
                  "Folder of the journal and the context (default: tessera-data)")
      ->type_name("FOLDER");
  command
      .add_option("--listen", options.listen,
                  "Address and port, port 0 takes any (default: 127.0.0.1:8787)")
      ->type_name("ADDRESS:PORT");
  auto* tls =
      command.add_flag("--tls", options.tls,
                       "Serve https, with a small CA of its own that is made at the first start");
  command
      .add_option(
          "--tls-name", options.tls_names,
          "A host name or address that clients connect to, beside --listen; may be repeated")
      ->needs(tls)
      ->type_name("NAME");
  command
      .add_option("--agent-certificates", options.agent_certificates,
                  "How long the certificate of an agent that joins holds (default: 30d)")
      ->needs(tls)
      ->type_name("TIME");
}

void add_nvml_options(CLI::App& command, NvmlChoice& nvml) {
  command
      .add_option("--nvml", nvml.library,
                  "libnvidia-ml.so.1, by path or name: this machine's GPUs, not simulated ones")
      ->envname("TESSERA_NVML")
      ->type_name("LIBRARY");
  command.add_flag("--adopt", nvml.adopt, "Take over MIG instances that somebody else made");
  command.add_option("--metrics", nvml.metrics,
                     "ADDRESS:PORT where Prometheus may ask the agent, e.g. 127.0.0.1:9401");
  command
      .add_option("--use-every", nvml.use_every,
                  "How often the control plane is told what was used")
      ->capture_default_str();
  command.add_option("--dcgm", nvml.dcgm,
                     "http://HOST:PORT/metrics of a dcgm-exporter, for GPUs that NVML does not "
                     "measure under MIG");
  command
      .add_option("--shares", nvml.shares.folder,
                  "Folder where programs on shares of a GPU find what they are limited to")
      ->envname("TESSERA_SHARES")
      ->type_name("FOLDER");
  command
      .add_option("--shares-group", nvml.shares.group,
                  "Whose members may run programs on shares (default: this user and root)")
      ->envname("TESSERA_SHARES_GROUP")
      ->type_name("GROUP");
  command.add_flag("--end-processes", nvml.end_processes,
                   "End whatever still runs on a released slice, not only a lease's own");
}

struct AgentCommand {
  std::string node;
  std::string join;  ///< a join token, or the path of a file that holds one
  std::string model;
  int gpus = 8;
  NvmlChoice nvml{.data = "tessera-agent"};
};

/// One agent over this machine's GPUs, against a control plane elsewhere.
int run_nvml_agent(const AgentCommand& options, const client::Context& context) {
  const auto signals = hold_signals();
  auto choice = options.nvml;
  choice.node = options.node;
  auto machine = NvmlNode::open(
      choice, std::make_shared<const catalog::Catalog>(catalog::Catalog::built_in()));
  if (!machine) {
    print_error(machine.error());
    return kRefused;
  }
  if (auto started = (*machine)->start(context); !started) {
    print_error(started.error());
    return kRefused;
  }
  fmt::print("agent of {}: {}\n", options.node, (*machine)->summary());
  std::fflush(stdout);
  wait_for_stop(signals);
  return kDone;
}

/// One agent over simulated GPUs, against a control plane elsewhere.
int run_simulated_agent(const AgentCommand& options, client::Context context) {
  const auto signals = hold_signals();
  const auto catalog = std::make_shared<const catalog::Catalog>(catalog::Catalog::built_in());
  const auto model = catalog->find(options.model);
  if (!model) {
    print_error({base::Reason::kUnknownObject, "there is no GPU model \"" + options.model + "\"",
                 "--simulate", "use a key of data/gpu_models.json, e.g. H100-80GB-SXM5"});
    return kRefused;
  }
  const SteadyClock clock;
  device::simulated::Machine machine(
      catalog, clock,
      {.gpus = std::vector(static_cast<std::size_t>(options.gpus), *model),
       .seed = std::hash<std::string>{}(options.node)});
  device::simulated::SimulatedDriver driver(machine);
  agent::Agent agent(options.node, driver, catalog);
  client::AgentTransport transport(std::move(context));
  agent::Runner runner(agent, transport, clock);
  fmt::print("agent of {}: {} simulated {}\n", options.node, options.gpus, options.model);
  std::fflush(stdout);
  wait_for_stop(signals);
  return kDone;
}

/// What --join says: a token, or a file that holds one.
base::Result<client::JoinToken> join_token_of(const std::string& option) {
  if (option.find(',') != option.npos) return client::parse_join_token(option);
  const auto text = read_file(option);
  if (!text) return std::unexpected(text.error());
  return client::parse_join_token(*text);
}

/// The context of an agent that joined before and whose certificate holds.
std::optional<client::Context> context_that_holds(const std::string& folder) {
  auto known = client::read_context(client::joined_context_path(folder));
  if (!known) return std::nullopt;
  const auto identity = tls::read_identity(known->identity);
  if (!identity || tls::end_of(*identity->certificate) <= SystemClock().now()) return std::nullopt;
  return std::move(*known);
}

/// The context of an agent that has joined, now or before. A token that is new is joined with: the
/// key that the agent has may have been shut out, or the CA replaced. One that was used does no
/// harm: it stands in the service's configuration for as long as somebody forgets it there.
base::Result<client::Context> joined_context(const AgentCommand& options) {
  const auto& folder = options.nvml.data;
  auto known = context_that_holds(folder);
  if (options.join.empty()) {
    if (known) return std::move(*known);
    return base::fail(
        base::Reason::kUnauthenticated, "this agent's certificate has ended",
        client::joined_context_path(folder),
        "join again: `tessera token NAME --node NODE --join` makes what --join takes");
  }
  const auto token = join_token_of(options.join);
  if (token && known && client::joined_with(*token, folder)) return std::move(*known);
  auto joined = token ? client::join(*token, folder)
                      : base::Result<client::Context>(std::unexpected(token.error()));
  if (joined || !known) return joined;
  fmt::print(stderr, "warning: not joined anew, going on as before: {}\n",
             base::to_string(joined.error()));
  return std::move(*known);
}

/// An agent that has joined is the node that its certificate names.
base::Result<void> name_node(AgentCommand& options, const client::Context& context) {
  if (!context.identity.empty()) {
    const auto identity = tls::read_identity(context.identity);
    if (!identity) return std::unexpected(identity.error());
    if (!options.node.empty() && options.node != identity->node())
      return base::fail(base::Reason::kConflict,
                        "this agent has joined as node \"" + identity->node() + "\"", "--node",
                        "leave the option out");
    options.node = identity->node();
  }
  if (!options.node.empty()) return {};
  return base::fail(base::Reason::kInvalidDocument, "which node this is, nothing says", "--node",
                    "name it, or join with --join");
}

int run_agent(Program& program, AgentCommand options) {
  if (options.model.empty() && options.nvml.library.empty()) {
    print_error({base::Reason::kInvalidDocument, "an agent needs GPUs", "agent",
                 "name the driver's library with --nvml libnvidia-ml.so.1, or a model with "
                 "--simulate"});
    return kUsage;
  }
  // Who names a context means that one, whatever this agent once joined.
  const bool told = program.cli.count("--context") > 0;
  const bool joins =
      !options.join.empty() ||
      (!told && std::filesystem::exists(client::joined_context_path(options.nvml.data)));
  auto context = joins ? joined_context(options) : client::read_context(program.context_file);
  if (!context) {
    print_error(context.error());
    return kRefused;
  }
  if (auto named = name_node(options, *context); !named) {
    print_error(named.error());
    return kRefused;
  }
  hold_signals();  // before the first thread
  const SystemClock clock;
  std::unique_ptr<client::Renewer> renewer;
  if (!context->identity.empty())
    renewer = std::make_unique<client::Renewer>(*context, clock, [](const base::Error& error) {
      spdlog::warn("the certificate could not be renewed: {}", base::to_string(error));
    });
  return options.model.empty() ? run_nvml_agent(options, *context)
                               : run_simulated_agent(options, std::move(*context));
}

}  // namespace

void add_serving_commands(Program& program) {
  const auto up_options = std::make_shared<ServeOptions>();
  up_options->simulate = true;
  auto* up = program.cli.add_subcommand(
      "up",
      "Start a control plane with simulated GPUs for every declared node, or with this "
      "machine's");
  add_serve_options(*up, *up_options);
  add_nvml_options(*up, up_options->nvml);
  up->callback([&program, up_options] { program.chosen = [=] { return serve(*up_options); }; });

  const auto serve_options = std::make_shared<ServeOptions>();
  auto* plain = program.cli.add_subcommand("serve", "Start a control plane; agents dial in");
  add_serve_options(*plain, *serve_options);
  plain->callback(
      [&program, serve_options] { program.chosen = [=] { return serve(*serve_options); }; });

  const auto agent_options = std::make_shared<AgentCommand>();
  auto* agent = program.cli.add_subcommand(
      "agent", "Run the agent of one node; --join or --context say of which control plane it is");
  agent->group(kRunning);
  agent
      ->add_option("--node", agent_options->node,
                   "Name of the node (default: the one that it has joined as)")
      ->type_name("NAME");
  agent
      ->add_option("--join", agent_options->join,
                   "What `tessera token NAME --node NODE --join` printed, or a file with it; used "
                   "until the agent has a certificate in --data")
      ->envname("TESSERA_JOIN")
      ->type_name("TOKEN|FILE");
  add_nvml_options(*agent, agent_options->nvml);
  agent
      ->add_option("--data", agent_options->nvml.data,
                   "Folder of what the agent remembers (default: tessera-agent)")
      ->type_name("FOLDER");
  agent->add_option("--simulate", agent_options->model, "GPU model of a simulated machine instead")
      ->type_name("MODEL");
  agent->add_option("--gpus", agent_options->gpus, "Number of simulated GPUs (default: 8)")
      ->check(CLI::Range(1, 64))
      ->type_name("N");
  agent->callback([&program, agent_options] {
    program.chosen = [&program, agent_options] { return run_agent(program, *agent_options); };
  });
}

}  // namespace tessera::app
