#include "gateway/api_world.h"

/// The API over a real connection: access, addresses, documents, tokens, probes.
namespace tessera::gateway {
namespace {

using ApiTest = ApiWorld;
using wire::Json;

TEST_F(ApiTest, AsksWhoIsThere) {
  const auto nobody = call("", "GET", "/v1/tiers");
  EXPECT_EQ(nobody.status, 401);
  EXPECT_EQ(nobody.reason(), "Unauthenticated");
  EXPECT_TRUE(nobody.header("www-authenticate").starts_with("Bearer"));
  EXPECT_EQ(nobody.header("content-type"), "application/problem+json");
  EXPECT_EQ(call("stranger", "GET", "/v1/tiers").status, 401);
  const auto me = call("member", "GET", "/v1/whoami");
  EXPECT_EQ(me.json()["role"], "member");
  EXPECT_EQ(me.json()["subject"], "vision");
  EXPECT_EQ(call("agent", "GET", "/v1/whoami").status, 200);
}

TEST_F(ApiTest, EveryOperationNeedsItsRole) {
  for (const Route& route : routes()) {
    for (const char* role : {"viewer", "member", "operator", "admin", "agent"}) {
      const auto actor = engine_->read([&](const control::State& state) {
        const std::string header = "Bearer " + secret(role);
        return authenticate(state, &header, clock_.now()).value();
      });
      if (permits(route.access, actor)) continue;
      std::string target(route.path);
      while (target.find('{') != std::string::npos)
        target.replace(target.find('{'), target.find('}') - target.find('{') + 1, "1");
      const auto reply = call(role, std::string(route.method), target, "{}");
      EXPECT_EQ(reply.status, 403) << route.operation << " as " << role << ": " << reply.body;
    }
    if (route.access != Access::kAnyone) {
      EXPECT_EQ(call("", std::string(route.method), std::string(route.path)).status, 401);
    }
  }
}

TEST_F(ApiTest, MembersActForTheirTeamOnly) {
  EXPECT_EQ(call("member", "POST", "/v1/requests", kNeed).status, 201);
  const auto other = call("member", "POST", "/v1/requests", R"({"spec":{"team":"speech"}})");
  EXPECT_EQ(other.status, 403);
  EXPECT_EQ(other.reason(), "Forbidden");
}

TEST_F(ApiTest, KnowsItsAddresses) {
  EXPECT_EQ(call("admin", "GET", "/v1/nothing").status, 404);
  EXPECT_EQ(call("admin", "GET", "/v1/tiers/nothing").reason(), "UnknownObject");
  const auto wrong = call("admin", "DELETE", "/v1/capacity");
  EXPECT_EQ(wrong.status, 405);
  EXPECT_EQ(wrong.header("allow"), "GET, HEAD, OPTIONS");
  const auto options = call("", "OPTIONS", "/v1/tiers/production");
  EXPECT_EQ(options.status, 204);
  EXPECT_EQ(options.header("allow"), "GET, HEAD, PUT, DELETE, OPTIONS");
  const auto head = call("viewer", "HEAD", "/v1/tiers/production");
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.body, "");
  EXPECT_EQ(call("viewer", "GET", "/v1/tiers/production/").status, 200);
  EXPECT_EQ(call("viewer", "GET", "/v1//tiers").status, 400);
  EXPECT_EQ(call("viewer", "GET", "/v1/tiers/%ff").status, 400);
  EXPECT_EQ(call("viewer", "GET", "/v1/tiers?colour=red").status, 400);
  EXPECT_EQ(call("viewer", "GET", "/v1/tiers?limit=0").status, 400);
  EXPECT_EQ(call("viewer", "GET", "/v1/tiers?limit=1&limit=2").status, 400);
  EXPECT_EQ(call("viewer", "GET", "/v1/requests?continue=nonsense").status, 400);
  EXPECT_EQ(call("admin", "PUT", "/v1/tiers/x?dryRun=maybe", "{}").status, 400);
}

TEST_F(ApiTest, RefusesBodiesThatAreNotDocuments) {
  for (const std::string body :
       {"", "{", "[]", "null", "{\"kind\":\"Tier\"}", "{\"spec\":{}}x", "\xff\xfe",
        "{\"a\":\"\xc3\x28\"}",
        "{\"kind\":\"Tier\",\"metadata\":{\"name\":\"x\"},\"spec\":{\"isolation\":\"strong\"}}",
        "{\"kind\":\"Tier\",\"metadata\":{\"name\":\"x\"},\"spec\":{\"colour\":\"red\"}}",
        "{\"kind\":\"Team\",\"metadata\":{\"name\":\"x\"},\"spec\":{}}",
        "{\"kind\":\"Tier\",\"metadata\":{\"name\":\"y\"},\"spec\":{\"isolation\":\"partition\"}"
        "}"}) {
    const auto reply = call("admin", "PUT", "/v1/tiers/x", body);
    EXPECT_EQ(reply.status, 400) << body << reply.body;
    EXPECT_FALSE(reply.json()["detail"].get<std::string>().empty());
  }
  EXPECT_EQ(call("admin", "POST", "/v1/apply", std::string(100'000, '[')).status, 413);
  EXPECT_EQ(call("admin", "POST", "/v1/apply", std::string(2 << 20, ' ')).status, 413);
  EXPECT_EQ(call("viewer", "GET", "/v1/tiers").status, 200);
}

TEST_F(ApiTest, PutsAndDeletesUnderConditions) {
  const std::string team =
      R"({"kind":"Team","metadata":{"name":"new"},"spec":{"description":"a"}})";
  const std::string other =
      R"({"kind":"Team","metadata":{"name":"new"},"spec":{"description":"b"}})";
  const auto rehearsed = call("admin", "PUT", "/v1/teams/new?dryRun=true", team);
  EXPECT_EQ(rehearsed.status, 200);
  EXPECT_EQ(rehearsed.json()["spec"]["description"], "a");
  EXPECT_EQ(call("admin", "GET", "/v1/teams/new").status, 404);
  EXPECT_EQ(call("admin", "PUT", "/v1/teams/new", team, "If-Match: \"x\"\r\n").status, 412);
  const auto created = call("admin", "PUT", "/v1/teams/new", team, "If-None-Match: *\r\n");
  EXPECT_EQ(created.status, 201) << created.body;
  EXPECT_EQ(call("admin", "PUT", "/v1/teams/new", team, "If-None-Match: *\r\n").status, 412);

  const auto read = call("viewer", "GET", "/v1/teams/new");
  const std::string etag = read.header("etag");
  EXPECT_EQ(etag, created.header("etag"));
  EXPECT_EQ(call("viewer", "GET", "/v1/teams/new", "", "If-None-Match: " + etag + "\r\n").status,
            304);
  const auto replaced = call("admin", "PUT", "/v1/teams/new", other, "If-Match: " + etag + "\r\n");
  EXPECT_EQ(replaced.status, 200);
  const auto lost = call("admin", "PUT", "/v1/teams/new", team, "If-Match: " + etag + "\r\n");
  EXPECT_EQ(lost.status, 412);
  EXPECT_EQ(lost.reason(), "Conflict");
  EXPECT_EQ(call("viewer", "GET", "/v1/teams/new").json()["spec"]["description"], "b");

  EXPECT_EQ(call("admin", "DELETE", "/v1/teams/new", "", "If-Match: " + etag + "\r\n").status, 412);
  EXPECT_EQ(call("admin", "DELETE", "/v1/teams/new?dryRun=true").status, 200);
  const auto gone = call("admin", "DELETE", "/v1/teams/new");
  EXPECT_EQ(gone.status, 200);
  EXPECT_EQ(gone.json()["metadata"]["name"], "new");
  EXPECT_EQ(call("admin", "DELETE", "/v1/teams/new").status, 404);
  EXPECT_EQ(call("admin", "DELETE", "/v1/tiers/production").status, 409);
}

TEST_F(ApiTest, AppliesAllOrNothing) {
  const std::string good =
      R"({"documents":[
           {"kind":"Team","metadata":{"name":"audio"},"spec":{"quotas":{"l40s":{"limit":1}}}},
           {"kind":"Node","metadata":{"name":"l"},"spec":{"pool":"l40s","gpus":2,"count":2}},
           {"kind":"Pool","metadata":{"name":"l40s"},"spec":{"model":"L40S-48GB","tiers":["development"]}},
           {"kind":"Team","metadata":{"name":"vision"},"spec":{}}]})";
  const auto rehearsed = call("admin", "POST", "/v1/apply?dryRun=true", good);
  ASSERT_EQ(rehearsed.status, 200) << rehearsed.body;
  EXPECT_EQ(call("admin", "GET", "/v1/pools/l40s").status, 404);
  const auto done = call("admin", "POST", "/v1/apply", good);
  ASSERT_EQ(done.status, 200) << done.body;
  std::map<std::string, std::string> changes;
  const Json result = done.json();
  for (const Json& item : result["items"]) changes[item["name"]] = item["change"];
  EXPECT_EQ(changes, (std::map<std::string, std::string>{{"audio", "created"},
                                                         {"l-1", "created"},
                                                         {"l-2", "created"},
                                                         {"l40s", "created"},
                                                         {"vision", "unchanged"}}));
  const Json again = call("admin", "POST", "/v1/apply", good).json();
  for (const Json& item : again["items"]) EXPECT_EQ(item["change"], "unchanged") << item;

  const auto before = revision();
  const auto bad = call("admin", "POST", "/v1/apply",
                        R"({"documents":[{"kind":"Team","metadata":{"name":"t"},"spec":{}},
             {"kind":"Node","metadata":{"name":"n"},"spec":{"pool":"nowhere","gpus":1}}]})");
  EXPECT_GE(bad.status, 400);
  EXPECT_EQ(call("admin", "GET", "/v1/teams/t").status, 404);
  EXPECT_EQ(revision(), before);
  EXPECT_EQ(call("admin", "POST", "/v1/apply",
                 std::string("{\"documents\":[{\"kind\":\"Request\",") +
                     std::string(kNeed).substr(1) + "]}")
                .status,
            400);
}

