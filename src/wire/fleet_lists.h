#pragma once

#include "base/result.h"
#include "control/fleet_at_hand.h"
#include "wire/json.h"

/// The fleet of a control plane from the lists that its API gives: for questions that a client
/// answers by itself.
namespace tessera::wire {

/// The items of GET /v1/KIND, all pages. Of leases and requests only active ones are needed.
struct FleetLists {
  Json tiers = Json::array();
  Json pools = Json::array();
  Json gpus = Json::array();
  Json leases = Json::array();
  Json requests = Json::array();
};

/// A lease may move where its tier is movable, it is active, has one slice, and asked for no part
/// of a host; whether that host is counted is not looked at, so that a plan of the control plane
/// may move a few more. Errors: kInvalidDocument where an object is not what this version knows.
base::Result<control::FleetAtHand> read_fleet(const FleetLists& lists,
                                              const catalog::Catalog& catalog);

}  // namespace tessera::wire
