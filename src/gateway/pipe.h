#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <string>

#include "gateway/http_server.h"

namespace tessera::gateway::detail {

/// The parts of a streamed body on their way from its writers (any thread) to the connection that
/// sends them. Bounded: see ResponseStream::write.
class Pipe final : public ResponseStream {
 public:
  /// `wake` tells the connection that there is something to take; from any thread.
  Pipe(std::size_t limit, std::function<void()> wake) : limit_(limit), wake_(std::move(wake)) {}

  bool write(std::string part) override;
  std::size_t backlog() const override;
  bool ended() const override;
  void close() override;

  /// For the connection: all that is queued; nullopt when nothing is and no more will come.
  std::optional<std::string> take();
  /// For the connection: nobody reads any more.
  void abandon();

 private:
  const std::size_t limit_;
  const std::function<void()> wake_;
  mutable std::mutex mutex_;
  std::string queued_;
  bool ended_ = false;
};

}  // namespace tessera::gateway::detail
