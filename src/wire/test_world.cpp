#include "wire/test_world.h"

#include <fstream>
#include <sstream>

namespace tessera::wire {
namespace {

/// What an agent reports that has done all it was told.
fleet::NodeReport obedient(const fleet::NodeTarget& target, std::uint32_t pci_id,
                           std::uint64_t sequence) {
  using fleet::SlicePhase;
  using fleet::SliceStatus;
  fleet::NodeReport report;
  report.node = target.node;
  report.boot = "boot-1";
  report.sequence = sequence;
  report.target_revision = target.revision;
  report.heard_process = target.process;
  for (const auto& gpu : target.gpus) {
    fleet::GpuReport done;
    done.number = gpu.number;
    done.uuid = "GPU-" + target.node + "-" + std::to_string(gpu.number);
    done.pci_id = pci_id;
    for (const auto& slice : gpu.slices) {
      const bool clean = slice.phase == SlicePhase::kScrubbing;
      done.slices.push_back({slice.generation,
                             clean ? SliceStatus::kClean : SliceStatus::kReady,
                             "DEV-" + std::to_string(slice.generation),
                             {}});
    }
    report.gpus.push_back(std::move(done));
  }
  return report;
}

}  // namespace

std::string example_text(const std::string& name) {
  const std::string path = std::string(TESSERA_EXAMPLES) + "/" + name;
  std::ifstream file(path);
  EXPECT_TRUE(file) << path;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

TestWorld::TestWorld(const std::string& documents)
    : state_(std::make_shared<const catalog::Catalog>(catalog::Catalog::built_in())) {
  auto decoded = decode_documents(documents, "test.yaml", state_.catalog());
  EXPECT_TRUE(decoded) << to_string(decoded.error());
  if (!decoded) return;
  for (Document& document : *decoded) {
    const auto done = run(command_of(std::move(document.object)));
    EXPECT_TRUE(done) << document.where << ": " << to_string(done.error());
  }
  report_all();
}

base::Result<control::Record> TestWorld::run(const control::Command& command) {
  return run_as({.name = "admin", .role = tenancy::Role::kAdmin, .subject = {}}, command);
}

base::Result<control::Record> TestWorld::run_as(const tenancy::Actor& actor,
                                                const control::Command& command) {
  auto record = control::step(state_, command, actor, now_);
  if (record && !record->events.empty()) records_.push_back(*record);
  return record;
}

request::RequestId TestWorld::ask(const std::string& spec) {
  auto submit = decode_request(R"({"spec":)" + spec + "}", state_.catalog());
  EXPECT_TRUE(submit) << to_string(submit.error());
  const auto id = state_.next_request();
  const auto done = run(*submit);
  EXPECT_TRUE(done) << to_string(done.error());
  return id;
}

void TestWorld::report_all() {
  for (std::size_t i = 0; i < state_.fleet().nodes().size(); ++i) {
    const fleet::NodeIndex node(i);
    if (state_.fleet().node(node).name.empty()) continue;
    const auto& pool = state_.fleet().pool(state_.fleet().node(node).pool);
    const auto pci_id = state_.catalog().model(pool.model).pci_ids.front();
    const auto target = control::target_of(state_, node);
    const tenancy::Actor agent{
        .name = "agent", .role = tenancy::Role::kAgent, .subject = target.node};
    const auto done = run_as(agent, control::Report{obedient(target, pci_id, ++sequence_)});
    EXPECT_TRUE(done) << to_string(done.error());
  }
}

}  // namespace tessera::wire
