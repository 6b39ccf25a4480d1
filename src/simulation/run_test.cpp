#include "simulation/run.h"

#include <cstdlib>
#include <iostream>

#include <gtest/gtest.h>

namespace tessera::simulation {
namespace {

TEST(RunTest, Seeds) {
  const auto first = std::getenv("FIRST") ? std::strtoull(std::getenv("FIRST"), nullptr, 10) : 1;
  const auto count = std::getenv("COUNT") ? std::strtoull(std::getenv("COUNT"), nullptr, 10) : 20;
  const auto report = run_seeds(first, count);
  if (report.first_violation)
    ADD_FAILURE() << report.first_violation->seed << ": " << report.first_violation->text;
  std::cerr << "seeds " << report.seeds << " void " << report.void_runs << " hours "
            << report.simulated_hours << " granted " << report.granted << " digest "
            << report.digest << "\n";
  for (const auto& [name, times] : report.faults) std::cerr << "  " << name << " " << times << "\n";
}

}  // namespace
}  // namespace tessera::simulation
