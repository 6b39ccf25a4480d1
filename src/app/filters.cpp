#include "app/filters.h"

#include <algorithm>
#include <initializer_list>
#include <map>

#include "app/words.h"
#include "client/connection.h"
#include "fleet/pool.h"
#include "request/request.h"
#include "wire/text.h"

namespace tessera::app {
namespace {

using wire::Json;

template <class State>
std::vector<std::string_view> words_of(State first, State last) {
  std::vector<std::string_view> words;
  for (int i = static_cast<int>(first); i <= static_cast<int>(last); ++i)
    words.push_back(to_string(State(i)));
  return words;
}

const std::vector<std::string_view>& states_of(const std::string& path) {
  static const std::map<std::string, std::vector<std::string_view>> kStates = {
      {"requests",
       words_of(request::RequestState::kPendingApproval, request::RequestState::kFailed)},
      {"leases", words_of(request::LeaseState::kProvisioning, request::LeaseState::kEnded)},
      {"nodes", words_of(fleet::NodePhase::kExpected, fleet::NodePhase::kLost)},
      {"gpus", {"ready", "away", "cordoned"}}};
  static const std::vector<std::string_view> kNone;
  const auto found = kStates.find(path);
  return found == kStates.end() ? kNone : found->second;
}

}  // namespace

std::string query_of(const Filters& filters) {
  std::string query;
  const auto add = [&](const char* name, const std::string& value) {
    if (value.empty()) return;
    query += (query.empty() ? "?" : "&") + std::string(name) + "=" + client::encode(value);
  };
  add("team", filters.team);
  add("state", filters.state);
  add("pool", filters.pool);
  add("node", filters.node);
  add("tier", filters.tier);
  return query;
}

bool passes(const Json& object, const Filters& filters) {
  const auto is = [&](const std::string& wanted, std::initializer_list<const char*> paths) {
    return wanted.empty() || std::ranges::any_of(paths, [&](const char* path) {
             return text_at(object, path) == wanted;
           });
  };
  const Json slices = object.value("status", Json::object()).value("slices", Json::array());
  // A GPU is a team's where one of its slices is.
  const bool team =
      is(filters.team, {"spec.team"}) || std::ranges::any_of(slices, [&](const Json& slice) {
        return text_at(slice, "team") == filters.team;
      });
  const Json nodes = object.value("status", Json::object()).value("nodes", Json::array());
  const bool node =
      is(filters.node, {"spec.node", "status.node"}) ||
      std::ranges::any_of(nodes, [&](const Json& name) { return name == filters.node; });
  return team && node && is(filters.state, {"status.state", "status.phase"}) &&
         is(filters.pool, {"spec.pool", "status.pool"}) &&
         is(filters.tier, {"spec.tier", "status.tier"});
}

base::Result<void> check_state(const std::string& path, const std::string& state) {
  const auto& known = states_of(path);
  if (state.empty() || std::ranges::count(known, state) > 0) return {};
  if (known.empty())
    return base::fail(base::Reason::kInvalidDocument, path + " have no state", "--state",
                      "leave it out");
  const auto near = wire::nearest(state, known);
  return base::fail(
      base::Reason::kInvalidDocument, "\"" + state + "\" is no state of " + path, "--state",
      near ? "did you mean " + std::string(*near) + "?" : "use one of " + wire::join(known));
}

std::vector<std::pair<std::string, std::string>> named_by(const Filters& filters) {
  std::vector<std::pair<std::string, std::string>> named;
  const auto add = [&](const char* path, const std::string& name) {
    if (!name.empty()) named.emplace_back(path, name);
  };
  add("teams", filters.team);
  add("pools", filters.pool);
  add("nodes", filters.node);
  add("tiers", filters.tier);
  return named;
}

}  // namespace tessera::app
