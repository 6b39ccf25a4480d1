#include "gateway/api_world.h"

/// Requests and leases over the API: the way of one need from asking to giving back.
namespace tessera::gateway {
namespace {

using RequestApiTest = ApiWorld;
using wire::Json;

TEST_F(RequestApiTest, GoesFromAskingToGivingBack) {
  const auto made = call("member", "POST", "/v1/requests", kNeed);
  ASSERT_EQ(made.status, 201) << made.body;
  EXPECT_EQ(made.json()["metadata"]["name"], "req-1");
  EXPECT_EQ(made.json()["metadata"]["createdBy"], "member");
  EXPECT_EQ(made.json()["status"]["state"], "provisioning");
  report();
  const auto active = call("viewer", "GET", "/v1/requests/req-1").json();
  EXPECT_EQ(active["status"]["state"], "active");
  EXPECT_EQ(active["status"]["tier"], "production");
  EXPECT_EQ(active["status"]["slices"][0]["profile"], "1g.10gb");
  const std::string lease = active["status"]["lease"];

  const auto before = call("viewer", "GET", "/v1/leases/" + lease).json()["status"]["expiresAt"];
  const auto renewed =
      call("member", "POST", "/v1/leases/" + lease + "/renew", R"({"extra":"4h"})");
  ASSERT_EQ(renewed.status, 200) << renewed.body;
  EXPECT_NE(renewed.json()["status"]["expiresAt"], before);
  EXPECT_EQ(call("member", "POST", "/v1/leases/" + lease + "/renew", "{}").status, 400);

  const auto released = call("member", "POST", "/v1/leases/" + lease + "/release");
  EXPECT_EQ(released.json()["status"]["state"], "releasing") << released.body;
  report();
  EXPECT_EQ(call("viewer", "GET", "/v1/requests/req-1").json()["status"]["state"], "released");
  EXPECT_EQ(call("member", "POST", "/v1/leases/lease-99/release").status, 404);
  EXPECT_EQ(call("member", "POST", "/v1/leases/none/release").status, 404);
}

TEST_F(RequestApiTest, ADryRunGivesTheSameAnswerAndLeavesNoTrace) {
  const auto before = revision();
  const auto rehearsed = call("member", "POST", "/v1/requests?dryRun=true", kNeed);
  EXPECT_EQ(rehearsed.status, 200);
  EXPECT_EQ(revision(), before);
  const auto made = call("member", "POST", "/v1/requests", kNeed);
  EXPECT_EQ(rehearsed.json(), made.json());
}

TEST_F(RequestApiTest, ADryRunNamesTheIdleDeviceItWouldReuse) {
  const auto first = call("member", "POST", "/v1/requests", kNeed).json();
  report();
  const std::string lease = first["status"]["lease"];
  call("member", "POST", "/v1/leases/" + lease + "/release");
  report();
  const auto rehearsed = call("member", "POST", "/v1/requests?dryRun=true", kNeed);
  EXPECT_FALSE(rehearsed.json()["status"]["slices"][0]["device"].is_null()) << rehearsed.body;
  EXPECT_EQ(rehearsed.json(), call("member", "POST", "/v1/requests", kNeed).json());
}

TEST_F(RequestApiTest, ADryRunInAFullFleetSaysWhereInTheQueue) {
  std::string state;
  for (int i = 0; i < 1'000 && state != "queued"; ++i)
    state = call("member", "POST", "/v1/requests", kNeed).json()["status"]["state"];
  ASSERT_EQ(state, "queued");
  const auto rehearsed = call("member", "POST", "/v1/requests?dryRun=true", kNeed);
  EXPECT_EQ(rehearsed.json()["status"]["position"], 2) << rehearsed.body;
  EXPECT_EQ(rehearsed.json(), call("member", "POST", "/v1/requests", kNeed).json());
}

TEST_F(RequestApiTest, ADryRunWithAUsedKeyShowsTheRequestThatHasIt) {
  const std::string key = "Idempotency-Key: 7f\r\n";
  const auto made = call("member", "POST", "/v1/requests", kNeed, key);
  const auto rehearsed = call("member", "POST", "/v1/requests?dryRun=true", kNeed, key);
  EXPECT_EQ(rehearsed.status, 200);
  EXPECT_EQ(rehearsed.json(), made.json());
}

TEST_F(RequestApiTest, TheSameKeyGivesTheSameRequest) {
  const std::string key = "Idempotency-Key: 7f\r\n";
  const auto first = call("member", "POST", "/v1/requests", kNeed, key);
  const auto again = call("member", "POST", "/v1/requests", kNeed, key);
  EXPECT_EQ(first.status, 201);
  EXPECT_EQ(again.status, 200) << again.body;
  EXPECT_EQ(first.json()["metadata"]["name"], again.json()["metadata"]["name"]);
  const auto other =
      call("member", "POST", "/v1/requests", R"({"spec":{"team":"vision","memory":"20GB"}})", key);
  EXPECT_EQ(other.status, 409);
  EXPECT_EQ(call("admin", "POST", "/v1/requests", kNeed, key).status, 201);
  EXPECT_EQ(call("member", "POST", "/v1/requests", kNeed,
                 "Idempotency-Key: " + std::string(200, 'x') + "\r\n")
                .status,
            400);
}

TEST_F(RequestApiTest, RefusesWhatCanNeverBeMet) {
  const auto reply =
      call("member", "POST", "/v1/requests", R"({"spec":{"team":"vision","memory":"900GB"}})");
  EXPECT_EQ(reply.status, 422) << reply.body;
  EXPECT_EQ(reply.reason(), "NeverFits");
  EXPECT_EQ(call("viewer", "GET", "/v1/requests").json()["items"].size(), 0u);
  EXPECT_EQ(call("admin", "POST", "/v1/requests", R"({"spec":{"team":"nobody"}})").status, 404);
}

TEST_F(RequestApiTest, ExplainsBeforeAndAfter) {
  const auto fits = call("viewer", "POST", "/v1/explain", kNeed);
  ASSERT_EQ(fits.status, 200) << fits.body;
  EXPECT_EQ(fits.json()["fitsNow"], true);
  EXPECT_EQ(fits.json()["spot"]["slices"][0]["profile"], "1g.10gb");
  const std::string whole =
      R"({"spec":{"team":"vision","isolation":"dedicated","count":8,"duration":"8h"}})";
  ASSERT_EQ(call("member", "POST", "/v1/requests", whole).status, 201);
  const auto waits = call("member", "POST", "/v1/requests", kNeed);
  EXPECT_EQ(waits.json()["status"]["state"], "queued") << waits.body;
  const auto why = call("viewer", "GET", "/v1/requests/req-2/explanation");
  ASSERT_EQ(why.status, 200) << why.body;
  EXPECT_EQ(why.json()["fitsNow"], false);
  EXPECT_EQ(why.json()["position"], 1);
  EXPECT_EQ(why.json()["reason"], waits.json()["status"]["reason"]);
  EXPECT_EQ(call("viewer", "GET", "/v1/requests/req-99/explanation").status, 404);

  EXPECT_EQ(call("member", "POST", "/v1/requests/req-1/cancel").status, 200);
  report();
  EXPECT_EQ(call("viewer", "GET", "/v1/requests/req-2").json()["status"]["state"], "provisioning");
}

TEST_F(RequestApiTest, OperatorsDecideOnLargeRequests) {
  const std::string tier = R"({"kind":"Tier","metadata":{"name":"careful"},"spec":{
      "isolation":"partition","technologies":["mig"],"slot":"10GB","pricePerHour":"1.00",
      "defaultDuration":"1h","maxDuration":"1d","notice":"5m",
      "autoApprove":{"share":"0.1","duration":"1h"}}})";
  ASSERT_EQ(call("admin", "PUT", "/v1/tiers/careful", tier).status, 201);
  const auto pool = call("admin", "GET", "/v1/pools/h100").json();
  Json changed = {{"kind", "Pool"}, {"metadata", {{"name", "h100"}}}, {"spec", pool["spec"]}};
  changed["spec"]["tiers"].push_back("careful");
  ASSERT_EQ(call("admin", "PUT", "/v1/pools/h100", changed.dump()).status, 200);
  const std::string need =
      R"({"spec":{"team":"vision","tier":"careful","memory":"40GB","duration":"8h"}})";
  for (int i = 0; i < 2; ++i) {
    const auto made = call("member", "POST", "/v1/requests", need);
    ASSERT_EQ(made.status, 201) << made.body;
    EXPECT_EQ(made.json()["status"]["state"], "pending-approval");
  }
  EXPECT_EQ(call("member", "POST", "/v1/requests/req-1/approve").status, 403);
  const auto approved = call("operator", "POST", "/v1/requests/req-1/approve");
  EXPECT_EQ(approved.json()["status"]["state"], "provisioning") << approved.body;
  EXPECT_EQ(call("operator", "POST", "/v1/requests/req-1/approve").status, 409);
  const auto rejected =
      call("operator", "POST", "/v1/requests/req-2/reject", R"({"message":"use staging"})");
  EXPECT_EQ(rejected.json()["status"]["state"], "rejected") << rejected.body;
  EXPECT_EQ(rejected.json()["status"]["message"], "use staging");
}

}  // namespace
}  // namespace tessera::gateway
