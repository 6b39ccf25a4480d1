#include <algorithm>
#include <array>

#include "gateway/api.h"
#include "gateway/route.h"

namespace tessera::gateway {
namespace {

using enum Access;
using tenancy::Role;

// clang-format off
constexpr Route kRoutes[] = {
    {"GET",    "/v1/tiers",                        "listTiers",      kViewer,   "Tier",    "limit continue",                            &Api::list},
    {"GET",    "/v1/tiers/{name}",                 "getTier",        kViewer,   "Tier",    "",                                          &Api::get},
    {"PUT",    "/v1/tiers/{name}",                 "putTier",        kAdmin,    "Tier",    "dryRun",                                    &Api::put},
    {"DELETE", "/v1/tiers/{name}",                 "deleteTier",     kAdmin,    "Tier",    "dryRun",                                    &Api::remove},
    {"GET",    "/v1/teams",                        "listTeams",      kViewer,   "Team",    "limit continue",                            &Api::list},
    {"GET",    "/v1/teams/{name}",                 "getTeam",        kViewer,   "Team",    "",                                          &Api::get},
    {"PUT",    "/v1/teams/{name}",                 "putTeam",        kAdmin,    "Team",    "dryRun",                                    &Api::put},
    {"DELETE", "/v1/teams/{name}",                 "deleteTeam",     kAdmin,    "Team",    "dryRun",                                    &Api::remove},
    {"GET",    "/v1/pools",                        "listPools",      kViewer,   "Pool",    "tier limit continue",                       &Api::list},
    {"GET",    "/v1/pools/{name}",                 "getPool",        kViewer,   "Pool",    "",                                          &Api::get},
    {"PUT",    "/v1/pools/{name}",                 "putPool",        kAdmin,    "Pool",    "dryRun",                                    &Api::put},
    {"DELETE", "/v1/pools/{name}",                 "deletePool",     kAdmin,    "Pool",    "dryRun",                                    &Api::remove},
    {"GET",    "/v1/nodes",                        "listNodes",      kViewer,   "Node",    "pool state limit continue",                 &Api::list},
    {"GET",    "/v1/nodes/{name}",                 "getNode",        kViewer,   "Node",    "",                                          &Api::get},
    {"PUT",    "/v1/nodes/{name}",                 "putNode",        kAdmin,    "Node",    "dryRun",                                    &Api::put},
    {"DELETE", "/v1/nodes/{name}",                 "deleteNode",     kAdmin,    "Node",    "dryRun gone",                               &Api::remove},
    {"POST",   "/v1/nodes/{name}/cordon",          "cordonNode",     kOperator, "Node",    "dryRun",                                    &Api::cordon},
    {"POST",   "/v1/nodes/{name}/uncordon",        "uncordonNode",   kOperator, "Node",    "dryRun",                                    &Api::uncordon},
    {"GET",    "/v1/gpus",                         "listGpus",       kViewer,   "Gpu",     "node pool state team limit continue",       &Api::list},
    {"GET",    "/v1/gpus/{node}/{number}",         "getGpu",         kViewer,   "Gpu",     "",                                          &Api::get},
    {"POST",   "/v1/gpus/{node}/{number}/restore", "restoreGpu",     kOperator, "Gpu",     "dryRun",                                    &Api::restore},
    {"GET",    "/v1/requests",                     "listRequests",   kViewer,   "Request", "team state tier pool limit continue",       &Api::list},
    {"POST",   "/v1/requests",                     "submitRequest",  kMember,   "Request", "dryRun",                                    &Api::submit},
    {"GET",    "/v1/requests/{name}",              "getRequest",     kViewer,   "Request", "",                                          &Api::get},
    {"GET",    "/v1/requests/{name}/explanation",  "explainRequest", kViewer,   "Request", "",                                          &Api::explain_request},
    {"POST",   "/v1/requests/{name}/cancel",       "cancelRequest",  kMember,   "Request", "dryRun",                                    &Api::cancel},
    {"POST",   "/v1/requests/{name}/approve",      "approveRequest", kOperator, "Request", "dryRun",                                    &Api::approve},
    {"POST",   "/v1/requests/{name}/reject",       "rejectRequest",  kOperator, "Request", "dryRun",                                    &Api::reject},
    {"POST",   "/v1/explain",                      "explainNeed",    kViewer,   "",        "",                                          &Api::explain_need},
    {"GET",    "/v1/leases",                       "listLeases",     kViewer,   "Lease",   "team state tier pool node limit continue",  &Api::list},
    {"GET",    "/v1/leases/{name}",                "getLease",       kViewer,   "Lease",   "",                                          &Api::get},
    {"POST",   "/v1/leases/{name}/release",        "releaseLease",   kMember,   "Lease",   "dryRun",                                    &Api::release},
    {"POST",   "/v1/leases/{name}/renew",          "renewLease",     kMember,   "Lease",   "dryRun",                                    &Api::renew},
    {"GET",    "/v1/plans",                        "listPlans",      kViewer,   "Plan",    "limit continue",                            &Api::list},
    {"POST",   "/v1/plans",                        "createPlan",     kOperator, "Plan",    "dryRun",                                    &Api::create_plan},
    {"GET",    "/v1/plans/{name}",                 "getPlan",        kViewer,   "Plan",    "",                                          &Api::get},
    {"POST",   "/v1/plans/{name}/apply",           "applyPlan",      kOperator, "Plan",    "dryRun",                                    &Api::apply_plan},
    {"POST",   "/v1/plans/{name}/abort",           "abortPlan",      kOperator, "Plan",    "dryRun",                                    &Api::abort_plan},
    {"GET",    "/v1/forecast",                     "getForecast",    kViewer,   "",        "percentile over at for headroom",           &Api::forecast},
    {"GET",    "/v1/history",                      "getHistory",     kViewer,   "",        "over",                                      &Api::history},
    {"POST",   "/v1/apply",                        "apply",          kAdmin,    "",        "dryRun",                                    &Api::apply},
    {"GET",    "/v1/capacity",                     "getCapacity",    kViewer,   "",        "",                                          &Api::capacity},
    {"GET",    "/v1/watch",                        "watch",          kViewer,   "",        "since kinds",                               &Api::watch},
    {"POST",   "/v1/agent/nodes/{name}/report",    "reportNode",     kAgent,    "Node",    "since wait",                                &Api::report},
    {"POST",   "/v1/agent/nodes/{name}/use",       "recordUse",      kAgent,    "Node",    "",                                          &Api::record_use},
    {"POST",   "/v1/agent/nodes/{name}/certificate", "renewCertificate", kAgent, "Node",   "",                                          &Api::renew_certificate},
    {"POST",   "/v1/join",                         "joinFleet",      kAnyone,   "",        "",                                          &Api::join},
    {"GET",    "/v1/tokens",                       "listTokens",     kAdmin,    "Token",   "limit continue",                            &Api::list},
    {"POST",   "/v1/tokens",                       "createToken",    kAdmin,    "Token",   "dryRun",                                    &Api::create_token},
    {"GET",    "/v1/tokens/{name}",                "getToken",       kAdmin,    "Token",   "",                                          &Api::get},
    {"DELETE", "/v1/tokens/{name}",                "deleteToken",    kAdmin,    "Token",   "dryRun",                                    &Api::remove},
    {"GET",    "/v1/whoami",                       "whoami",         kAnyToken, "",        "",                                          &Api::whoami},
    {"GET",    "/v1/version",                      "version",        kAnyone,   "",        "",                                          &Api::version},
    {"GET",    "/v1/openapi.json",                 "openapi",        kAnyone,   "",        "",                                          &Api::openapi},
    {"GET",    "/healthz",                         "healthz",        kAnyone,   "",        "",                                          &Api::healthz},
    {"GET",    "/readyz",                          "readyz",         kAnyone,   "",        "",                                          &Api::readyz},
    {"GET",    "/metrics",                         "metrics",        kAnyone,   "",        "",                                          &Api::show_metrics},
};
// clang-format on

/// The text before the first `separator`, which is cut off `rest`.
std::string_view take(std::string_view& rest, char separator) {
  const auto end = std::min(rest.find(separator), rest.size());
  const auto part = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return part;
}

}  // namespace

std::string_view to_string(Access access) {
  constexpr std::array<std::string_view, 7> kNames = {"anyone",   "any-token", "viewer", "member",
                                                      "operator", "admin",     "agent"};
  return kNames[static_cast<std::size_t>(access)];
}

bool permits(Access access, const tenancy::Actor& actor) {
  switch (access) {
    case kAnyone:
    case kAnyToken:
      return true;
    case kViewer:
      return actor.at_least(Role::kViewer);
    case kMember:
      return actor.at_least(Role::kMember);
    case kOperator:
      return actor.at_least(Role::kOperator);
    case kAdmin:
      return actor.at_least(Role::kAdmin);
    case kAgent:
      return actor.at_least(Role::kAgent);
  }
  return false;
}

std::span<const Route> routes() {
  return kRoutes;
}

bool Route::knows(std::string_view parameter) const {
  for (std::string_view rest = query; !rest.empty();)
    if (take(rest, ' ') == parameter) return true;
  return false;
}

bool matches(std::string_view path, const std::vector<std::string>& segments,
             std::vector<std::string>& names) {
  names.clear();
  path.remove_prefix(1);
  for (const std::string& segment : segments) {
    if (path.empty()) return false;
    const std::string_view part = take(path, '/');
    if (part.starts_with('{'))
      names.push_back(segment);
    else if (part != segment)
      return false;
  }
  return path.empty() && !segments.empty();
}

}  // namespace tessera::gateway
