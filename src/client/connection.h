#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "client/context.h"

namespace tessera::client {

/// What a server answered.
struct Answer {
  int status = 0;
  std::string etag;
  std::string body;
};

struct Call {
  std::string method = "GET";
  std::string target;  ///< "/v1/requests?team=vision", encoded
  std::string body;    ///< JSON; empty: none
  std::vector<std::pair<std::string, std::string>> headers;
  base::Duration limit = std::chrono::seconds(30);  ///< for the whole exchange
};

/// A kept-alive HTTP connection to one control plane, opened when first needed and anew after any
/// trouble. Blocking, every wait bounded. Not thread-safe: one per thread.
class Connection {
 public:
  explicit Connection(Context context);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// The answer, whatever its status. A connection that turns out to have been closed while idle
  /// is opened again once. Errors: kUnavailable (no connection, no answer within the limit).
  base::Result<Answer> send(const Call& call);

  /// As send(), with problem documents and other refusals turned into errors.
  base::Result<Answer> ask(const Call& call);

  /// One server-sent event.
  struct Event {
    std::string type;
    std::string id;
    std::string data;
  };
  /// Follows an event stream until `on_event` returns false or the stream ends. Errors: as ask();
  /// kUnavailable when nothing, not even a bookmark, came for `silence`.
  base::Result<void> follow(const std::string& target, base::Duration silence,
                            const std::function<bool(const Event&)>& on_event);

  const Context& context() const { return context_; }

 private:
  struct Impl;
  Context context_;
  std::unique_ptr<Impl> impl_;
};

/// Percent-encodes one path segment or query value.
std::string encode(std::string_view text);

}  // namespace tessera::client
