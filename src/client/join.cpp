#include "client/join.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <system_error>

#include <sys/stat.h>

#include "client/connection.h"
#include "tls/identity.h"
#include "tls/private_file.h"
#include "wire/document.h"
#include "wire/join_protocol.h"

namespace tessera::client {
namespace {

using namespace std::chrono_literals;
using base::fail;
using base::Reason;

constexpr std::string_view kKind = "join1";
constexpr std::size_t kLongestToken = 1024;
constexpr auto kLongestSleep = 1min;  // the clock may be set
constexpr auto kLeastPause = 1s;
constexpr auto kLongestRest = 1h;  // after a renewal, as long as the clock finds it due again

std::unexpected<base::Error> no_token(std::string why) {
  return fail(Reason::kInvalidDocument, "this is no join token: " + std::move(why), "--join",
              "copy the whole line that `tessera token NAME --node NODE --join` printed");
}

/// Which token was used, without the token.
std::string digest_path(const std::string& folder) {
  return folder + "/token.sha256";
}

bool is_secret(std::string_view text) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  return text.size() > 4 && text.size() <= 128 && text.starts_with("tsj_") &&
         text.find_first_not_of(kDigits) == text.npos;
}

}  // namespace

std::string to_text(const JoinToken& token) {
  return std::string(kKind) + "," + token.server.url() + "," + token.node + "," + token.pin + "," +
         token.secret;
}

base::Result<JoinToken> parse_join_token(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' '))
    text.remove_suffix(1);
  if (text.size() > kLongestToken) return no_token("it is too long");
  std::array<std::string_view, 5> parts;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto end = i + 1 < parts.size() ? text.find(',') : text.size();
    if (end == text.npos) return no_token("it has fewer than five parts");
    parts[i] = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  if (parts[0] != kKind) return no_token("it does not begin with " + std::string(kKind));
  auto server = parse_server(parts[1]);
  if (!server || !server->secure) return no_token("its second part is no https address");
  if (!wire::valid_name(parts[2])) return no_token("its third part is no node's name");
  const std::string pin(parts[3]);
  if (auto trusted = tls::ClientContext::make({{}, pin}); pin.empty() || !trusted)
    return no_token("its fourth part is no pin");
  if (!is_secret(parts[4])) return no_token("its last part is no secret");
  return JoinToken{std::move(*server), std::string(parts[2]), pin, std::string(parts[4])};
}

std::string joined_context_path(const std::string& folder) {
  return folder + "/agent.yaml";
}

bool joined_with(const JoinToken& token, const std::string& folder) {
  std::ifstream file(digest_path(folder));
  std::string digest;
  return file >> digest && digest == tls::digest_of(to_text(token));
}

base::Result<Context> join(const JoinToken& token, const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  const auto whole = std::filesystem::absolute(folder, error);
  if (error || ::chmod(folder.c_str(), 0700) != 0)
    return fail(Reason::kUnavailable, "cannot make a folder for its owner alone", folder,
                "choose another with --data");
  const auto key = tls::make_key();
  Context context{.server = token.server, .token = {}, .trust = {{}, token.pin}};
  Connection connection(context);
  const auto answer = connection.ask(
      {.method = "POST",
       .target = "/v1/join",
       .body = wire::encode(wire::JoinWish{token.secret, tls::make_request(key.get())}).dump()});
  if (!answer) return std::unexpected(answer.error());
  const auto membership = wire::decode_membership(answer->body);
  if (!membership) return std::unexpected(membership.error());
  context.identity = (whole / "identity.pem").string();
  if (auto kept = tls::write_identity(context.identity, key.get(), membership->certificate); !kept)
    return std::unexpected(kept.error());
  if (auto kept = write_context(joined_context_path(folder), context); !kept)
    return std::unexpected(kept.error());
  const auto digest = tls::digest_of(to_text(token));
  if (auto kept = tls::write_private_file(digest_path(folder), digest + "\n"); !kept)
    return std::unexpected(kept.error());
  return context;
}

base::Result<void> renew(const Context& context) {
  const auto identity = tls::read_identity(context.identity);
  if (!identity) return std::unexpected(identity.error());
  Connection connection(context);
  const auto answer = connection.ask(
      {.method = "POST",
       .target = "/v1/agent/nodes/" + encode(identity->node()) + "/certificate",
       .body = wire::certificate_wish(tls::make_request(identity->key.get())).dump()});
  if (!answer) return std::unexpected(answer.error());
  const auto membership = wire::decode_membership(answer->body);
  if (!membership) return std::unexpected(membership.error());
  return tls::write_identity(context.identity, identity->key.get(), membership->certificate);
}

Renewer::Renewer(Context context, const base::Clock& clock, OnTrouble on_trouble)
    : context_(std::move(context)),
      clock_(clock),
      on_trouble_(std::move(on_trouble)),
      thread_([this](const std::stop_token& stopping) { run(stopping); }) {}

Renewer::~Renewer() = default;

/// Where our clock is far ahead of the control plane's, what has just been made is due at once:
/// then it rests, for no longer than what is made so late in a certificate's life still comes in
/// time.
base::Duration Renewer::rest_after_renewal(base::Instant now) const {
  const auto identity = tls::read_identity(context_.identity);
  if (!identity || identity->renew_at() > now) return kLeastPause;
  return std::min<base::Duration>(kLongestRest,
                                  tls::end_of(*identity->certificate) - identity->renew_at());
}

void Renewer::run(const std::stop_token& stopping) {
  bool failing = false;
  while (!stopping.stop_requested()) {
    const auto now = clock_.now();
    base::Duration pause = kLongestSleep;
    const auto identity = tls::read_identity(context_.identity);
    if (identity && identity->renew_at() > now) {
      pause = std::min<base::Duration>(pause, identity->renew_at() - now);
    } else if (const auto renewed = renew(context_); renewed) {
      failing = false;
      pause = rest_after_renewal(clock_.now());
    } else {
      if (!failing) on_trouble_(renewed.error());
      failing = true;
      // What is left is divided, so that there are some more tries in a short life too.
      const auto left = identity ? tls::end_of(*identity->certificate) - now : base::Duration(0);
      if (left > 0s) pause = std::min<base::Duration>(pause, left / 8);
    }
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, stopping, std::max<base::Duration>(pause, kLeastPause),
                   [] { return false; });
  }
}

}  // namespace tessera::client
