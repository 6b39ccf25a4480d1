#include "simulation/run.h"

#include <exception>
#include <string_view>

namespace tessera::simulation {
namespace {

constexpr std::uint64_t kLeastGrants = 15;
constexpr std::uint64_t kLeastFaults = 20;

/// FNV-1a: tells whether two runs were the same, and is no defence against anyone.
std::uint64_t digest_of(std::string_view bytes, std::uint64_t seed = 0xcbf29ce484222325) {
  for (const char byte : bytes) {
    seed ^= static_cast<unsigned char>(byte);
    seed *= 0x100000001b3;
  }
  return seed;
}

std::string hex(std::uint64_t number) {
  std::string text(16, '0');
  for (std::size_t i = 16; i-- > 0; number >>= 4) text[i] = "0123456789abcdef"[number & 15];
  return text;
}

}  // namespace

SeedResult run_seed(std::uint64_t seed, const Hooks& hooks, WorldOptions options) {
  SeedResult result{.seed = seed};
  World world(seed, hooks, options);
  try {
    world.run();
  } catch (const std::logic_error& broken) {  // a CHECK in the system under test
    result.violation = broken.what();
  } catch (const Violation& broken) {
    result.violation = broken.what();
  }
  result.simulated = world.simulated();
  result.granted = world.granted();
  result.moved = world.moved();
  result.restarted = world.restarted();
  result.faults = world.faults();
  result.digest = digest_of(world.journal_bytes());
  result.is_void = result.granted < kLeastGrants || result.faults.total() < kLeastFaults;
  return result;
}

Report run_seeds(std::uint64_t first_seed, std::uint64_t count, const Progress& progress,
                 const Stop& stop) {
  Report report;
  FaultCounts faults;
  std::string digests;
  for (std::uint64_t seed = first_seed; seed < first_seed + count; ++seed) {
    if (stop && stop()) break;
    const auto result = run_seed(seed);
    ++report.seeds;
    report.void_runs += result.is_void ? 1 : 0;
    report.simulated_hours +=
        std::chrono::duration<double, std::ratio<3600>>(result.simulated).count();
    report.granted += result.granted;
    report.moved += result.moved;
    report.restarted += result.restarted;
    faults.add(result.faults);
    report.faults = faults.by_name();
    digests += hex(result.digest);
    report.digest = hex(digest_of(digests));
    if (result.violation) {
      ++report.violations;
      report.first_violation = {seed, *result.violation};
    }
    if (progress) progress(report);
    if (result.violation) break;
  }
  return report;
}

}  // namespace tessera::simulation
