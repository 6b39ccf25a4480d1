#include "simulation/trouble.h"

#include <algorithm>
#include <array>

namespace tessera::simulation {
namespace {

using namespace std::chrono_literals;
using device::Condition;
using device::ErrorCode;
using device::OperationKind;
using journal::MemoryJournal;

const tenancy::Actor kAdministrator{"administrator", tenancy::Role::kAdmin, {}};
const tenancy::Actor kTechnician{"technician", tenancy::Role::kOperator, {}};

}  // namespace

Trouble::Trouble(Agenda& agenda, Network& network, ControlPlane& control, const Nodes& nodes,
                 base::Random& random, FaultCounts& faults, Wakers wakers)
    : agenda_(agenda),
      network_(network),
      control_(control),
      nodes_(nodes),
      random_(random),
      faults_(faults),
      wakers_(std::move(wakers)) {}

void Trouble::start() {
  agenda_.after(seconds(60), [this] { strike(); });
  repair();
}

void Trouble::calm() {
  calm_ = true;
  network_.calm();
  control_.journal().fail_next_append(MemoryJournal::Fault::kNone);
}

Node& Trouble::some_node() {
  return *std::next(nodes_.begin(), static_cast<std::ptrdiff_t>(random_.below(nodes_.size())))
              ->second;
}

void Trouble::strike() {
  if (calm_) return;
  auto& node = some_node();
  const auto what = random_.below(10);
  if (what < 4)
    strike_device(node, static_cast<device::GpuNumber>(random_.below(node.gpus())));
  else if (what < 8)
    strike_node(node);
  else
    strike_control();
  agenda_.after(seconds(10 + random_.below(240)), [this] { strike(); });
}

void Trouble::strike_device(Node& node, device::GpuNumber gpu) {
  auto& machine = node.machine();
  constexpr std::array kCodes = {ErrorCode::kInUse, ErrorCode::kNoRoom, ErrorCode::kUnknown,
                                 ErrorCode::kNotPermitted};
  switch (random_.below(8)) {
    case 0:
    case 1:
      faults_.count("device-create-fails");
      return machine.fail_next({gpu, OperationKind::kCreate, kCodes[random_.below(kCodes.size())],
                                static_cast<int>(1 + random_.below(7))});
    case 2:
      faults_.count("device-in-use");
      return machine.fail_next({gpu, OperationKind::kDestroy, ErrorCode::kInUse,
                                static_cast<int>(1 + random_.below(10))});
    case 3:
      faults_.count("device-call-fails");
      return machine.fail_next({gpu, static_cast<OperationKind>(random_.below(4)),
                                kCodes[random_.below(kCodes.size())],
                                static_cast<int>(1 + random_.below(7))});
    case 4:
      faults_.count("device-hangs");
      machine.hang_next(gpu);
      return agenda_.after(seconds(5 + random_.below(600)),
                           [&machine, gpu] { machine.release(gpu); });
    case 5:
      faults_.count("memory-left-over");
      return machine.leave_memory(gpu, machine.observe().gpus.at(gpu).uuid, base::MiB(512),
                                  seconds(5 + random_.below(200)));
    case 6:
      if (!random_.chance(1, 3)) return;
      faults_.count("gpu-lost");
      return machine.lose(gpu);
    default:
      if (!random_.chance(1, 3)) return;
      faults_.count("gpu-error");
      return machine.raise_xid(gpu, 48);
  }
}

void Trouble::strike_node(Node& node) {
  const auto span = seconds(5 + random_.below(400));
  switch (random_.below(7)) {
    case 6:
      return write_off(node);
    case 0:
    case 1:
    case 2:
      faults_.count("agent-restarted");
      return restart_agent(node, random_.chance(1, 2) ? 0s : seconds(random_.below(120)));
    case 3:
      faults_.count("node-cut-off");
      network_.cut(node.name());
      return agenda_.after(span, [this, &node] { network_.mend(node.name()); });
    case 4:
      faults_.count("node-rebooted");
      node.power_off();
      return restart_agent(node, seconds(20 + random_.below(60)));
    default:
      faults_.count("node-lost");
      node.power_off();
      return restart_agent(node, span + 2min);
  }
}

/// The machine burns, with all it holds; another comes in its place under the same name.
void Trouble::write_off(Node& node) {
  if (!control_.up()) return;
  const auto& fleet = control_.state().fleet();
  const auto index = fleet.find_node(node.name());
  if (!index) return;  // burnt already
  const auto& known = fleet.node(*index);
  const control::PutNode declared{node.name(),
                                  fleet.pool(known.pool).name,
                                  static_cast<int>(known.gpus.size()),
                                  known.cpu,
                                  known.memory,
                                  known.nvlink};
  if (!control_.execute(control::DeleteNode{node.name(), true}, kAdministrator)) return;
  faults_.count("node-written-off");
  node.power_off();
  restart_agent(node, seconds(20 + random_.below(600)));
  declare(declared);
}

/// Tries until it is answered.
void Trouble::declare(const control::PutNode& node) {
  agenda_.after(seconds(5 + random_.below(300)), [this, node] {
    if (!control_.up() || !control_.execute(node, kAdministrator)) declare(node);
  });
}

void Trouble::restart_agent(Node& node, Duration away) {
  node.stop_agent();
  agenda_.after(away, [this, &node] {
    if (node.agent() != nullptr) return;  // somebody else was faster
    node.start_agent();
    wakers_.agent(node);
  });
}

void Trouble::strike_control() {
  if (!control_.up()) return;
  if (random_.chance(1, 2)) return fail_append();
  kill_control();
}

void Trouble::fail_append() {
  auto& journal = control_.journal();
  switch (random_.below(3)) {
    case 0:
      faults_.count("journal-refuses");
      return journal.fail_next_append(MemoryJournal::Fault::kRefused);
    case 1:
      faults_.count("journal-torn");
      return journal.fail_next_append(MemoryJournal::Fault::kTorn);
    default:
      faults_.count("journal-unheard");
      return journal.fail_next_append(MemoryJournal::Fault::kUnheard);
  }
}

void Trouble::kill_control() {
  faults_.count("control-killed");
  control_.kill();
  if (random_.chance(1, 3)) {
    // The process died while it wrote: the beginning of a batch lies behind the last whole one.
    faults_.count("journal-torn-tail");
    const auto log = control_.journal().log();
    control_.journal().set_log(log + log.substr(0, 5 + random_.below(60)));
  }
  agenda_.after(seconds(1 + random_.below(90)), [this] {
    control_.restart();
    wakers_.control();
  });
}

/// Every few minutes somebody looks at what is quarantined, resets what needs it and takes the GPU
/// back into service.
void Trouble::repair() {
  if (control_.up()) {
    std::vector<std::string> broken;
    const auto& fleet = control_.state().fleet();
    for (std::size_t i = 0; i < fleet.gpus().size(); ++i)
      if (fleet.gpus()[i].health == fleet::Health::kQuarantined && random_.chance(2, 3))
        broken.push_back(fleet.gpu_name(fleet::GpuIndex(i)));
    for (const auto& name : broken) repair_gpu(name);
  }
  agenda_.after(seconds(120 + random_.below(180)), [this] { repair(); });
}

void Trouble::repair_gpu(const std::string& name) {
  const auto slash = name.rfind('/');
  auto& node = *nodes_.at(name.substr(0, slash));
  const auto number = static_cast<device::GpuNumber>(std::stoi(name.substr(slash + 1)));
  node.machine().release(number);
  const auto seen = node.machine().observe();
  const auto* gpu = seen.find(number);
  const bool needs_reset = gpu != nullptr && (gpu->condition == Condition::kLost ||
                                              std::ranges::count(gpu->xids, 48) > 0);
  if (needs_reset) {
    node.power_off();
    restart_agent(node, 20s);
  }
  // A failed attempt is made again with the next round.
  (void)control_.execute(control::Restore{name}, kTechnician);
}

}  // namespace tessera::simulation
