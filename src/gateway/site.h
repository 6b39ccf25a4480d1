#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/http.h"

namespace tessera::gateway {

/// One file of the console, compiled into the program: both texts live as long as it runs.
struct StaticFile {
  std::string_view path;  ///< "index.html", "assets/app-1a2b.js"
  std::string_view body;
};

/// The web console: everything outside /v1 and the probes. Needs no token, since it is the same
/// for everyone; what it shows it asks of the API with the token of the person in front of it.
///
/// Threads: any.
class Site {
 public:
  explicit Site(const std::vector<StaticFile>& files);

  /// A file, or index.html for an address within the console ("/requests/req-7"), or 404.
  HttpResponse answer(const HttpRequest& request, const Target& target) const;

 private:
  struct Entry {
    std::string_view body;
    std::string etag;
  };
  std::map<std::string, Entry, std::less<>> files_;
};

}  // namespace tessera::gateway