TEST_F(ApiTest, ListsPageByPage) {
  for (int i = 0; i < 5; ++i) ASSERT_EQ(call("member", "POST", "/v1/requests", kNeed).status, 201);
  std::vector<std::string> seen;
  std::string next = "/v1/requests?limit=2";
  int pages = 0;
  for (; !next.empty(); ++pages) {
    const auto page = call("viewer", "GET", next).json();
    EXPECT_EQ(page["kind"], "RequestList");
    EXPECT_EQ(page["metadata"]["revision"], revision());
    for (const Json& item : page["items"]) seen.push_back(item["metadata"]["name"]);
    const auto more = page["metadata"].value("continue", std::string());
    next = more.empty() ? "" : "/v1/requests?limit=2&continue=" + more;
  }
  EXPECT_EQ(pages, 3);
  EXPECT_EQ(seen, (std::vector<std::string>{"req-1", "req-2", "req-3", "req-4", "req-5"}));
  const auto count = [&](const std::string& target) {
    return call("viewer", "GET", target).json()["items"].size();
  };
  EXPECT_EQ(count("/v1/requests?team=speech"), 0u);
  EXPECT_EQ(count("/v1/requests?team=vision&pool=h100"), 5u);
  EXPECT_EQ(count("/v1/requests?state=active"), 0u);
  report();
  EXPECT_EQ(count("/v1/requests?state=active&tier=production"), 5u);
  EXPECT_EQ(count("/v1/leases?node=node-1"), 5u);
  EXPECT_EQ(count("/v1/gpus?state=ready&node=node-1"), 8u);
  EXPECT_EQ(count("/v1/gpus?limit=3&continue=node-1/4"), 3u);
  EXPECT_GE(count("/v1/gpus?team=vision"), 1u);
  EXPECT_EQ(count("/v1/nodes?pool=h100&state=ready"), 1u);
  EXPECT_EQ(count("/v1/pools?tier=production"), 1u);
}

