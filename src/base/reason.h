#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace tessera::base {

/// The stable codes by which programs tell refusals and waits apart. The text of a code is part of
/// the public API (problem+json `reason`, `status.reason`): never rename one, only add.
/// Order is the order in the journal: append at the end.
#define TESSERA_REASONS(X)                                                                \
  /* the input is wrong */                                                                \
  X(kInvalidDocument, "InvalidDocument") /* unknown key, wrong type, not YAML or JSON */  \
  X(kInvalidQuantity, "InvalidQuantity") /* unit, sign, range */                          \
  X(kInvalidLayout, "InvalidLayout")     /* placements the model does not allow */        \
  X(kUnknownObject, "UnknownObject")     /* a name that does not exist */                 \
  X(kAlreadyExists, "AlreadyExists")                                                      \
  X(kConflict, "Conflict")     /* the object changed, or is in use */                     \
  X(kWrongState, "WrongState") /* this request or lease cannot do that now */             \
  X(kForbidden, "Forbidden")                                                              \
  X(kUnauthenticated, "Unauthenticated")                                                  \
  X(kTooLarge, "TooLarge")                                                                \
  X(kTooOld, "TooOld")           /* a watch revision that is gone */                      \
  X(kUnavailable, "Unavailable") /* journal or peer away, try again */                    \
  X(kInternal, "Internal")                                                                \
  /* the need can never be met */                                                         \
  X(kNeverFits, "NeverFits")   /* no GPU of this fleet could hold it */                   \
  X(kNoTier, "NoTier")         /* no tier promises that isolation */                      \
  X(kAboveLimit, "AboveLimit") /* more than the team's limit, even when idle */           \
  /* the need waits */                                                                    \
  X(kAwaitingApproval, "AwaitingApproval")                                                \
  X(kNoCapacity, "NoCapacity")           /* every GPU that could hold it is full */       \
  X(kFragmented, "Fragmented")           /* enough is free, but not in one piece */       \
  X(kQuotaReached, "QuotaReached")       /* the team's limit is used up for now */        \
  X(kNodesAway, "NodesAway")             /* only cordoned, lost or unhealthy GPUs left */ \
  X(kHostResources, "HostResources")     /* node CPU or memory is used up */              \
  X(kWaitingForScrub, "WaitingForScrub") /* room is freed, not yet verified clean */      \
  /* how a lease ended */                                                                 \
  X(kExpired, "Expired")                                                                  \
  X(kReleased, "Released")                                                                \
  X(kCancelled, "Cancelled")                                                              \
  X(kDeviceFailed, "DeviceFailed")                                                        \
  X(kPreempted, "Preempted")                                                              \
  /* the queue is no place to keep it */                                                  \
  X(kQueueFull, "QueueFull") /* the team has as many requests waiting as it may */        \
  /* a plan */                                                                            \
  X(kPlanOutdated, "PlanOutdated") /* what it rests on has changed since */               \
  X(kWindowClosed, "WindowClosed") /* its window closed before it was done */

enum class Reason : std::uint8_t {
#define X(name, text) name,
  TESSERA_REASONS(X)
#undef X
};

std::string_view to_string(Reason reason);
std::optional<Reason> reason_from(std::string_view text);

}  // namespace tessera::base
