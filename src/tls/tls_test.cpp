#include <array>
#include <filesystem>
#include <fstream>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include "tls/authority.h"
#include "tls/trust.h"

namespace tessera::tls {
namespace {

using namespace std::chrono_literals;

class SetClock final : public base::Clock {
 public:
  base::Instant now() const override { return now_; }
  void advance(base::Duration span) { now_ += span; }

 private:
  base::Instant now_ =
      std::chrono::time_point_cast<base::Duration>(std::chrono::system_clock::now());
};

class TlsTest : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::remove_all(folder_); }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::unique_ptr<Authority> open(std::vector<std::string> names = {"127.0.0.1", "fleet.example"}) {
    auto opened = Authority::open({.folder = folder_, .names = std::move(names)}, clock_);
    EXPECT_TRUE(opened) << base::to_string(opened.error());
    return opened ? std::move(*opened) : nullptr;
  }

  SetClock clock_;
  std::string folder_ = testing::TempDir() + "tls_test";
};

using SslPtr = std::unique_ptr<SSL, Freed<SSL_free>>;

/// A handshake over memory. Empty: both ends agree; else why the client does not.
std::string handshake(Context& server_side, ClientContext& client_side, const std::string& host) {
  const SslPtr server(SSL_new(server_side.native_handle()));
  const SslPtr client(SSL_new(client_side.context().native_handle()));
  BIO* one = nullptr;
  BIO* other = nullptr;
  BIO_new_bio_pair(&one, 0, &other, 0);
  SSL_set_bio(server.get(), one, one);
  SSL_set_bio(client.get(), other, other);
  SSL_set_accept_state(server.get());
  SSL_set_connect_state(client.get());
  EXPECT_TRUE(ClientContext::expect(client.get(), host));
  for (int i = 0; i < 20; ++i) {
    const int done = SSL_do_handshake(client.get());
    if (done == 1 && SSL_do_handshake(server.get()) == 1) return {};
    if (done != 1 && SSL_get_error(client.get(), done) == SSL_ERROR_SSL) {
      const auto why = ClientContext::complaint(client.get());
      return why ? base::to_string(*why) : "refused";
    }
    SSL_do_handshake(server.get());
  }
  return "no end";
}

std::shared_ptr<ClientContext> trusting(const Trust& trust) {
  auto made = ClientContext::make(trust);
  EXPECT_TRUE(made) << base::to_string(made.error());
  return made ? *made : nullptr;
}

TEST_F(TlsTest, TheKeyIsForItsOwnerAloneAndOutlivesARestart) {
  const auto pin = open()->pin();
  EXPECT_EQ(open()->pin(), pin);
  EXPECT_EQ(pin.size(), 7U + 64U);
  struct stat status {};
  ASSERT_EQ(::stat((folder_ + "/authority.pem").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
  ASSERT_EQ(::stat(folder_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700U);
}

TEST_F(TlsTest, AClientThatKnowsThePinOrTheCaBelievesTheServer) {
  const auto authority = open();
  for (const Trust& trust : {Trust{{}, authority->pin()}, Trust{authority->certificate_path(), {}},
                             Trust{authority->certificate_path(), authority->pin()}})
    for (const char* host : {"127.0.0.1", "fleet.example"})
      EXPECT_EQ(handshake(*authority->server_context(), *trusting(trust), host), "") << host;
}

TEST_F(TlsTest, AnotherNameAnotherCaOrAnotherPinIsRefused) {
  const auto authority = open();
  const auto ours = trusting({{}, authority->pin()});
  for (const char* host : {"127.0.0.2", "elsewhere.example", "x.fleet.example"})
    EXPECT_THAT(handshake(*authority->server_context(), *ours, host),
                testing::HasSubstr("--tls-name"));
  const auto other_folder = folder_ + "/other";
  const auto other = Authority::open({.folder = other_folder, .names = {"127.0.0.1"}}, clock_);
  ASSERT_TRUE(other);
  EXPECT_THAT(handshake(*(*other)->server_context(), *ours, "127.0.0.1"),
              testing::HasSubstr("`pin:`"));
  const auto by_file = trusting({authority->certificate_path(), {}});
  EXPECT_NE(handshake(*(*other)->server_context(), *by_file, "127.0.0.1"), "");
  EXPECT_NE(handshake(*authority->server_context(), *trusting({}), "127.0.0.1"), "");
  // Both that are given must hold.
  EXPECT_FALSE(ClientContext::make({authority->certificate_path(), (*other)->pin()}));
}

TEST_F(TlsTest, TheServersCertificateIsRenewedBeforeItEnds) {
  const auto authority = open();
  const auto first = authority->server_context();
  clock_.advance(59 * 24h);
  EXPECT_EQ(authority->server_context(), first);
  clock_.advance(2 * 24h);
  EXPECT_NE(authority->server_context(), first);
}

TEST_F(TlsTest, ACertificateMadeWhileTheClockWasAheadIsReplaced) {
  const auto now = clock_.now();
  clock_.advance(30 * 24h);
  const auto authority = open();
  const auto ahead = authority->server_context();
  clock_.advance(now - clock_.now());
  const auto made = authority->server_context();
  EXPECT_NE(made, ahead);
  EXPECT_EQ(authority->server_context(), made);
  // The CA was made while the clock was ahead as well.
  EXPECT_EQ(handshake(*made, *trusting({{}, authority->pin()}), "127.0.0.1"), "");
}

TEST_F(TlsTest, SaysWhatIsWrongWithWhatItIsGiven) {
  for (const char* name : {"", "a,DNS:b", "http://x", "-x", "a b"}) {
    const auto opened = Authority::open({.folder = folder_, .names = {name}}, clock_);
    ASSERT_FALSE(opened) << name;
    EXPECT_EQ(opened.error().reason, base::Reason::kInvalidDocument);
  }
  for (const char* pin : {"sha256:", "sha256:zz", "md5:00"})
    EXPECT_FALSE(ClientContext::make({{}, pin})) << pin;
  EXPECT_FALSE(ClientContext::make({folder_ + "/absent.pem", {}}));
  std::ofstream(folder_ + "/authority.pem") << "no key";
  EXPECT_FALSE(Authority::open({.folder = folder_, .names = {"x"}}, clock_));
}

// OpenSSL asked at the terminal for the password of a certificate request, and a thread of the
// server waited there for ever.
TEST(Pem, NobodyIsAskedForAPassword) {
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe(pipe.data()), 0);
  const int input = ::dup(STDIN_FILENO);
  ASSERT_EQ(::dup2(pipe[0], STDIN_FILENO), STDIN_FILENO);
  const auto locked = [](const std::string& what) {
    return "-----BEGIN " + what +
           "-----\nProc-Type: 4,ENCRYPTED\n"
           "DEK-Info: AES-128-CBC,000102030405060708090A0B0C0D0E0F\n\n"
           "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n-----END " +
           what + "-----\n";
  };
  EXPECT_FALSE(key_of_request(locked("CERTIFICATE REQUEST")));
  EXPECT_FALSE(certificate_from(locked("CERTIFICATE")));
  EXPECT_FALSE(key_from(locked("PRIVATE KEY")));
  ::dup2(input, STDIN_FILENO);
  for (const int file : {input, pipe[0], pipe[1]}) ::close(file);
}

TEST_F(TlsTest, AnExpiredCaIsNotUsed) {
  open();
  clock_.advance(24h * 3651);
  EXPECT_FALSE(Authority::open({.folder = folder_, .names = {"x"}}, clock_));
}

}  // namespace
}  // namespace tessera::tls
