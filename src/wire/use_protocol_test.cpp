#include "wire/use_protocol.h"

#include <gtest/gtest.h>

namespace tessera::wire {
namespace {

using namespace std::chrono_literals;

fleet::UseReport report() {
  const fleet::Use use{fleet::BusyTime(1'500'000), fleet::MemoryTime(9'000'000),
                       fleet::Energy(70'000'000), 60s};
  return {"node-1", "a1b2", {{7, {{fleet::LeaseId(3), use}, {fleet::LeaseId(4), {}}}}, {8, {}}}};
}

std::string with(const char* pointer, const Json& value) {
  auto json = encode(report());
  json[Json::json_pointer(pointer)] = value;
  return json.dump();
}

TEST(UseProtocol, ReadsWhatItWrites) {
  const auto read = decode_use_report(encode(report()).dump());
  ASSERT_TRUE(read) << base::to_string(read.error());
  EXPECT_EQ(read->node, "node-1");
  EXPECT_EQ(read->stream, "a1b2");
  EXPECT_EQ(read->batches, report().batches);
  const auto receipt = decode_use_receipt(encode(fleet::UseReceipt{"a1b2", 8}).dump());
  ASSERT_TRUE(receipt);
  EXPECT_EQ(receipt->stream, "a1b2");
  EXPECT_EQ(receipt->sequence, 8U);
}

TEST(UseProtocol, RefusesWhatWouldCountWrongly) {
  EXPECT_FALSE(decode_use_report(with("/batches/1/sequence", 9))) << "a gap";
  EXPECT_FALSE(decode_use_report(with("/batches/1/sequence", 7))) << "doubled";
  EXPECT_FALSE(decode_use_report(with("/batches/0/sequence", 0))) << "0 is none";
  EXPECT_FALSE(decode_use_report(with("/batches/0/leases/1/lease", 3))) << "a lease twice";
  EXPECT_FALSE(decode_use_report(with("/batches/0/leases/0/busyMicroseconds", -1)));
  EXPECT_FALSE(decode_use_report(with("/batches/0/leases/0/busyMicroseconds", 2e18)));
  EXPECT_FALSE(decode_use_report(with("/batches/0/leases/0/busySeconds", 1))) << "unknown field";
  EXPECT_FALSE(decode_use_report(with("/stream", ""))) << "no name";
}

}  // namespace
}  // namespace tessera::wire
