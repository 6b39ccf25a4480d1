#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>

#include "agent/agent.h"
#include "agent/transport.h"
#include "base/result.h"
#include "base/time.h"

namespace tessera::agent {

struct RunnerOptions {
  base::Duration longest_wait = std::chrono::seconds(2);   ///< of one exchange; bounds stop()
  base::Duration spacing = std::chrono::milliseconds(50);  ///< least time between two exchanges
  base::Duration first_retry = std::chrono::milliseconds(200);  ///< after an error; doubles
  base::Duration longest_retry = std::chrono::seconds(5);
};

/// Runs one agent on a thread of its own under the real clock, from construction to stop().
///
/// While the control plane is away the agent goes on with what it knows. A machine with many
/// simulated nodes has one Runner for each: an exchange mostly waits, so threads cost little.
///
/// Threads: agent, its driver and the transport belong to the Runner's thread until stop()
/// returns. All other members may be called from anywhere.
class Runner {
 public:
  /// All must outlive the runner.
  Runner(Agent& agent, Transport& transport, const base::Clock& clock, RunnerOptions options = {});
  ~Runner();
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  /// Ends the thread; waits for the exchange that is running. May be called again.
  void stop();
  /// Why the last exchange failed; none while the control plane is there or not yet asked.
  std::optional<base::Error> trouble() const;

 private:
  void run(const std::stop_token& stopping);
  void exchange(base::Duration wait);
  void introduce(bool unknown);
  void sleep(const std::stop_token& stopping, base::Duration span);

  Agent* agent_;
  Transport* transport_;
  const base::Clock* clock_;
  RunnerOptions options_;

  // Of the thread alone.
  std::optional<fleet::NodeReport> report_;
  bool unsent_ = false;
  base::Instant next_exchange_{};
  bool introduced_ = false;  ///< the last answer was from a process unknown before
  base::Duration retry_{};

  mutable std::mutex mutex_;
  std::condition_variable_any wake_;
  std::optional<base::Error> trouble_;
  std::jthread thread_;  ///< last: it uses all of the above
};

}  // namespace tessera::agent
