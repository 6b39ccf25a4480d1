#include "simulation/world.h"

namespace tessera::simulation {
namespace {

using namespace std::chrono_literals;
using tenancy::Actor;
using tenancy::Role;

const Actor kSystem{"system", Role::kAdmin, {}};

constexpr Duration kGrace = 60s;      ///< a node that is silent for longer is lost
constexpr Duration kLookEvery = 20s;  ///< for silent nodes
constexpr Duration kLateness = 1min;  ///< by which a lease may outlive its end

/// 2026-01-01T00:00:00Z.
Instant start_of_time() {
  return Instant(std::chrono::sys_days(std::chrono::year(2026) / 1 / 1));
}

/// Built once: the tables of layouts are the same for every world.
std::shared_ptr<const catalog::Catalog> built_in_catalog() {
  static const auto catalog =
      std::make_shared<const catalog::Catalog>(catalog::Catalog::built_in());
  return catalog;
}

}  // namespace

World::World(std::uint64_t seed, Hooks hooks, WorldOptions options)
    : hooks_(std::move(hooks)),
      options_(options),
      random_(seed),
      catalog_(built_in_catalog()),
      agenda_(start_of_time()),
      begin_(agenda_.now()),
      plan_(random_fleet(*catalog_, random_)),
      network_(agenda_, random_, faults_),
      auditor_(*catalog_, nodes_),
      control_(catalog_, agenda_, hooks_,
               [this](const auto& state, const auto& record) { note(state, record); }),
      tenants_(nodes_, random_, faults_),
      workload_(agenda_, control_, auditor_, plan_, random_, faults_),
      trouble_(agenda_, network_, control_, nodes_, random_, faults_,
               {[this](Node& node) { wake(node); }, [this] { control_started(); }}),
      watch_(kGrace, agenda_.now()),
      up_since_(agenda_.now()) {
  for (const auto& planned : plan_.nodes)
    nodes_[planned.name] = std::make_unique<Node>(planned, catalog_, agenda_, random_.next());
}

void World::run() {
  storm();
  settle();
  auditor_.check_all(control_.state());
  control_.check_whole_journal();
}

void World::storm() {
  if (const auto applied = control_.execute(plan_.documents, kSystem); !applied)
    throw Violation("the fleet was refused: " + base::to_string(applied.error()));
  for (const auto& [name, node] : nodes_) wake(*node);
  watch_nodes();
  tend();
  workload_.start();
  trouble_.start();
  agenda_.run_until(begin_ + options_.storm);
}

void World::settle() {
  workload_.calm();
  trouble_.calm();
  tenants_.calm();
  const auto calm_since = agenda_.now();
  while (!settled()) {
    if (agenda_.now() - calm_since > options_.quiet)
      throw Violation("LeaseMeansDevice: after " + base::to_string(options_.quiet) + " of quiet " +
                      (control_.up() ? auditor_.unsettled(control_.state()) : "control is down"));
    agenda_.run_until(agenda_.now() + 1min);
  }
}

bool World::settled() {
  return control_.up() && auditor_.unsettled(control_.state()).empty();
}

/// Runs a node's agent now; it says itself when it wants to be run again.
void World::wake(Node& node) {
  const auto ticket = ++tickets_[node.name()];
  const auto session = node.session();
  agenda_.after(0ms, [this, &node, session, ticket] { tick_agent(node, session, ticket); });
}

void World::tick_agent(Node& node, std::uint64_t session, std::uint64_t ticket) {
  if (node.agent() == nullptr || node.session() != session || tickets_[node.name()] != ticket)
    return;
  const auto step = node.agent()->tick(agenda_.now());
  if (step.report)
    network_.send(node.name(), [this, report = *step.report, session] { hear(report, session); });
  agenda_.at(step.wake, [this, &node, session, ticket] { tick_agent(node, session, ticket); });
}

/// A report arrives; the answer is the node's target, as in the agent protocol.
void World::hear(fleet::NodeReport report, std::uint64_t session) {
  if (!control_.up()) return;
  if (hooks_.on_report) hooks_.on_report(report);
  const auto name = report.node;
  const Actor agent{"agent-of-" + name, Role::kAgent, name};
  if (!control_.execute(control::Report{std::move(report)}, agent)) return;
  watch_.heard(name, agenda_.now());
  if (nodes_.at(name)->session() == session) tell(name);
}

/// Sends a node its target. An agent process only hears what was meant for it: a connection dies
/// with its process.
void World::tell(const std::string& name) {
  auto& node = *nodes_.at(name);
  const auto index = control_.state().fleet().find_node(name);
  if (!index || node.agent() == nullptr) return;
  auto target = control::target_of(control_.state(), *index);
  if (hooks_.on_target && !hooks_.on_target(target)) return;
  network_.send(name, [this, &node, session = node.session(), target = std::move(target)] {
    if (node.agent() == nullptr || node.session() != session) return;
    node.agent()->on_target(target);
    wake(node);
  });
}

void World::note(const control::State& state, const control::Record& record) {
  auditor_.note(state, record);
  tenants_.note(state, record);
  std::set<std::string> touched;
  for (const auto& event : record.events)
    for (const auto& object : control::touched_by(state, event))
      if (object.kind == "Gpu") touched.insert(object.name.substr(0, object.name.rfind('/')));
  // Told once the step is over: while it is noted the control plane may still be recovering.
  for (const auto& name : touched)
    agenda_.after(0ms, [this, name] {
      if (control_.up()) tell(name);
    });
  arm_timer();
}

void World::arm_timer() {
  agenda_.after(0ms, [this] {
    if (!control_.up()) return;
    const auto due = control_.state().next_due();
    if (!due || (timer_ >= agenda_.now() && timer_ <= *due)) return;
    timer_ = std::max(*due, agenda_.now());
    agenda_.at(timer_, [this, ticket = ++timer_ticket_] {
      if (ticket == timer_ticket_) time_passes();
    });
  });
}

void World::time_passes() {
  timer_ = {};
  if (!control_.up()) return;
  const control::Command tick = control::Tick{};
  if (!hooks_.on_command || hooks_.on_command(tick)) (void)control_.execute(tick, kSystem);
  const auto due = control_.state().next_due();
  // A tick that was refused, or changed nothing, is tried again a little later.
  if (due && *due <= agenda_.now())
    agenda_.after(1s, [this] { arm_timer(); });
  else
    arm_timer();
}

void World::watch_nodes() {
  if (control_.up()) {
    for (auto& node : watch_.look(control_.state().fleet(), agenda_.now()))
      (void)control_.execute(control::NodeSilent{std::move(node)}, kSystem);
    if (agenda_.now() - up_since_ > kLateness) auditor_.check_overdue(agenda_.now() - kLateness);
  }
  agenda_.after(kLookEvery, [this] { watch_nodes(); });
}

void World::tend() {
  if (control_.up()) tenants_.tend(control_.state());
  agenda_.after(2min, [this] { tend(); });
}

void World::control_started() {
  watch_ = service::NodeWatch(kGrace, agenda_.now());
  up_since_ = agenda_.now();
  timer_ = {};
  auditor_.check_all(control_.state());
  arm_timer();
}

}  // namespace tessera::simulation