TEST_F(ApiTest, ShowsGpusNodesAndCapacity) {
  const auto gpu = call("viewer", "GET", "/v1/gpus/node-1/3");
  EXPECT_EQ(gpu.json()["metadata"]["name"], "node-1/3");
  EXPECT_EQ(call("viewer", "GET", "/v1/gpus/node-1/8").status, 404);
  EXPECT_EQ(call("operator", "POST", "/v1/nodes/node-1/cordon").json()["status"]["cordoned"], true);
  EXPECT_EQ(call("viewer", "GET", "/v1/gpus/node-1/3").json()["status"]["state"], "cordoned");
  EXPECT_EQ(call("operator", "POST", "/v1/nodes/node-1/uncordon").json()["status"]["cordoned"],
            false);
  const auto capacity = call("viewer", "GET", "/v1/capacity").json();
  EXPECT_EQ(capacity["kind"], "Capacity");
  EXPECT_EQ(capacity["gpus"]["ready"], 8);
}

TEST_F(ApiTest, ShowsATokensSecretOnce) {
  const std::string wish = R"({"name":"ci","role":"member","subject":"speech","expiresIn":"1h"})";
  const auto rehearsed = call("admin", "POST", "/v1/tokens?dryRun=true", wish);
  EXPECT_EQ(rehearsed.status, 200) << rehearsed.body;
  EXPECT_FALSE(rehearsed.json()["status"].contains("secret"));
  const auto made = call("admin", "POST", "/v1/tokens", wish);
  ASSERT_EQ(made.status, 201) << made.body;
  const std::string secret = made.json()["status"]["secret"];
  EXPECT_EQ(call("admin", "GET", "/v1/tokens/ci").body.find(secret), std::string::npos);
  EXPECT_EQ(call("admin", "GET", "/v1/tokens").body.find("digest"), std::string::npos);
  EXPECT_EQ(call("admin", "POST", "/v1/tokens", wish).status, 409);

  const std::string header = "Authorization: Bearer " + secret + "\r\n";
  EXPECT_EQ(call("", "GET", "/v1/whoami", "", header).json()["subject"], "speech");
  clock_.advance(2h);
  EXPECT_EQ(call("", "GET", "/v1/whoami", "", header).status, 401);
  EXPECT_EQ(call("admin", "DELETE", "/v1/tokens/ci").status, 200);
  EXPECT_EQ(call("admin", "GET", "/v1/tokens/ci").status, 404);
}

