#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "gateway/http_server.h"
#include "service/engine.h"

namespace tessera::gateway {

/// What Prometheus reads at /metrics. Names start with tessera_ and end with their base unit;
/// labels come from fixed sets (operations, states), never from names that people choose.
///
/// Threads: any. The engine must outlive it.
class Metrics {
 public:
  explicit Metrics(service::Engine& engine);
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  /// A request was answered; `operation` is the route's operationId.
  void answered(std::string_view operation, int status, std::chrono::nanoseconds took);

  /// Where the numbers of the server come from, once there is one. Before serving, or never.
  void set_server(std::function<HttpCounts()> counts);
  void set_watchers(std::function<std::size_t()> count);

  /// All of it in Prometheus' text format, with the gauges as they are now.
  std::string text();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tessera::gateway
