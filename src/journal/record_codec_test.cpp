#include <algorithm>
#include <variant>

#include <gtest/gtest.h>

#include "base/random.h"
#include "journal/codec.h"
#include "journal/sample_records.h"

namespace tessera::journal {
namespace {

constexpr std::size_t kKinds = std::variant_size_v<control::Event>;

TEST(RecordCodec, EveryKindOfEventComesBackAsItWas) {
  base::SeededRandom random(11);
  for (std::size_t kind = 0; kind < kKinds; ++kind) {
    for (int round = 0; round < 50; ++round) {
      control::Record record = sample_record(7, random);
      record.events = {sample_event(kind, random)};
      const std::string bytes = encode(record);
      const auto back = decode_record(bytes);
      ASSERT_TRUE(back.has_value()) << kind << ": " << base::to_string(back.error());
      EXPECT_EQ(back->events.front().index(), kind);
      EXPECT_EQ(encode(*back), bytes) << kind;
    }
  }
}

TEST(RecordCodec, FieldsSurvive) {
  control::Record record{
      3, base::Instant(base::Duration(1'700'000'000'123)), {"ada", {}, "ml"}, {}};
  request::Lease lease;
  lease.id = request::LeaseId(9);
  lease.slices.push_back({fleet::GpuIndex(4), 12, fleet::MigSlice{5}});
  lease.end_reason = base::Reason::kExpired;
  record.events.push_back(control::LeaseGranted{lease, {{fleet::GpuIndex(4), 11}}});
  const auto back = decode_record(encode(record));
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(back->at, record.at);
  EXPECT_EQ(back->actor.subject, "ml");
  const auto& granted = std::get<control::LeaseGranted>(back->events.front());
  EXPECT_EQ(granted.lease.slices.front().shape, fleet::SliceShape(fleet::MigSlice{5}));
  EXPECT_EQ(granted.lease.end_reason, base::Reason::kExpired);
  EXPECT_EQ(granted.retired.front().generation, 11U);
}

TEST(RecordCodec, EveryTruncationIsAnError) {
  base::SeededRandom random(12);
  for (int round = 0; round < 50; ++round) {
    const std::string bytes = encode(sample_record(1, random));
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_FALSE(decode_record(std::string_view(bytes).substr(0, size)).has_value());
    }
  }
}

// Sanitizers and the test's memory limit judge this one: it must merely return.
TEST(RecordCodec, MutatedAndRandomBytesNeverHarm) {
  base::SeededRandom random(13);
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes = encode(sample_record(1, random));
    for (auto left = 1 + random.below(6); left > 0; --left) {
      bytes[random.below(bytes.size())] = static_cast<char>(random.next());
    }
    const auto record = decode_record(bytes);
    EXPECT_TRUE(!record || !encode(*record).empty());
  }
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes(random.below(80), '\0');
    for (char& byte : bytes) byte = static_cast<char>(random.next() >> random.below(64));
    (void)decode_record(bytes);
  }
}

TEST(RecordCodec, AnEventOfANewerProgramIsRefused) {
  // Two events of the same shape differ where their kind is written.
  std::string bytes = encode({1, {}, {}, {control::TierDeleted{""}}});
  const std::string other = encode({1, {}, {}, {control::TeamDeleted{""}}});
  const auto differs = std::ranges::mismatch(bytes, other).in1;
  ASSERT_NE(differs, bytes.end());
  *differs = static_cast<char>(kKinds);
  const auto newer = decode_record(bytes);
  ASSERT_FALSE(newer.has_value());
  EXPECT_EQ(newer.error().what, "an alternative this program does not know");
}

TEST(Checksum, IsTheCommonCrc32) {
  EXPECT_EQ(checksum("123456789"), 0xCBF43926U);
}

}  // namespace
}  // namespace tessera::journal
