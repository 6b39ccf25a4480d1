#pragma once

#include <optional>
#include <string>
#include <vector>

#include "wire/json.h"

namespace tessera::app {

/// What `tessera doctor` found. "failed": these GPUs cannot be offered. "warning": they can, with a
/// drawback.
class Findings {
 public:
  void fine(const std::string& check, const std::string& detail) { add(check, "ok", detail, {}); }
  void warn(const std::string& check, const std::string& detail, const std::string& todo) {
    add(check, "warning", detail, todo);
  }
  void fail(const std::string& check, const std::string& detail, const std::string& todo) {
    add(check, "failed", detail, todo);
  }

  const wire::Json& json() const { return list_; }
  /// The worst of all verdicts: "ok", "warning" or "failed".
  std::string verdict() const;

 private:
  void add(const std::string& check, const char* verdict, const std::string& detail,
           const std::string& todo) {
    list_.push_back({{"check", check}, {"verdict", verdict}, {"detail", detail}, {"todo", todo}});
  }
  wire::Json list_ = wire::Json::array();
};

/// The parts of the examination that need no driver. `root` is put before every path that is looked
/// at: "" for this machine, a folder for a test.
void look_at_host(const std::string& root, Findings& findings);
void look_at_container_toolkit(const std::string& root, Findings& findings);
void look_at_other_owners(const std::string& root, Findings& findings);

/// The version of a package by the text of dpkg's status file; none where it is not installed.
std::optional<std::string> installed_version(const std::string& status, const std::string& package);
/// Known weaknesses of a version of NVIDIA's container toolkit that let a container reach the host.
std::vector<std::string> toolkit_weaknesses(const std::string& version);

}  // namespace tessera::app
