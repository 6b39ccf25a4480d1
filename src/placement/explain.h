#pragma once

#include <string>
#include <utility>
#include <vector>

#include "placement/place.h"
#include "placement/spot.h"

/// Explaining: the verdict of match() and place() on a need, every blocker, and what would change
/// the verdict. All of it comes from running those two functions, never from a second opinion.
namespace tessera::placement {

/// A lease that will end: until when it is promised, and the slices it will free.
struct Ending {
  base::Instant at{};
  const request::Lease* lease = nullptr;
};

/// Endings must be in rising order of time; at most kForecastDepth of them are looked at.
inline constexpr std::size_t kForecastDepth = 10'000;

/// `asked_tier` is the tier that the team itself named, where `need` names the one it was matched
/// to: another pool or model may be in another tier.
Explanation explain(const World& world, const request::Need& need,
                    const std::vector<Ending>& endings, const std::string& asked_tier);

}  // namespace tessera::placement
