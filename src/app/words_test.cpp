#include "app/words.h"

#include <gtest/gtest.h>

#include "app/describe.h"
#include "base/quantity.h"

namespace tessera::app {
namespace {

using wire::Json;

base::Instant at(const char* text) {
  return *base::parse_instant(text);
}

TEST(Words, MemoryIsShownAsItWasAskedFor) {
  EXPECT_EQ(memory_words("9537MiB"), "10GB");
  EXPECT_EQ(memory_words("38147MiB"), "40GB");
  EXPECT_EQ(memory_words("10GiB"), "10GiB");
  EXPECT_EQ(memory_words("9984MiB"), "9984MiB");
  EXPECT_EQ(memory_words("-"), "-");
}

TEST(Words, WholeGigabytesSurviveTheServer) {
  for (int gigabytes = 1; gigabytes <= 2000; ++gigabytes) {
    const auto asked = std::to_string(gigabytes) + "GB";
    const auto kept = *base::parse_memory(asked);
    const auto shown = memory_words(base::to_string(kept));
    EXPECT_EQ(*base::parse_memory(shown), kept) << asked;
    if (kept.count() % 1024 != 0) {
      EXPECT_EQ(shown, asked);
    }
  }
}

TEST(Words, MoneyHasTwoOrThreeDecimals) {
  EXPECT_EQ(money_words("0.087557"), "0.088");
  EXPECT_EQ(money_words("2.8"), "2.80");
  EXPECT_EQ(money_words("0.375"), "0.375");
  EXPECT_EQ(money_words("11.20"), "11.20");
  EXPECT_EQ(money_words("-"), "-");
}

TEST(Words, WhatIsLeftIsRoundedUpToTheMinute) {
  const auto now = at("2026-11-23T02:00:00.500Z");
  EXPECT_EQ(time_until("2026-11-23T10:00:00Z", now), "8h");
  EXPECT_EQ(time_until("2026-11-23T03:30:00Z", now), "1h30m");
  EXPECT_EQ(time_until("2026-11-23T01:00:00Z", now), "0m");
  EXPECT_EQ(time_until("-", now), "-");
  EXPECT_EQ(age_of("2026-11-23T01:00:00Z", now), "1h");
  EXPECT_EQ(age_of("2026-11-23T02:00:01Z", now), "0s");
}

TEST(Words, AMomentNamesItsDayUnlessItIsToday) {
  const auto now = at("2026-11-23T02:00:00Z");
  EXPECT_EQ(moment_words("2026-11-23T10:05:59Z", now), "10:05 UTC");
  EXPECT_EQ(moment_words("2026-11-24T00:00:00Z", now), "24 Nov 00:00 UTC");
  EXPECT_EQ(moment_words("soon", now), "soon");
}

TEST(Words, SlicesOfOneLease) {
  const auto slice = [](const char* gpu) { return Json{{"profile", "whole"}, {"gpu", gpu}}; };
  EXPECT_EQ(slices_words(Json::array({slice("a/0")})), "whole on a/0");
  EXPECT_EQ(slices_words(Json::array({slice("a/0"), slice("a/1")})), "2 x whole on a");
  EXPECT_EQ(slices_words(Json::array({slice("a/0"), slice("a/0")})), "2 x whole on a/0");
  EXPECT_EQ(slices_words(Json::array({slice("a/0"), slice("b/0")})), "2 x whole on a, b");
  EXPECT_EQ(slices_words(Json::array({slice("a/0"), slice("b/0"), slice("c/0"), slice("d/0")})),
            "4 x whole on 4 nodes");
  EXPECT_EQ(slices_words(Json::array()), "-");
}

TEST(Words, ARequestIsToldInASentence) {
  const auto now = at("2026-11-23T02:00:00Z");
  Json request{{"status",
                {{"state", "active"},
                 {"tier", "production"},
                 {"pricePerHour", "0.375"},
                 {"expiresAt", "2026-11-23T10:00:00Z"},
                 {"slices", Json::array({{{"profile", "1g.10gb"}, {"gpu", "a/0"}}})}}}};
  EXPECT_EQ(request_words(request, now),
            "active: 1g.10gb on a/0, tier production, 0.375 per hour, until 10:00 UTC (8h)");
  request["status"] = {{"state", "queued"},
                       {"reason", "NoCapacity"},
                       {"message", "every GPU is full"},
                       {"position", 2},
                       {"slices", Json::array()}};
  EXPECT_EQ(request_words(request, now),
            "queued (NoCapacity): every GPU is full, position 2 in the queue");
}

TEST(Words, ATeamComesOncePerPool) {
  const Json team{{"spec",
                   {{"quotas",
                     {{"h100", {{"guaranteed", "1"}, {"limit", "3.5"}}},
                      {"l40s", {{"limit", {{"compute", "2"}, {"memory", "4"}}}}}}}}},
                  {"status", {{"usage", {{"h100", {{"compute", "1.25"}, {"memory", "1"}}}}}}}};
  const auto rows = team_rows(team);
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(text_at(rows[0], "quota.pool"), "h100");
  EXPECT_EQ(text_at(rows[0], "quota.used"), "1.25");
  EXPECT_EQ(text_at(rows[0], "quota.borrowed"), "0.25");
  EXPECT_EQ(text_at(rows[0], "quota.limit"), "3.5");
  EXPECT_EQ(text_at(rows[1], "quota.limit"), "4");
  EXPECT_EQ(text_at(rows[1], "quota.used"), "0");
  EXPECT_EQ(team_rows(Json::object()).size(), 1U);
}

TEST(Words, ABarShowsTheMemoryToScale) {
  Json gpu{{"status",
            {{"axis", "memory-slices"},
             {"memory", "81152MiB"},
             {"memorySlices", 8},
             {"slices", Json::array({{{"start", 0}, {"size", 4}, {"phase", "in-use"}},
                                     {{"start", 4}, {"size", 1}, {"phase", "idle"}}})},
             {"free", Json::array({{{"start", 5}, {"size", 2}}})}}}};
  EXPECT_EQ(memory_bar(gpu), "####=../");
  gpu["status"] = {{"axis", "MiB"},
                   {"memory", "8000MiB"},
                   {"slices", Json::array({{{"start", 0}, {"size", 1}, {"phase", "in-use"}}})},
                   {"free", Json::array({{{"start", 1}, {"size", 7999}}})}};
  EXPECT_EQ(memory_bar(gpu), "#.......");
  EXPECT_EQ(memory_bar(Json::object()), "-");
}

TEST(Words, TextIsBrokenAtSpaces) {
  EXPECT_EQ(wrapped("one two three", 8, 2), "one two\n  three");
  EXPECT_EQ(wrapped("one two three", 0), "one two three");
  EXPECT_EQ(wrapped("unbreakable", 4), "unbreakable");
  EXPECT_EQ(wrapped("\033[32mone\033[0m two three", 8, 2), "\033[32mone\033[0m two\n  three");
}

TEST(Describe, LeavesOutWhatIsEmptyAndPutsTheStateFirst) {
  const auto text = description({{"kind", "Request"},
                                 {"metadata", {{"name", "req-1"}}},
                                 {"spec", {{"memory", "9537MiB"}, {"pool", ""}, {"sms", 0}}},
                                 {"status", {{"tier", "production"}, {"state", "queued"}}}},
                                at("2026-11-23T02:00:00Z"));
  EXPECT_EQ(text,
            "Request  req-1\n"
            "Memory   10GB\n"
            "State    queued\n"
            "Tier     production\n");
}

TEST(Explain, SaysWhenInWordsAndWhatIsInTheWay) {
  const Json why{
      {"fitsNow", false},
      {"reason", "NoCapacity"},
      {"message", "every GPU is full"},
      {"position", 2},
      {"eta", "2026-11-23T04:00:00Z"},
      {"blockers", Json::array({{{"profile", "whole"}, {"reason", "Full"}, {"detail", "2 GPUs"}}})},
      {"alternatives", Json::array({{{"after", "lease-6"}, {"at", "2026-11-23T04:00:00Z"}}})}};
  EXPECT_EQ(explanation(why, at("2026-11-23T02:00:00Z"), 0),
            "DOES NOT FIT NOW  NoCapacity: every GPU is full\n"
            "  position 2 in the queue\n"
            "  expected 04:00 UTC (in 2h), going by declared ends only\n"
            "\nIn the way:\n"
            "  whole (Full): 2 GPUs\n"
            "\nWhat would fit:\n"
            "  fits when lease-6 ends, 04:00 UTC (in 2h), going by declared ends only\n");
}

}  // namespace
}  // namespace tessera::app
