#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/http_server.h"
#include "tenancy/role.h"

/// Which address does what, for whom: one table, which docs/openapi.yaml is checked against.
namespace tessera::gateway {

class Api;

/// Who may call an operation.
enum class Access : std::uint8_t {
  kAnyone,    ///< no token needed
  kAnyToken,  ///< whoever we know
  kViewer,
  kMember,
  kOperator,
  kAdmin,
  kAgent,  ///< of the node in the address
};
/// As in x-tessera-role: "anyone", "any-token", "viewer" …
std::string_view to_string(Access access);
bool permits(Access access, const tenancy::Actor& actor);

struct Route;

/// One request on its way through the API: routed, authenticated, its address decoded. Handlers
/// keep it to answer later.
struct Call {
  std::shared_ptr<Exchange> exchange;
  const Route* route = nullptr;
  std::vector<std::string> names;  ///< what stands for {…} in the route's path, in order
  Target target;
  tenancy::Actor actor;
  bool dry_run = false;

  const HttpRequest& request() const { return exchange->request(); }
  const std::string* query(std::string_view parameter) const { return target.find(parameter); }
  const std::string* header(std::string_view name) const { return request().headers.find(name); }
  void reply(HttpResponse response) const { exchange->reply(std::move(response)); }
  void refuse(const base::Error& error) const { exchange->reply(problem(error)); }
};
using CallPtr = std::shared_ptr<const Call>;

/// Handlers run on a server thread and answer now or later, exactly once.
using RouteHandler = void (Api::*)(const CallPtr&);

struct Route {
  std::string_view method;
  std::string_view path;       ///< "/v1/gpus/{node}/{number}"
  std::string_view operation;  ///< operationId
  Access access;
  std::string_view kind;   ///< of the objects it is about; empty where that is fixed
  std::string_view query;  ///< parameters it knows, separated by spaces
  RouteHandler handler;

  bool knows(std::string_view parameter) const;
};

std::span<const Route> routes();

/// Whether `path` fits `segments`; then `names` holds what stands for its {…}.
bool matches(std::string_view path, const std::vector<std::string>& segments,
             std::vector<std::string>& names);

}  // namespace tessera::gateway
