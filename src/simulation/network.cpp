#include "simulation/network.h"

namespace tessera::simulation {
namespace {

using namespace std::chrono_literals;

Duration random_span(base::Random& random, Duration least, Duration most) {
  const auto width = static_cast<std::uint64_t>((most - least).count()) + 1;
  return least + Duration(random.below(width));
}

}  // namespace

void Network::send(const std::string& node, const std::function<void()>& deliver) {
  if (cut_.contains(node)) return;
  const auto usual = random_span(random_, 1ms, 60ms);
  if (!storm_) return agenda_.after(usual, deliver);
  if (random_.chance(1, 40)) return faults_.count("message-lost");
  if (random_.chance(1, 40)) {
    faults_.count("message-doubled");
    agenda_.after(random_span(random_, 1ms, 30s), deliver);
  }
  if (random_.chance(1, 30)) {
    faults_.count("message-late");
    return agenda_.after(random_span(random_, 1s, 2min), deliver);
  }
  agenda_.after(usual, deliver);
}

void Network::calm() {
  storm_ = false;
  cut_.clear();
}

}  // namespace tessera::simulation
