#include "wire/agent_protocol.h"

#include "wire/message.h"

namespace tessera::wire {
namespace {

using namespace fleet;
using catalog::Technology;
using enum Presence;

constexpr std::int64_t kLargest = base::MiB::kLargest;

/// Devices say what they like; what they say must not make the report unreadable.
std::string printable(std::string_view text) {
  std::string cleaned(text.substr(0, 1024));
  while (const auto at = first_control(cleaned)) cleaned[*at] = ' ';
  while (const auto at = first_not_utf8(cleaned)) cleaned[*at] = '?';
  return cleaned;
}

struct EncodeShape {
  Json operator()(const ShareSlice& share) const {
    Json shape = {{"memory", base::to_string(share.memory)},
                  {"compute", share.compute.count()},
                  {"oversubscription", share.oversubscription},
                  {"maxTenants", share.tenants},
                  {"isolation", to_string(share.isolation)}};
    // Not told where it is not so: agents that were built before it was known keep all other
    // shares.
    if (share.latency_critical) shape["latencyCritical"] = true;
    return shape;
  }
  Json operator()(const VgpuSlice& slice) const { return {{"type", slice.type}}; }
  Json operator()(const MigSlice& slice) const { return {{"instance", slice.instance}}; }
  Json operator()(const WholeSlice&) const { return Json::object(); }
};

Json encode(const TargetSlice& slice) {
  Json shape = std::visit(EncodeShape{}, slice.shape);
  shape["technology"] = to_string(technology_of(slice.shape));
  return {{"generation", slice.generation},
          {"phase", to_string(slice.phase)},
          {"lease", slice.holder.value()},
          {"shape", std::move(shape)}};
}

Json encode(const SliceReport& slice) {
  return {{"generation", slice.generation},
          {"status", to_string(slice.status)},
          {"device", printable(slice.device)},
          {"detail", printable(slice.detail)}};
}

template <class T>
Json encode_all(const std::vector<T>& values);

Json encode(const GpuTarget& gpu) {
  return {{"number", gpu.number},
          {"uuid", gpu.uuid},
          {"mig", gpu.mig},
          {"slices", encode_all(gpu.slices)}};
}

Json encode(const GpuReport& gpu) {
  return {{"number", gpu.number},
          {"uuid", printable(gpu.uuid)},
          {"pciId", gpu.pci_id},
          {"health", to_string(gpu.health)},
          {"detail", printable(gpu.detail)},
          {"slices", encode_all(gpu.slices)}};
}

template <class T>
Json encode_all(const std::vector<T>& values) {
  Json list = Json::array();
  for (const T& value : values) list.push_back(encode(value));
  return list;
}

template <class T, class Read>
void read_list(Fields& parent, std::string_view key, std::vector<T>& out, Read read) {
  for_each_item(parent, key, [&](Fields& fields) { out.push_back(read(fields)); });
}

void read_flag(Fields& fields, std::string_view key, bool& out) {
  if (const Value* value = fields.take(key, kRequired))
    fields.decoder().flag(*value, fields.path_of(key), out);
}

SliceShape read_share(Fields& fields) {
  ShareSlice share;
  std::int64_t compute = 0;
  fields.memory("memory", share.memory, kRequired);
  fields.whole("compute", 0, kLargest, compute, kRequired);
  fields.whole("oversubscription", 1, 64, share.oversubscription, kRequired);
  fields.whole("maxTenants", 1, fleet::kMostTenants, share.tenants, kRequired);
  fields.choice("isolation", {catalog::Isolation::kShared, catalog::Isolation::kLimited},
                share.isolation, kRequired);
  if (const Value* critical = fields.take("latencyCritical"))
    fields.decoder().flag(*critical, fields.path_of("latencyCritical"), share.latency_critical);
  share.compute = base::MilliShare(compute);
  return share;
}

SliceShape read_shape(Fields& slice) {
  const Value* value = slice.take("shape", kRequired);
  if (value == nullptr) return WholeSlice{};
  Fields fields(*value, slice.path_of("shape"), slice.decoder());
  SliceShape shape = WholeSlice{};
  Technology technology = Technology::kWhole;
  fields.choice("technology",
                {Technology::kTimeSlicing, Technology::kVgpu, Technology::kMig, Technology::kWhole},
                technology, kRequired);
  switch (technology) {
    case Technology::kTimeSlicing:
      shape = read_share(fields);
      break;
    case Technology::kVgpu:
      fields.whole("type", 0, 0xFFFF, shape.emplace<VgpuSlice>().type, kRequired);
      break;
    case Technology::kMig:
      fields.whole("instance", 0, 63, shape.emplace<MigSlice>().instance, kRequired);
      break;
    case Technology::kWhole:
      break;
  }
  fields.finish();
  return shape;
}

TargetSlice read_target_slice(Fields& fields) {
  TargetSlice slice;
  std::uint64_t lease = 0;
  fields.whole("generation", 0, kLargestSerial, slice.generation, kRequired);
  fields.choice("phase",
                {SlicePhase::kIdle, SlicePhase::kPreparing, SlicePhase::kInUse,
                 SlicePhase::kScrubbing, SlicePhase::kFailed},
                slice.phase, kRequired);
  fields.whole("lease", 0, kLargestSerial, lease, kRequired);
  slice.holder = LeaseId(lease);
  slice.shape = read_shape(fields);
  return slice;
}

GpuTarget read_gpu_target(Fields& fields) {
  GpuTarget gpu;
  fields.whole("number", 0, 0xFFFF, gpu.number, kRequired);
  fields.text("uuid", gpu.uuid, kRequired);
  read_flag(fields, "mig", gpu.mig);
  read_list(fields, "slices", gpu.slices, read_target_slice);
  return gpu;
}

SliceReport read_slice_report(Fields& fields) {
  SliceReport slice;
  fields.whole("generation", 0, kLargestSerial, slice.generation, kRequired);
  fields.choice(
      "status",
      {SliceStatus::kPending, SliceStatus::kReady, SliceStatus::kClean, SliceStatus::kFailed},
      slice.status, kRequired);
  fields.text("device", slice.device);
  fields.text("detail", slice.detail);
  return slice;
}

GpuReport read_gpu_report(Fields& fields) {
  GpuReport gpu;
  fields.whole("number", 0, 0xFFFF, gpu.number, kRequired);
  fields.text("uuid", gpu.uuid, kRequired);
  fields.whole("pciId", 0, 0xFFFFFFFF, gpu.pci_id, kRequired);
  fields.choice("health", {Health::kHealthy, Health::kQuarantined}, gpu.health, kRequired);
  fields.text("detail", gpu.detail);
  read_list(fields, "slices", gpu.slices, read_slice_report);
  return gpu;
}

}  // namespace

Json encode(const NodeReport& report) {
  return {{"node", report.node},
          {"boot", printable(report.boot)},
          {"session", report.session},
          {"sequence", report.sequence},
          {"targetIncarnation", report.target_incarnation},
          {"targetRevision", report.target_revision},
          {"highestLease", report.highest_lease.value()},
          {"heardProcess", report.heard_process},
          {"gpus", encode_all(report.gpus)}};
}

Json encode(const NodeTarget& target) {
  return {{"node", target.node},
          {"incarnation", target.incarnation},
          {"revision", target.revision},
          {"process", target.process},
          {"gpus", encode_all(target.gpus)}};
}

base::Result<NodeReport> decode_report(std::string_view json, Limits limits) {
  return decode_message<NodeReport>(json, limits, [](Fields& fields, NodeReport& report) {
    fields.name("node", report.node, kRequired);
    fields.text("boot", report.boot, kRequired);
    fields.whole("session", 0, kLargestSerial, report.session, kRequired);
    fields.whole("sequence", 0, kLargestSerial, report.sequence, kRequired);
    fields.whole("targetIncarnation", 0, kLargestSerial, report.target_incarnation, kRequired);
    fields.whole("targetRevision", 0, kLargestSerial, report.target_revision, kRequired);
    std::uint64_t highest_lease = 0;
    fields.whole("highestLease", 0, kLargestSerial, highest_lease, kRequired);
    report.highest_lease = LeaseId(highest_lease);
    fields.whole("heardProcess", 0, kLargestSerial, report.heard_process, kRequired);
    read_list(fields, "gpus", report.gpus, read_gpu_report);
  });
}

base::Result<NodeTarget> decode_target(std::string_view json, Limits limits) {
  return decode_message<NodeTarget>(json, limits, [](Fields& fields, NodeTarget& target) {
    fields.name("node", target.node, kRequired);
    fields.whole("incarnation", 0, kLargestSerial, target.incarnation, kRequired);
    fields.whole("revision", 0, kLargestSerial, target.revision, kRequired);
    fields.whole("process", 0, kLargestSerial, target.process, kRequired);
    read_list(fields, "gpus", target.gpus, read_gpu_target);
  });
}

}  // namespace tessera::wire
