#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "base/result.h"
#include "base/time.h"
#include "client/context.h"

/// How an agent becomes known to a control plane, and stays so: docs/decisions/0022.
namespace tessera::client {

/// What an administrator hands to one machine, in one line without spaces:
/// join1,https://HOST:PORT,NODE,sha256:PIN,SECRET. Whoever has it may be that node, once, until it
/// expires; the pin tells that machine whom it is talking to before it says the secret.
struct JoinToken {
  Server server;
  std::string node;
  std::string pin;
  std::string secret;
};
std::string to_text(const JoinToken& token);
/// Errors: kInvalidDocument.
base::Result<JoinToken> parse_join_token(std::string_view text);

/// Makes a key, which never leaves this machine, has it certified, and writes FOLDER/identity.pem,
/// FOLDER/agent.yaml, the context that names it, and FOLDER/token.sha256. Errors: as
/// Connection::ask(); kUnavailable (the folder cannot be written).
base::Result<Context> join(const JoinToken& token, const std::string& folder);
/// Of an agent that has joined with this folder.
std::string joined_context_path(const std::string& folder);
/// Is it this token that the agent of this folder joined with last?
bool joined_with(const JoinToken& token, const std::string& folder);

/// Gets a fresh certificate for the key of `context.identity` and writes it there. Connections that
/// are open are opened anew, with it, before their next exchange.
base::Result<void> renew(const Context& context);

/// Renews when two thirds of the certificate's time are over, and tries again where that fails, as
/// long as there is time.
///
/// Threads: one of its own, until destruction, which waits for a renewal that is under way.
class Renewer {
 public:
  using OnTrouble = std::function<void(const base::Error&)>;
  /// `clock` is the machine's, which certificates go by, and must outlive this. `on_trouble` is
  /// told, on the thread, of the first failure after a success.
  Renewer(Context context, const base::Clock& clock, OnTrouble on_trouble);
  ~Renewer();
  Renewer(const Renewer&) = delete;
  Renewer& operator=(const Renewer&) = delete;

 private:
  void run(const std::stop_token& stopping);
  base::Duration rest_after_renewal(base::Instant now) const;

  const Context context_;
  const base::Clock& clock_;
  const OnTrouble on_trouble_;
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::jthread thread_;  ///< last: it uses all of the above
};

}  // namespace tessera::client
