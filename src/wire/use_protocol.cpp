#include "wire/use_protocol.h"

#include <limits>

#include "wire/decoder.h"

namespace tessera::wire {
namespace {

using namespace fleet;
using enum Presence;

constexpr std::int64_t kLargestSerial = std::numeric_limits<std::int64_t>::max();
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

/// Calls `read(fields, position)` for each item of a list of maps.
template <class Read>
void each_item(Fields& parent, std::string_view key, Read read) {
  Decoder& decoder = parent.decoder();
  const Value* list = parent.take(key, kRequired);
  if (list == nullptr || !decoder.expect(*list, parent.path_of(key), ValueKind::kList)) return;
  for (std::size_t i = 0; i < list->items.size() && decoder.ok(); ++i) {
    Fields fields(list->items[i], item_path(parent.path_of(key), i), decoder);
    read(fields);
    fields.finish();
  }
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
  each_item(fields, "leases", [&](Fields& item) {
    auto each = read_lease_use(item);
    if (!batch.leases.empty() && item.decoder().ok() && batch.leases.back().lease >= each.lease)
      item.decoder().refuse(item.line(), item.path_of("lease"), "leases must rise",
                            "sum up what one batch has of a lease");
    batch.leases.push_back(each);
  });
  return batch;
}

template <class T, class Read>
base::Result<T> decode(std::string_view json, Limits limits, Read read) {
  const auto value = parse_json(json, {}, limits);
  if (!value) return std::unexpected(value.error());
  Decoder decoder{std::string()};
  Fields fields(*value, {}, decoder);
  T message;
  read(fields, message);
  fields.finish();
  if (!decoder.ok()) return decoder.error();
  return message;
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
  return decode<UseReport>(json, limits, [](Fields& fields, UseReport& report) {
    fields.name("node", report.node, kRequired);
    fields.name("stream", report.stream, kRequired);
    each_item(fields, "batches", [&](Fields& item) {
      const auto* before = report.batches.empty() ? nullptr : &report.batches.back();
      report.batches.push_back(read_batch(item, before));
    });
  });
}

base::Result<UseReceipt> decode_use_receipt(std::string_view json, Limits limits) {
  return decode<UseReceipt>(json, limits, [](Fields& fields, UseReceipt& receipt) {
    fields.name("stream", receipt.stream, kRequired);
    fields.whole("sequence", 0, kLargestSerial, receipt.sequence, kRequired);
  });
}

}  // namespace tessera::wire
