#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>

#include "agent/meter.h"
#include "agent/use_file.h"
#include "agent/use_transport.h"
#include "base/result.h"
#include "base/time.h"

namespace tessera::agent {

struct UseSenderOptions {
  base::Duration batch = std::chrono::minutes(1);   ///< what is measured is summed up for so long
  base::Duration save = std::chrono::seconds(5);    ///< at most so much is lost by a kill -9
  base::Duration retry = std::chrono::seconds(10);  ///< after a delivery that failed
};

/// Takes what a meter counted to the disk and to the control plane. A batch is sent only once it is
/// on the disk for good: so an agent that is killed in between sends the very same again.
///
/// Not for several threads; UseSenderThread gives it one.
class UseSender {
 public:
  /// All must outlive the sender.
  UseSender(std::string node, Meter& meter, const UseFile& file, UseTransport& transport,
            UseSenderOptions options = {});

  /// Does what is due. Returns when to call again.
  base::Instant turn(base::Instant now);
  /// Brings everything to the disk, for an agent that ends.
  void finish();
  /// Why the last save or delivery failed; none where it did not.
  const std::optional<base::Error>& trouble() const { return trouble_; }

 private:
  bool save(bool durable);
  void deliver(base::Instant now);

  std::string node_;
  Meter* meter_;
  const UseFile* file_;
  UseTransport* transport_;
  UseSenderOptions options_;
  std::optional<base::Instant> next_batch_;
  base::Instant next_delivery_{};
  bool unsaved_batch_ = true;  ///< as far as is known
  std::optional<base::Error> trouble_;
};

/// Calls turn() under the real clock until it is destroyed, then finish().
class UseSenderThread {
 public:
  UseSenderThread(UseSender& sender, const base::Clock& clock);
  ~UseSenderThread();
  UseSenderThread(const UseSenderThread&) = delete;
  UseSenderThread& operator=(const UseSenderThread&) = delete;

 private:
  void run(const std::stop_token& stopping);

  UseSender* sender_;
  const base::Clock* clock_;
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::jthread thread_;  ///< last: it uses all of the above
};

}  // namespace tessera::agent
