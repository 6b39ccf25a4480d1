#pragma once

#include <memory>
#include <string>
#include <vector>

#include "agent/agent.h"
#include "agent/runner.h"
#include "app/control_plane.h"
#include "app/measuring.h"
#include "app/node_shares.h"
#include "client/agent_transport.h"
#include "device/nvml/driver.h"

namespace tessera::app {

/// The machine's host name, as a node may be called.
std::string host_name();

/// How this machine's GPUs are reached, and what may be done to what is found there.
struct NvmlChoice {
  std::string node;              ///< what the machine is called; empty: its host name
  std::string library;           ///< path or name of libnvidia-ml.so.1; empty: no GPUs wanted
  std::string data;              ///< folder of the list of instances we made
  bool adopt = false;            ///< take over instances that somebody else made
  std::string metrics;           ///< ADDRESS:PORT for Prometheus; empty: none
  std::string use_every = "1m";  ///< how often the control plane is told what was used
  std::string dcgm;              ///< URL of a dcgm-exporter; empty: none
  SharesChoice shares;           ///< where programs on shares find their limits
  bool end_processes = false;  ///< also those that no lease is known for, once a slice is released
};

/// The GPUs of the machine this program runs on, with their agent. Threads: one for the agent,
/// those of Measuring, and the driver's.
class NvmlNode {
 public:
  /// Finds the GPUs; nothing is changed. Errors: as NvmlDriver::open and make_share_keeper, or a
  /// folder that cannot be made.
  static base::Result<std::unique_ptr<NvmlNode>> open(
      const NvmlChoice& choice, std::shared_ptr<const catalog::Catalog> catalog);

  /// What a control plane lacks to offer these GPUs, beside `documents`: a pool of their model, the
  /// node, and a team when there is none. Where GPUs differ the most frequent model counts; the
  /// others are quarantined as being of another. Errors: the catalog knows none of them.
  base::Result<std::vector<wire::Document>> declare(const control::State& state,
                                                    const std::vector<wire::Document>& documents);

  /// Starts the agent, once. Errors: an address for metrics that cannot be listened on.
  base::Result<void> start(const client::Context& context);

  const std::string& name() const { return name_; }
  /// "2 GPUs, driver 580.95.05": for people.
  std::string summary() const;

 private:
  explicit NvmlNode(std::shared_ptr<const catalog::Catalog> catalog);

  std::shared_ptr<const catalog::Catalog> catalog_;
  SteadyClock clock_;
  std::string name_;
  std::vector<device::GpuState> found_;  ///< as they stood at the start
  MeasuringChoice measured_;
  std::shared_ptr<agent::ShareKeeper> keeper_;  ///< may be none
  std::unique_ptr<device::nvml::NvmlDriver> driver_;
  std::unique_ptr<Measuring> measuring_;
  std::unique_ptr<agent::Agent> agent_;
  std::unique_ptr<client::AgentTransport> transport_;
  std::unique_ptr<agent::Runner> runner_;  ///< last: it uses all of the above
};

}  // namespace tessera::app
