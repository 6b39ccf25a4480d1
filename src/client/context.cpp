#include "client/context.h"

#include <cerrno>
#include <charconv>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <sstream>
#include <unistd.h>

#include "wire/decoder.h"
#include "wire/parse.h"
#include "wire/yaml.h"

namespace tessera::client {
namespace {

using base::fail;
using base::Reason;

std::unexpected<base::Error> bad_server(std::string_view url) {
  return fail(Reason::kInvalidDocument,
              "\"" + std::string(url.substr(0, 200)) + "\" is not the address of a server",
              "server", "write it as http://HOST:PORT or https://HOST:PORT");
}

}  // namespace

std::string Server::url() const {
  const bool v6 = host.find(':') != std::string::npos;
  return (secure ? "https://" : "http://") + (v6 ? "[" + host + "]" : host) + ":" +
         std::to_string(port);
}

base::Result<Server> parse_server(std::string_view url) {
  constexpr std::string_view kPlain = "http://";
  constexpr std::string_view kSecure = "https://";
  Server server;
  server.secure = url.starts_with(kSecure);
  if (!server.secure && !url.starts_with(kPlain)) return bad_server(url);
  if (server.secure) server.port = 443;
  std::string_view rest = url.substr((server.secure ? kSecure : kPlain).size());
  if (rest.ends_with('/')) rest.remove_suffix(1);
  std::string_view port;
  if (rest.starts_with('[')) {
    const auto end = rest.find(']');
    if (end == std::string_view::npos) return bad_server(url);
    server.host = rest.substr(1, end - 1);
    rest.remove_prefix(end + 1);
    if (!rest.empty() && !rest.starts_with(':')) return bad_server(url);
    if (!rest.empty()) port = rest.substr(1);
  } else {
    const auto colon = rest.find(':');
    server.host = rest.substr(0, colon);
    if (colon != std::string_view::npos) port = rest.substr(colon + 1);
  }
  if (server.host.empty() || server.host.find('/') != std::string::npos) return bad_server(url);
  if (port.empty()) return server;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), server.port);
  if (error != std::errc{} || end != port.data() + port.size()) return bad_server(url);
  return server;
}

base::Result<Context> read_context(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  if (!file || !(text << file.rdbuf()))
    return fail(Reason::kUnavailable, "cannot read the context", path,
                "name the context.yaml that `tessera up` wrote, with --context or TESSERA_CONTEXT");
  const auto values = wire::parse_yaml(text.str(), path);
  if (!values) return std::unexpected(values.error());
  if (values->size() != 1)
    return fail(Reason::kInvalidDocument, "a context is one document", path,
                "write `server: http://HOST:PORT` and `token: …`");
  wire::Decoder decoder(path);
  wire::Fields fields(values->front(), "", decoder);
  std::string url;
  Context context;
  fields.text("server", url, wire::Presence::kRequired);
  fields.text("token", context.token);
  fields.text("identity", context.identity);
  fields.text("ca", context.trust.ca);
  fields.text("pin", context.trust.pin);
  fields.finish();
  if (!decoder.ok()) return decoder.error();
  if (context.token.empty() && context.identity.empty())
    return fail(Reason::kInvalidDocument, "it does not say who we are", path,
                "add the `token:` that `tessera token` printed");
  auto server = parse_server(url);
  if (!server) return fail(server.error().reason, server.error().what, path, server.error().todo);
  context.server = std::move(*server);
  return context;
}

base::Result<void> write_context(const std::string& path, const Context& context) {
  wire::Json object{{"server", context.server.url()}};
  if (!context.token.empty()) object["token"] = context.token;
  if (!context.identity.empty()) object["identity"] = context.identity;
  if (!context.trust.ca.empty()) object["ca"] = context.trust.ca;
  if (!context.trust.pin.empty()) object["pin"] = context.trust.pin;
  const auto text = wire::to_yaml(object);
  const auto fresh = path + ".new";
  const auto problem = [&](const char* verb) {
    return fail(Reason::kUnavailable, std::string("cannot ") + verb + ": " + std::strerror(errno),
                path, "check the folder's permissions and its disk");
  };
  const int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return problem("create it");
  const bool whole = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
                     ::fsync(fd) == 0;
  ::close(fd);
  if (!whole || ::rename(fresh.c_str(), path.c_str()) != 0) return problem("write it");
  return {};
}

}  // namespace tessera::client
