#include "gateway/api_world.h"

/// Watching, and the agents' long poll.
namespace tessera::gateway {
namespace {

using wire::Json;

class WatchApiTest : public ApiWorld {
 protected:
  static int count(const std::string& text, const std::string& what) {
    int found = 0;
    for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++found;
    return found;
  }
  std::string watch(const std::string& query) {
    return request_text("viewer", "GET", "/v1/watch" + query);
  }
  std::string report_body() {
    return wire::encode(engine_->read(service::report_of).report).dump();
  }
};

TEST_F(WatchApiTest, TellsWhatChanges) {
  RawClient client(server_->port());
  client.send(watch("?kinds=Request,Lease"));
  client.read_until("BOOKMARK");
  call("member", "POST", "/v1/requests", kNeed);
  std::string seen = client.read_until("\"kind\":\"Lease\"");
  EXPECT_NE(seen.find("event: ADDED"), std::string::npos);
  report();
  seen = client.read_until("event: MODIFIED");
  EXPECT_NE(seen.find("\"state\":\"active\""), std::string::npos);
  EXPECT_EQ(seen.find("\"kind\":\"Gpu\""), std::string::npos);
  EXPECT_NE(seen.find("Content-Type: text/event-stream"), std::string::npos);
}

TEST_F(WatchApiTest, BeginsWhereAListEnded) {
  const auto since = call("viewer", "GET", "/v1/teams").json()["metadata"]["revision"];
  const std::string team = R"({"kind":"Team","metadata":{"name":"late"},"spec":{}})";
  ASSERT_EQ(call("admin", "PUT", "/v1/teams/late", team).status, 201);
  ASSERT_EQ(call("admin", "PUT", "/v1/teams/late",
                 R"({"kind":"Team","metadata":{"name":"late"},"spec":{"description":"x"}})")
                .status,
            200);
  RawClient client(server_->port());
  client.send(watch("?since=" + since.dump() + "&kinds=Team"));
  const std::string seen = client.read_until("\"late\"");
  EXPECT_NE(seen.find("event: ADDED"), std::string::npos);
  EXPECT_NE(seen.find("\"description\":\"x\""), std::string::npos);
  EXPECT_NE(seen.find("id: " + std::to_string(revision())), std::string::npos);
  ASSERT_EQ(call("admin", "DELETE", "/v1/teams/late").status, 200);
  EXPECT_NE(client.read_until("event: DELETED").find("event: DELETED"), std::string::npos);
}

TEST_F(WatchApiTest, ResumesAfterTheLastEventSeen) {
  const auto start = revision();
  for (const char* name : {"one", "two"}) {
    const std::string team =
        std::string(R"({"kind":"Team","metadata":{"name":")") + name + R"("},"spec":{}})";
    ASSERT_EQ(call("admin", "PUT", std::string("/v1/teams/") + name, team).status, 201);
  }
  RawClient client(server_->port());
  client.send(request_text("viewer", "GET", "/v1/watch?kinds=Team&since=" + std::to_string(start),
                           "", "Last-Event-ID: " + std::to_string(start + 1) + "\r\n"));
  const std::string seen = client.read_until("\"two\"");
  EXPECT_EQ(seen.find("\"one\""), std::string::npos);
}

TEST_F(WatchApiTest, RefusesRevisionsItDoesNotHold) {
  const auto future = call("viewer", "GET", "/v1/watch?since=99999");
  EXPECT_EQ(future.status, 410);
  EXPECT_EQ(future.reason(), "TooOld");
  const auto before = revision();
  start({});  // what happened before the restart is in the journal only
  EXPECT_EQ(call("viewer", "GET", "/v1/watch?since=" + std::to_string(before - 1)).status, 410);
  EXPECT_EQ(call("viewer", "GET", "/v1/watch?since=x").status, 400);
  EXPECT_EQ(call("viewer", "GET", "/v1/watch?kinds=Request,Sheep").status, 400);
  EXPECT_EQ(call("agent", "GET", "/v1/watch").status, 403);
}

TEST_F(WatchApiTest, SendsBookmarksAndLimitsWatchers) {
  ApiOptions options;
  options.watch.bookmark_every = 50ms;
  options.watch.most_watchers = 1;
  start(std::move(options));
  RawClient client(server_->port());
  client.send(watch(""));
  std::string seen;
  for (int i = 0; i < 100 && count(seen, "BOOKMARK") < 3; ++i)
    seen = client.read_until("no such text", 20ms);
  EXPECT_GE(count(seen, "BOOKMARK"), 3);
  EXPECT_EQ(call("viewer", "GET", "/v1/watch").status, 503);
}

TEST_F(WatchApiTest, EndsAWatcherThatFellBehindWithAnError) {
  ApiOptions options;
  options.watch.history_revisions = 20;
  options.watch.backlog = 1;  // nothing more until everything was read
  start(std::move(options));
  RawClient client(server_->port());
  client.send(watch("?kinds=Team"));
  client.read_until("BOOKMARK");
  // More than what the kernel takes in for a client that reads nothing.
  for (int round = 0; round < 60; ++round) {
    Json documents = Json::array();
    for (int i = 0; i < 100; ++i)
      documents.push_back({{"kind", "Team"},
                           {"metadata", {{"name", "t" + std::to_string(i)}}},
                           {"spec", {{"description", std::string(4'000, "ab"[round % 2])}}}});
    const auto applied = call("admin", "POST", "/v1/apply", Json{{"documents", documents}}.dump());
    ASSERT_EQ(applied.status, 200) << applied.body.substr(0, 300);
  }
  const std::string seen = client.read_until("event: ERROR", 60s);
  EXPECT_NE(seen.find("event: ERROR"), std::string::npos);
  EXPECT_NE(client.read_until("TooOld").find("TooOld"), std::string::npos);
}

TEST_F(WatchApiTest, AnswersAnAgentWhenItsTargetChanges) {
  const std::string path = "/v1/agent/nodes/node-1/report";
  const auto first = call("agent", "POST", path, report_body());
  ASSERT_EQ(first.status, 200) << first.body;
  const auto known = wire::decode_target(first.body);
  ASSERT_TRUE(known);
  const std::string since = "?since=" + std::to_string(known->revision);

  // Nothing changes for this node: the answer comes after the wait, with the same revision.
  call("admin", "PUT", "/v1/teams/x", R"({"kind":"Team","metadata":{"name":"x"},"spec":{}})");
  const auto begin = std::chrono::steady_clock::now();
  const auto same = call("agent", "POST", path + since + "&wait=300ms", report_body());
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 300ms);
  EXPECT_EQ(wire::decode_target(same.body)->revision, known->revision);

  RawClient agent(server_->port());
  agent.send(request_text("agent", "POST", path + since + "&wait=30s", report_body()));
  std::this_thread::sleep_for(100ms);
  call("member", "POST", "/v1/requests", kNeed);
  const auto changed = wire::decode_target(parse_reply(agent.read_until("\"preparing\"")).body);
  ASSERT_TRUE(changed) << to_string(changed.error());
  EXPECT_GT(changed->revision, known->revision);
  // With an old revision there is nothing to wait for.
  const auto quick = call("agent", "POST", path + since + "&wait=30s", report_body());
  EXPECT_EQ(quick.status, 200);
}

TEST_F(WatchApiTest, RefusesStrangeReports) {
  const std::string path = "/v1/agent/nodes/node-1/report";
  EXPECT_EQ(call("agent", "POST", path, "{}").status, 400);
  EXPECT_EQ(call("admin", "POST", path, report_body()).status, 403);
  EXPECT_EQ(call("agent", "POST", "/v1/agent/nodes/node-2/report", report_body()).status, 400);
  EXPECT_EQ(call("agent", "POST", path + "?wait=soon", report_body()).status, 400);
  Json other = Json::parse(report_body());
  other["node"] = "node-2";
  EXPECT_EQ(call("agent", "POST", "/v1/agent/nodes/node-2/report", other.dump()).status, 403);
}

TEST_F(WatchApiTest, StopsAtOnceWhileAgentsAndWatchersWait) {
  RawClient agent(server_->port()), watcher(server_->port());
  const auto first = call("agent", "POST", "/v1/agent/nodes/node-1/report", report_body());
  const auto known = wire::decode_target(first.body)->revision;
  agent.send(request_text("agent", "POST",
                          "/v1/agent/nodes/node-1/report?wait=30s&since=" + std::to_string(known),
                          report_body()));
  watcher.send(watch(""));
  watcher.read_until("BOOKMARK");
  std::this_thread::sleep_for(100ms);
  const auto begin = std::chrono::steady_clock::now();
  stop();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 2s);
  EXPECT_EQ(parse_reply(agent.read_all()).status, 503);
  watcher.read_all();
  EXPECT_TRUE(watcher.closed());
}

}  // namespace
}  // namespace tessera::gateway
