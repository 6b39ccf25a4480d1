#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "agent/dcgm_scrape.h"
#include "agent/exposition.h"
#include "agent/meter.h"
#include "agent/use_sender.h"
#include "base/result.h"
#include "client/connection.h"
#include "client/use_transport.h"
#include "gateway/http_server.h"

namespace tessera::app {

struct MeasuringChoice {
  std::string book;     ///< file of what was measured; empty: not kept
  std::string metrics;  ///< ADDRESS:PORT for Prometheus; empty: none
  std::string every;    ///< how often it is told to the control plane: "1m"
  std::string dcgm;     ///< http://HOST:PORT/metrics of a dcgm-exporter; empty: none
};

/// Everything around the meter of a machine's own GPUs: the book on disk, the deliveries to the
/// control plane, the endpoint for Prometheus, and the scrapes of a dcgm-exporter.
///
/// Threads: one that saves and delivers, one for the endpoint, one for scrapes.
class Measuring {
 public:
  /// `clock` must outlive it; `shares` may be none. Errors: an address that cannot be listened on,
  /// or is none.
  static base::Result<std::unique_ptr<Measuring>> start(
      std::shared_ptr<const catalog::Catalog> catalog, const MeasuringChoice& choice,
      agent::ExpositionOf of, client::Context context, const base::Clock& clock,
      std::shared_ptr<const agent::ShareKeeper> shares);
  ~Measuring();

  agent::Meter& meter() { return meter_; }

 private:
  Measuring(std::shared_ptr<const catalog::Catalog> catalog, const MeasuringChoice& choice,
            base::Duration every, agent::ExpositionOf of, client::Context context,
            const base::Clock& clock, std::shared_ptr<const agent::ShareKeeper> shares);
  base::Result<void> serve(const std::string& listen);
  base::Result<void> scrape(const std::string& url);
  void run_scrapes(const std::stop_token& stopping, client::Server server, const std::string& path);

  agent::ExpositionOf of_;
  const base::Clock& clock_;
  std::shared_ptr<const agent::ShareKeeper> shares_;
  agent::UseFile file_;
  agent::Meter meter_;
  client::HttpUseTransport transport_;
  agent::UseSender sender_;
  std::unique_ptr<gateway::HttpServer> server_;
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::jthread scrapes_;
  agent::UseSenderThread thread_;  ///< last: it uses the above
};

}  // namespace tessera::app