TEST_F(ApiTest, AnswersProbesAndDescribesItself) {
  EXPECT_EQ(call("", "GET", "/healthz").status, 200);
  EXPECT_EQ(call("", "GET", "/readyz").status, 200);
  const auto contract = call("", "GET", "/v1/openapi.json");
  EXPECT_EQ(contract.json()["openapi"], "3.1.0");
  EXPECT_EQ(
      call("", "GET", "/v1/openapi.json", "", "If-None-Match: " + contract.header("etag") + "\r\n")
          .status,
      304);
  EXPECT_EQ(call("", "GET", "/v1/version").json()["apiVersion"], "tessera.dev/v1alpha1");
  call("member", "POST", "/v1/requests", kNeed);
  const auto metrics = call("", "GET", "/metrics");
  EXPECT_EQ(metrics.status, 200);
  for (const char* line :
       {"tessera_http_requests_total{operation=\"submitRequest\",status=\"201\"} 1",
        "tessera_gpus{state=\"free\"} 7", "tessera_leases{state=\"provisioning\"} 1",
        "tessera_journal_writable 1", "tessera_engine_queue_length 0",
        "tessera_http_request_duration_seconds_bucket", "tessera_journal_commit_seconds_total"})
    EXPECT_NE(metrics.body.find(line), std::string::npos) << line << "\n" << metrics.body;
}

TEST_F(ApiTest, SaysWhenTheJournalTakesNoWrites) {
  journal_.set_away(true);
  const auto refused = call("member", "POST", "/v1/requests", kNeed);
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.reason(), "Unavailable");
  EXPECT_EQ(call("", "GET", "/readyz").status, 503);
  EXPECT_EQ(call("viewer", "GET", "/v1/tiers").status, 200);
  journal_.set_away(false);
  EXPECT_EQ(call("member", "POST", "/v1/requests", kNeed).status, 201);
  EXPECT_EQ(call("", "GET", "/readyz").status, 200);
}

TEST_F(ApiTest, ServesTheConsole) {
  EXPECT_EQ(call("", "GET", "/").status, 404);
  ApiOptions options;
  options.console = {{"index.html", "<!doctype html>"}, {"assets/app-1.js", "go()"}};
  start(std::move(options));
  const auto index = call("", "GET", "/");
  EXPECT_EQ(index.body, "<!doctype html>");
  EXPECT_EQ(index.header("content-type"), "text/html; charset=utf-8");
  EXPECT_EQ(index.header("cache-control"), "no-cache");
  const std::string policy = index.header("content-security-policy");
  EXPECT_TRUE(policy.starts_with("default-src 'none'"));
  EXPECT_EQ(policy.find("http"), std::string::npos);
  EXPECT_EQ(policy.find("unsafe"), std::string::npos);
  EXPECT_EQ(call("", "GET", "/", "", "If-None-Match: " + index.header("etag") + "\r\n").status,
            304);
  const auto script = call("", "GET", "/assets/app-1.js");
  EXPECT_EQ(script.header("content-type"), "text/javascript; charset=utf-8");
  EXPECT_NE(script.header("cache-control").find("immutable"), std::string::npos);
  EXPECT_EQ(call("", "GET", "/requests/req-7").body, "<!doctype html>");
  EXPECT_EQ(call("", "GET", "/assets/app-2.js").status, 404);
  EXPECT_EQ(call("", "GET", "/v1/nothing").status, 404);
  EXPECT_EQ(call("", "POST", "/").status, 405);
}

}  // namespace
}  // namespace tessera::gateway
