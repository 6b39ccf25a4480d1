#include "gateway/site.h"

#include <array>
#include <utility>

#include "gateway/api.h"

namespace tessera::gateway {

using base::Reason;

namespace {

/// Nothing from anywhere else, nothing inline, in nobody's frame.
constexpr std::string_view kPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'";

std::string_view content_type(std::string_view path) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 10> kTypes = {{
      {".html", "text/html; charset=utf-8"},
      {".js", "text/javascript; charset=utf-8"},
      {".css", "text/css; charset=utf-8"},
      {".svg", "image/svg+xml"},
      {".json", "application/json"},
      {".webmanifest", "application/manifest+json"},
      {".png", "image/png"},
      {".ico", "image/x-icon"},
      {".woff2", "font/woff2"},
      {".txt", "text/plain; charset=utf-8"},
  }};
  for (const auto& [ending, type] : kTypes)
    if (path.ends_with(ending)) return type;
  return "application/octet-stream";
}

std::string path_of(const Target& target) {
  std::string path;
  for (const std::string& segment : target.segments) path += (path.empty() ? "" : "/") + segment;
  return path.empty() ? "index.html" : path;
}

/// An address that the console's own router may know: no file, not the API's.
bool within_console(const Target& target) {
  return !target.segments.empty() && target.segments.front() != "v1" &&
         target.segments.back().find('.') == std::string::npos;
}

}  // namespace

Site::Site(const std::vector<StaticFile>& files) {
  for (const StaticFile& file : files)
    files_.emplace(std::string(file.path), Entry{file.body, etag_of(file.body)});
}

HttpResponse Site::answer(const HttpRequest& request, const Target& target) const {
  auto found = files_.find(path_of(target));
  if (found == files_.end() && within_console(target)) found = files_.find("index.html");
  if (found == files_.end()) {
    const bool root = target.segments.empty();
    return problem({Reason::kUnknownObject,
                    root ? "this server was built without the console" : "there is nothing here",
                    "path", "the API begins at /v1 and describes itself at /v1/openapi.json"});
  }
  if (request.method != "GET" && request.method != "HEAD") {
    auto response = problem({Reason::kUnknownObject, request.method + " is not possible here",
                             "method", "possible are: GET, HEAD"},
                            405);
    response.headers.add("Allow", "GET, HEAD");
    return response;
  }
  const auto& [path, entry] = *found;
  HttpResponse response{200, {{"Content-Type", std::string(content_type(path))}}, {}};
  response.headers.add("ETag", entry.etag);
  // The build puts a hash into the names below assets/, so they never change.
  response.headers.add("Cache-Control", path.starts_with("assets/")
                                            ? "public, max-age=31536000, immutable"
                                            : "no-cache");
  response.headers.add("Content-Security-Policy", std::string(kPolicy));
  response.headers.add("Referrer-Policy", "no-referrer");
  const std::string* known = request.headers.find("If-None-Match");
  if (known != nullptr && names_etag(*known, entry.etag))
    response.status = 304;
  else
    response.body = entry.body;
  return response;
}

}  // namespace tessera::gateway
