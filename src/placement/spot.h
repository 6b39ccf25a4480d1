#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/reason.h"
#include "base/time.h"
#include "fleet/slice.h"
#include "request/need.h"
#include "request/request.h"

/// The answers of placement: where a need fits now, or why it does not and what would make it fit.
namespace tessera::placement {

using base::Reason;
using fleet::GpuIndex;
using fleet::NodeIndex;
using fleet::PoolIndex;

/// One slice to be granted.
struct Grant {
  GpuIndex gpu;
  fleet::SliceShape shape;
  std::uint64_t reuses = 0;            ///< generation of the idle slice taken; 0: a new one is made
  std::vector<std::uint64_t> retires;  ///< idle slices that make room, by generation
};

/// A complete answer for one need: all its slices, on one node or, for a gang, on
/// several of one pool.
struct Spot {
  std::string tier;
  PoolIndex pool;
  NodeIndex node;  ///< the first
  std::vector<Grant> grants;
  fleet::Cost cost;
};

/// Why one (pool, technology) of the matched tier cannot serve a need now. The counts are of GPUs
/// of the pool and add up to `gpus`.
struct Blocker {
  std::string pool;
  catalog::Technology technology{};
  std::string profile;  ///< what it would take there: "1g.10gb", "share-10GiB", "whole"
  Reason reason{};      ///< the one that decides
  int gpus = 0;
  int full = 0;          ///< held to the point that no piece of that size remains
  int wrong_layout = 0;  ///< enough is free, but not in one piece or not cut so
  int scrubbing = 0;     ///< would do once a slice being cleaned is verified free
  int away = 0;          ///< cordoned, lost, quarantined or not reported yet
  int host = 0;          ///< room on the GPU, but the node's CPU or memory is used up
  int fitting = 0;       ///< would do, were it not for the quota
  std::string detail;    ///< one sentence for people
};

/// A change that would make the need fit at once, or the moment when it will.
struct Alternative {
  enum class Kind : std::uint8_t { kSmaller, kWeaker, kOtherTier, kOtherPool, kAnyModel, kLater };
  Kind kind{};
  std::string text;          ///< "fits now with 20 GiB", "fits after lease-77 ends"
  request::Need need;        ///< the need that fits (all but kLater)
  std::string profile;       ///< what it would get
  base::Instant at{};        ///< kLater: from declared ends only
  request::LeaseId after{};  ///< kLater: the lease whose end makes the room
};
std::string_view to_string(Alternative::Kind kind);

/// Why a request waits, or where it would go. Produced by the function that places.
struct Explanation {
  std::optional<Spot> spot;  ///< fits now
  Reason reason{};           ///< without a spot: the main blocker
  std::string message;       ///< one sentence
  std::string tier;          ///< matched tier; empty if none
  std::vector<Blocker> blockers;
  std::vector<Alternative> alternatives;
  std::vector<std::string> hints;  ///< also with a spot: "10 GB would fit 1g.10gb, 10 GiB does not"
};

}  // namespace tessera::placement
