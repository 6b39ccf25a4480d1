#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "control/state.h"
#include "control/step.h"
#include "placement/capacity.h"
#include "placement/spot.h"
#include "wire/json.h"

/// The objects of the API as docs/api.md shows them: apiVersion, kind, metadata, spec, status.
/// Each is a pure function of the state, so equal states give equal text; callers hold whatever
/// lock guards the state for the length of the call.
namespace tessera::wire {

Json tier_object(const control::State& state, const tenancy::Tier& tier);
Json team_object(const control::State& state, const tenancy::Team& team);
Json pool_object(const control::State& state, fleet::PoolIndex pool);
Json node_object(const control::State& state, fleet::NodeIndex node);
Json gpu_object(const control::State& state, fleet::GpuIndex gpu);
/// The token without its digest.
Json token_object(const tenancy::Token& token);

/// A request with what belongs to it; the state need not know either of them (a dry run).
struct RequestView {
  const request::Request& request;
  const request::Lease* lease = nullptr;  ///< the one it holds or held last, if any
  int position = 0;                       ///< in the queue; 0: does not wait
  std::vector<std::string> hints{};       ///< found by explaining its need
};
Json request_object(const control::State& state, const RequestView& view);
/// Of a request that the state knows, without hints.
RequestView view_of(const control::State& state, const request::Request& request);
Json lease_object(const control::State& state, const request::Lease& lease);

/// By kind and name, as a watch names them; absent once it is gone or when the kind is unknown.
std::optional<Json> find_object(const control::State& state, std::string_view kind,
                                std::string_view name);
/// The objects of one kind that exist, by rising name (requests and leases: by number).
std::vector<Json> all_objects(const control::State& state, std::string_view kind);

/// {"kind":"RequestList","metadata":{"revision","continue"},"items"}.
Json list_of(std::string_view kind, std::uint64_t revision, std::vector<Json> items,
             std::string_view continue_token = {});

/// Where in the queue and until when, for an Explanation of a waiting request.
struct Outlook {
  int position = 0;                  ///< 0: does not wait
  std::optional<base::Instant> eta;  ///< from declared ends only
};
Json explanation_object(const control::State& state, const placement::Explanation& explanation,
                        const Outlook& outlook = {});

/// `used.fraction` is of the GPUs of the pools that carry the tier, compute or memory, whichever is
/// more, to three decimals.
Json capacity_object(const placement::Capacity& capacity);

/// One item of an ApplyResult. `before` and `after` are null where there was or is no object.
struct Change {
  std::string kind;
  std::string name;
  Json before;
  Json after;
};
/// "created", "changed" (the spec differs), "unchanged" or "deleted".
std::string_view change_of(const Change& change);
Json apply_result(const std::vector<Change>& changes);

/// "req-12", "lease-77"; a Serial that is none gives "".
std::string name_of(request::RequestId id);
std::string name_of(fleet::LeaseId id);
std::optional<request::RequestId> request_id_from(std::string_view name);
std::optional<fleet::LeaseId> lease_id_from(std::string_view name);

}  // namespace tessera::wire
