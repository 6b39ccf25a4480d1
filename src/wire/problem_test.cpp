#include "wire/problem.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tessera::wire {
namespace {

using base::Error;
using base::Reason;
using testing::HasSubstr;

TEST(Problem, SaysWhatWhereAndWhatToDo) {
  const Error error{Reason::kNeverFits, "no slice has 200GiB", "spec.memory", "ask for less"};
  const Json problem = problem_of(error);
  EXPECT_EQ(problem, (Json{{"type", "https://tessera.dev/problems/NeverFits"},
                           {"title", "Never fits"},
                           {"status", 422},
                           {"reason", "NeverFits"},
                           {"detail", "no slice has 200GiB"},
                           {"field", "spec.memory"},
                           {"hint", "ask for less"}}));
  EXPECT_EQ(problem_of({Reason::kConflict, "it changed", {}, {}}, 412)["status"], 412);
  EXPECT_FALSE(problem_of({Reason::kConflict, "it changed", {}, {}}).contains("field"));
}

TEST(Problem, ComesBackAsTheErrorItWas) {
  for (int i = 0; i <= static_cast<int>(Reason::kQueueFull); ++i) {
    const Error error{static_cast<Reason>(i), "what", "where", "todo"};
    const Json problem = problem_of(error);
    EXPECT_GE(problem["status"], 400);
    const Error back = error_from(problem["status"], problem.dump());
    EXPECT_EQ(back.reason, error.reason);
    EXPECT_EQ(to_string(back), to_string(error));
  }
}

TEST(Problem, MakesSenseOfStrangers) {
  const Error proxy = error_from(502, "<html>bad gateway</html>");
  EXPECT_EQ(proxy.reason, Reason::kUnavailable);
  EXPECT_THAT(proxy.what, HasSubstr("502"));
  EXPECT_THAT(proxy.what, HasSubstr("bad gateway"));
  EXPECT_EQ(error_from(401, "").reason, Reason::kUnauthenticated);
  EXPECT_EQ(error_from(500, "\xFF\xFE").reason, Reason::kInternal);
  EXPECT_THAT(error_from(500, "\xFF\xFE").what, HasSubstr("500"));
  EXPECT_EQ(error_from(404, R"({"reason":"Unheard","detail":"x"})").reason, Reason::kUnknownObject);
  EXPECT_EQ(error_from(409, R"([{"reason":1}])").reason, Reason::kConflict);
}

}  // namespace
}  // namespace tessera::wire
