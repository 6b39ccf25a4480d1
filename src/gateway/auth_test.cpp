#include "gateway/auth.h"

#include <set>

#include <gtest/gtest.h>

namespace tessera::gateway {
namespace {

using namespace std::chrono_literals;

control::State state_with(const std::string& secret, std::optional<base::Instant> expires) {
  control::State state(std::make_shared<const catalog::Catalog>(catalog::Catalog::built_in()));
  const tenancy::Token token{.name = "ci",
                             .role = tenancy::Role::kMember,
                             .subject = "vision",
                             .digest = digest_of(secret),
                             .expires = expires};
  state.apply(control::TokenPut{token}, base::Instant{});
  return state;
}

TEST(Auth, DigestIsSha256) {
  EXPECT_EQ(digest_of("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Auth, SecretsAreLongAndNeverTheSame) {
  std::set<std::string> secrets;
  for (int i = 0; i < 1000; ++i) {
    const std::string secret = new_secret();
    EXPECT_TRUE(secret.starts_with("tsr_"));
    EXPECT_EQ(secret.size(), 47u);
    EXPECT_EQ(
        secret.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                 "-_"),
        std::string::npos);
    EXPECT_TRUE(secrets.insert(secret).second);
  }
}

TEST(Auth, KnowsTheHolderOfASecret) {
  const auto state = state_with("tsr_secret", std::nullopt);
  const std::string header = "Bearer tsr_secret";
  const auto actor = authenticate(state, &header, base::Instant(1h));
  ASSERT_TRUE(actor);
  EXPECT_EQ(actor->name, "ci");
  EXPECT_EQ(actor->role, tenancy::Role::kMember);
  EXPECT_EQ(actor->subject, "vision");
}

TEST(Auth, RefusesEverybodyElse) {
  const auto state = state_with("tsr_secret", std::nullopt);
  EXPECT_FALSE(authenticate(state, nullptr, {}));
  for (const std::string header :
       {"", "Bearer", "Bearer ", "Bearer tsr_secre", "Bearer tsr_secret ", "bearer tsr_secret",
        "Basic tsr_secret", "tsr_secret"}) {
    const auto actor = authenticate(state, &header, {});
    ASSERT_FALSE(actor) << header;
    EXPECT_EQ(actor.error().reason, base::Reason::kUnauthenticated);
    // An error must not repeat what may be nearly a secret.
    EXPECT_EQ(to_string(actor.error()).find("tsr_"), std::string::npos);
  }
}

TEST(Auth, TokensExpire) {
  const auto state = state_with("tsr_secret", base::Instant(10h));
  const std::string header = "Bearer tsr_secret";
  EXPECT_TRUE(authenticate(state, &header, base::Instant(10h - 1ms)));
  EXPECT_FALSE(authenticate(state, &header, base::Instant(10h)));
}

}  // namespace
}  // namespace tessera::gateway
