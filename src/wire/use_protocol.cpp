#include "wire/use_protocol.h"

#include "wire/message.h"

namespace tessera::wire {
namespace {

using namespace fleet;
using enum Presence;

/// Of any sum in one batch: a node of 64 GPUs for a hundred years.
constexpr std::int64_t kMostOfABatch = 1'000'000'000'000'000'000;

Json encode(const LeaseUse& each) {
  return {{"lease", each.lease.value()},
          {"busyMicroseconds", each.use.busy.count()},
          {"memoryMibMilliseconds", each.use.memory.count()},
          {"energyMicrojoules", each.use.energy.count()},
          {"measuredMilliseconds", each.use.measured.count()}};
}

Json encode(const UseBatch& batch) {
  Json leases = Json::array();
  for (const auto& each : batch.leases) leases.push_back(encode(each));
  return {{"sequence", batch.sequence}, {"leases", std::move(leases)}};
}

template <class T>
void read_sum(Fields& fields, std::string_view key, T& out) {
  std::int64_t count = 0;
  fields.whole(key, 0, kMostOfABatch, count, kRequired);
  out = T(count);
}

LeaseUse read_lease_use(Fields& fields) {
  LeaseUse each;
  std::uint64_t lease = 0;
  fields.whole("lease", 1, kLargestSerial, lease, kRequired);
  each.lease = LeaseId(lease);
  read_sum(fields, "busyMicroseconds", each.use.busy);
  read_sum(fields, "memoryMibMilliseconds", each.use.memory);
  read_sum(fields, "energyMicrojoules", each.use.energy);
  read_sum(fields, "measuredMilliseconds", each.use.measured);
  return each;
}

UseBatch read_batch(Fields& fields, const UseBatch* before) {
  UseBatch batch;
  fields.whole("sequence", 1, kLargestSerial, batch.sequence, kRequired);
  if (before != nullptr && fields.decoder().ok() && batch.sequence != before->sequence + 1)
    fields.decoder().refuse(fields.line(), fields.path_of("sequence"),
                            "batches must follow one another", "send them without gaps, in order");
  for_each_item(fields, "leases", [&](Fields& item) {
    auto each = read_lease_use(item);
    if (!batch.leases.empty() && item.decoder().ok() && batch.leases.back().lease >= each.lease)
      item.decoder().refuse(item.line(), item.path_of("lease"), "leases must rise",
                            "sum up what one batch has of a lease");
    batch.leases.push_back(each);
  });
  return batch;
}

}  // namespace

Json encode(const UseReport& report) {
  Json batches = Json::array();
  for (const auto& batch : report.batches) batches.push_back(encode(batch));
  return {{"node", report.node}, {"stream", report.stream}, {"batches", std::move(batches)}};
}

Json encode(const UseReceipt& receipt) {
  return {{"stream", receipt.stream}, {"sequence", receipt.sequence}};
}

base::Result<UseReport> decode_use_report(std::string_view json, Limits limits) {
  return decode_message<UseReport>(json, limits, [](Fields& fields, UseReport& report) {
    fields.name("node", report.node, kRequired);
    fields.name("stream", report.stream, kRequired);
    for_each_item(fields, "batches", [&](Fields& item) {
      const auto* before = report.batches.empty() ? nullptr : &report.batches.back();
      report.batches.push_back(read_batch(item, before));
    });
  });
}

base::Result<UseReceipt> decode_use_receipt(std::string_view json, Limits limits) {
  return decode_message<UseReceipt>(json, limits, [](Fields& fields, UseReceipt& receipt) {
    fields.name("stream", receipt.stream, kRequired);
    fields.whole("sequence", 0, kLargestSerial, receipt.sequence, kRequired);
  });
}

}  // namespace tessera::wire
