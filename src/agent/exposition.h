#pragma once

#include <string>
#include <vector>

#include "agent/meter.h"
#include "agent/share_keeper.h"

namespace tessera::agent {

/// Whose metrics they are.
struct ExpositionOf {
  std::string node;    ///< as the control plane calls it
  std::string driver;  ///< "580.95.05"; empty: simulated
};

/// What Prometheus reads from an agent, in its text format.
///
/// Two families of names: ours (tessera_…: base units, ratios, counters that end in _total), and
/// those of NVIDIA's dcgm-exporter, with its units and labels, for the dashboards that people have.
/// Unlike there, what is known of a whole GPU only is shown once for the GPU, and not again for
/// each of its instances: sums are sums. `modelName` is left out (promtool refuses the name);
/// tessera_gpu_info has the model.
std::string exposition(const MeterView& view, const ExpositionOf& of,
                       const std::vector<ShareUse>& shares = {});

}  // namespace tessera::agent
