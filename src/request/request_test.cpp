#include "request/request.h"

#include <gtest/gtest.h>

namespace tessera::request {
namespace {

constexpr int kFirst = static_cast<int>(RequestState::kPendingApproval);
constexpr int kStates = static_cast<int>(RequestState::kFailed) + 1;

TEST(RequestState, NothingFollowsAnEnd) {
  for (int from = kFirst; from < kStates; ++from)
    for (int to = kFirst; to < kStates; ++to) {
      if (!terminal(static_cast<RequestState>(from))) continue;
      EXPECT_FALSE(may_follow(static_cast<RequestState>(from), static_cast<RequestState>(to)));
    }
}

TEST(RequestState, CancelIsLegalFromEveryLivingState) {
  for (int from = kFirst; from < kStates; ++from) {
    const auto state = static_cast<RequestState>(from);
    EXPECT_EQ(may_follow(state, RequestState::kCancelled), !terminal(state));
  }
}

TEST(RequestState, EveryStateCanBeReachedAndNamed) {
  for (int to = kFirst + 1; to < kStates; ++to) {
    bool reached = false;
    for (int from = kFirst; from < kStates; ++from)
      reached |= may_follow(static_cast<RequestState>(from), static_cast<RequestState>(to));
    EXPECT_TRUE(reached) << to_string(static_cast<RequestState>(to));
  }
}

}  // namespace
}  // namespace tessera::request
