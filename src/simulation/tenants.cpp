#include "simulation/tenants.h"

#include <algorithm>

namespace tessera::simulation {
namespace {

using namespace std::chrono_literals;

bool runs_on(const device::Observation& seen, const std::string& device, fleet::LeaseId tenant) {
  return std::ranges::any_of(seen.gpus, [&](const device::GpuState& gpu) {
    return std::ranges::any_of(gpu.processes, [&](const device::Process& process) {
      return process.device == device && process.tenant == tenant;
    });
  });
}

}  // namespace

void Tenants::note(const control::State& state, const control::Record& record) {
  for (const auto& event : record.events) {
    if (const auto* moved = std::get_if<control::LeaseMoved>(&event))
      if (const auto* lease = state.find(moved->lease)) move_in(state, *lease);
    if (const auto* active = std::get_if<control::LeaseActivated>(&event))
      if (const auto* lease = state.find(active->lease)) move_in(state, *lease);
  }
}

void Tenants::tend(const control::State& state) {
  for (const auto& [id, lease] : state.leases())
    if (lease.state == request::LeaseState::kActive && random_.chance(1, 4)) move_in(state, lease);
  for (const auto& [name, node] : nodes_)
    for (const auto& gpu : node->machine().observe().gpus)
      for (const auto& process : gpu.processes)
        if (random_.chance(1, 20)) node->machine().stop(process.pid);
}

/// The start may be refused: the device is gone with a boot that the control plane has not heard
/// of. The tenant tries again later.
void Tenants::move_in(const control::State& state, const request::Lease& lease) {
  for (const auto& leased : lease.slices) {
    const auto index = state.fleet().gpu(leased.gpu).node;
    if (!index.valid()) continue;
    auto& machine = nodes_.at(state.fleet().node(index).name)->machine();
    const auto seen = machine.observe();
    const auto* slice = state.fleet().gpu(leased.gpu).find(leased.generation);
    if (slice == nullptr || runs_on(seen, slice->device, lease.id)) continue;
    device::simulated::Program program{.device = slice->device,
                                       .memory = base::MiB(256),
                                       .tenant = lease.id,
                                       .linger = Duration(random_.below(3000))};
    if (!calm_ && random_.chance(1, 15)) {
      faults_.count("process-refuses-to-die");
      program.linger = std::chrono::seconds(30 + random_.below(420));
    }
    (void)machine.start(program);
  }
}

}  // namespace tessera::simulation
