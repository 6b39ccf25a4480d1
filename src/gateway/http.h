#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "tls/peer.h"

/// HTTP messages as plain values, so that only the server's own source file knows Beast.
namespace tessera::gateway {

struct Header {
  std::string name;
  std::string value;
};

/// Header fields in the order of writing; names match without regard to case.
class Headers {
 public:
  Headers() = default;
  Headers(std::initializer_list<Header> fields) : fields_(fields) {}

  /// The first field of that name; null if there is none.
  const std::string* find(std::string_view name) const;
  void add(std::string name, std::string value);
  std::vector<Header>::const_iterator begin() const { return fields_.begin(); }
  std::vector<Header>::const_iterator end() const { return fields_.end(); }

 private:
  std::vector<Header> fields_;
};

/// What a client sent: bounded in size by HttpOptions, otherwise as it came, not yet trusted.
struct HttpRequest {
  std::string method;  ///< "GET"
  std::string target;  ///< "/v1/gpus/node-1/3?limit=5"
  Headers headers;
  std::string body;
  std::string peer;  ///< address of the other end
  /// Whom the other end has proved to be by a certificate of our CA, if by any.
  std::optional<tls::Peer> certificate;
};

struct HttpResponse {
  int status = 200;
  Headers headers;   ///< without Content-Length and Connection, which are the server's
  std::string body;  ///< the server leaves it out in the answer to a HEAD
};

/// A refusal as application/problem+json, with the status of its reason or the one given.
HttpResponse problem(const base::Error& error);
HttpResponse problem(const base::Error& error, int status);

/// The two halves of a request target, each part decoded.
struct Target {
  std::vector<std::string> segments;  ///< "/v1/tiers" -> {"v1", "tiers"}; "/" -> {}
  struct Parameter {
    std::string name;
    std::string value;
  };
  std::vector<Parameter> query;

  /// Null if absent.
  const std::string* find(std::string_view parameter) const;
};

/// Splits and percent-decodes. Errors (kInvalidDocument): a target that is not a path, an escape
/// that is cut short, text that is not UTF-8, a control character, an empty segment or one of "."
/// and "..", a parameter given twice.
base::Result<Target> parse_target(std::string_view target);

/// Well-formed UTF-8 as of RFC 3629.
bool valid_utf8(std::string_view text);

}  // namespace tessera::gateway
