#pragma once

#include <map>
#include <optional>
#include <vector>

#include "simulation/filling.h"

namespace tessera::simulation {

/// Finds the fewest leases that must move so that a waiting request fits, and moves them.
///
/// Two kinds of ways are looked for, on all nodes:
///   - up to three tenants of a node leave, each to a place that is free, and the request takes
///     what they leave;
///   - two shares on different GPUs change places, so that what is left over on both GPUs comes
///     together on one: that helps where no hole is large enough for anything.
/// Ways are ordered by the moves they take, then by what moves. The first few are tried on the
/// state itself; whoever has no place of its own in the way is placed where production would place
/// it. If somebody finds no room, everything goes back to where it was.
///
/// Bounded: a decision looks at every tenant a fixed number of times and tries a fixed number of
/// ways. Deterministic.
class RoomMaker {
 public:
  explicit RoomMaker(Filling& filling) : filling_(filling) {}

  /// How many leases moved, at most `most`; none: nothing was found, and nothing has changed.
  std::optional<int> make_room(RequestId request, int most);

 private:
  struct Leaver {
    RequestId id;
    std::optional<fleet::GpuIndex> to;  ///< none: wherever production would place it
  };
  struct Way {
    std::vector<Leaver> leave;
    std::int64_t held = 0;  ///< by those, in thousandths of a GPU
    std::int64_t left = 0;  ///< left over on the GPUs that are touched
  };
  /// One thing done: a lease taken away from `was`, or a request placed.
  struct Done {
    RequestId request;
    std::optional<placement::Spot> was;
  };
  class Leaving;
  class Swaps;

  /// A search that found nothing. Until something moves room only becomes less, so it is not worth
  /// repeating before some more pods are placed.
  struct Vain {
    std::size_t running = 0;
    int moved = 0;
    int most = 0;
  };
  /// Whether one more of a kind found room when so many ran and so many moves had been made.
  struct CouldGo {
    bool could = false;
    std::size_t running = 0;
    int moved = 0;
  };

  std::vector<Way> ways(const request::Need& need, int most);
  bool could_go(const Filling::Tenant& tenant);
  bool attempt(const Way& way, RequestId request);
  void undo();

  Filling& filling_;
  std::map<std::size_t, CouldGo> could_go_;  ///< by kind
  std::map<std::size_t, Vain> vain_;         ///< by kind
  std::vector<Done> done_;
  int moved_ = 0;  ///< in all
};

}  // namespace tessera::simulation
