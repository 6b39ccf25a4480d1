#include "app/nvml_node.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <map>
#include <system_error>
#include <unistd.h>

#include <fmt/core.h>

#include "tenancy/tier.h"

namespace tessera::app {
namespace {

using base::fail;
using base::Reason;
using catalog::Technology;

constexpr const char* kFound = "this machine";  // where the declared documents come from

/// Lower-case letters, digits and "-", as names are written.
std::string as_name(std::string text) {
  for (char& letter : text) {
    letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
    if (std::isalnum(static_cast<unsigned char>(letter)) == 0) letter = '-';
  }
  return text;
}

template <class Kind>
std::vector<const Kind*> all_of(const std::vector<wire::Document>& documents) {
  std::vector<const Kind*> found;
  for (const auto& document : documents)
    if (const auto* object = std::get_if<Kind>(&document.object)) found.push_back(object);
  return found;
}

std::vector<std::string> tier_names(const control::State& state,
                                    const std::vector<wire::Document>& documents) {
  std::vector<std::string> names;
  for (const auto& [name, tier] : state.tiers()) names.push_back(name);
  for (const auto* tier : all_of<tenancy::Tier>(documents))
    if (std::ranges::find(names, tier->name) == names.end()) names.push_back(tier->name);
  if (names.empty())
    for (const auto& tier : tenancy::default_tiers()) names.push_back(tier.name);
  return names;
}

/// A pool of that model that is declared already; empty where there is none.
std::string pool_of(catalog::ModelIndex model, const control::State& state,
                    const std::vector<wire::Document>& documents) {
  for (const auto* pool : all_of<fleet::Pool>(documents))
    if (pool->model == model) return pool->name;
  for (const auto& pool : state.fleet().pools())
    if (!pool.name.empty() && pool.model == model) return pool.name;
  return {};
}

std::optional<catalog::ModelIndex> most_frequent(const std::vector<device::GpuState>& gpus,
                                                 const catalog::Catalog& catalog) {
  std::map<std::uint32_t, int> counts;
  for (const auto& gpu : gpus)
    if (catalog.find_pci(gpu.pci_id)) ++counts[gpu.pci_id];
  const auto most =
      std::ranges::max_element(counts, {}, [](const auto& each) { return each.second; });
  return most == counts.end() ? std::nullopt : catalog.find_pci(most->first);
}

}  // namespace

std::string host_name() {
  char name[256] = {};
  if (gethostname(name, sizeof(name) - 1) != 0) return "this-machine";
  const auto text = as_name(std::string(name).substr(0, std::string(name).find('.')));
  return wire::valid_name(text) ? text : "this-machine";
}

NvmlNode::NvmlNode(std::shared_ptr<const catalog::Catalog> catalog)
    : catalog_(std::move(catalog)), name_(host_name()) {}

base::Result<std::unique_ptr<NvmlNode>> NvmlNode::open(
    const NvmlChoice& choice, std::shared_ptr<const catalog::Catalog> catalog) {
  std::error_code error;
  std::filesystem::create_directories(choice.data, error);
  if (error)
    return fail(Reason::kUnavailable, "cannot make the data folder: " + error.message(),
                choice.data, "choose another with --data");
  std::unique_ptr<NvmlNode> node(new NvmlNode(std::move(catalog)));
  if (!choice.node.empty()) node->name_ = choice.node;
  auto limits = std::make_shared<device::nvml::MemoryLimits>();
  auto keeper = make_share_keeper(choice.shares, node->name_, limits);
  if (!keeper) return std::unexpected(keeper.error());
  node->keeper_ = std::move(*keeper);
  // The driver's threads may still ask while this node goes: they hold on to the keeper.
  device::nvml::KnownTenant known;
  if (node->keeper_)
    known = [keeper = node->keeper_](std::uint32_t pid) { return keeper->lease_of(pid); };
  auto processes = std::make_shared<device::nvml::LinuxProcesses>(
      device::nvml::EndingPolicy{.strangers = choice.end_processes}, std::move(known));
  auto driver =
      device::nvml::NvmlDriver::open({.library = choice.library,
                                      .ledger = choice.data + "/nvml-instances",
                                      .adopt = choice.adopt,
                                      .limits = std::move(limits)},
                                     std::move(processes), std::make_shared<SteadyClock>());
  if (!driver) return std::unexpected(driver.error());
  node->driver_ = std::move(*driver);
  node->measured_ = {choice.data + "/use", choice.metrics, choice.use_every, choice.dcgm};
  node->found_ = node->driver_->observe().gpus;
  return node;
}

base::Result<std::vector<wire::Document>> NvmlNode::declare(
    const control::State& state, const std::vector<wire::Document>& documents) {
  const auto model = most_frequent(found_, *catalog_);
  if (!model)
    return fail(Reason::kUnknownObject,
                fmt::format("the catalog does not know this machine's GPU (PCI id 0x{:08X})",
                            found_.front().pci_id),
                "--nvml", "add it to data/gpu_models.json");
  std::vector<wire::Document> missing;
  auto pool = pool_of(*model, state, documents);
  if (pool.empty()) {
    pool = as_name(catalog_->model(*model).key);
    fleet::Pool made{.name = pool, .model = *model, .tiers = tier_names(state, documents)};
    if (catalog_->model(*model).mig_capable()) made.technologies.push_back(Technology::kMig);
    made.technologies.insert(made.technologies.end(),
                             {Technology::kTimeSlicing, Technology::kWhole});
    std::ranges::sort(made.technologies);
    missing.push_back({std::move(made), kFound});
  }
  // Numbers are the driver's: a GPU that does not answer today keeps its place.
  const int gpus = found_.back().number + 1;
  const auto known = state.fleet().find_node(name_);
  const auto had = known ? state.fleet().node(*known).gpus.size() : 0;
  if (static_cast<std::size_t>(gpus) > had) {
    if (known) pool = state.fleet().pool(state.fleet().node(*known).pool).name;
    missing.push_back({control::PutNode{.name = name_, .pool = pool, .gpus = gpus}, kFound});
  }
  if (state.teams().empty() && all_of<tenancy::Team>(documents).empty())
    missing.push_back({tenancy::Team{.name = "everyone"}, kFound});
  return missing;
}

base::Result<void> NvmlNode::start(const client::Context& context) {
  auto measuring = Measuring::start(
      catalog_, measured_, {name_, driver_->library().driver_version()}, context, clock_, keeper_);
  if (!measuring) return std::unexpected(measuring.error());
  measuring_ = std::move(*measuring);
  agent_ = std::make_unique<agent::Agent>(name_, *driver_, catalog_);
  agent_->measure(measuring_->meter());
  if (keeper_) agent_->hold_to_shares(*keeper_);
  transport_ = std::make_unique<client::AgentTransport>(context);
  runner_ = std::make_unique<agent::Runner>(*agent_, *transport_, clock_);
  return {};
}

std::string NvmlNode::summary() const {
  return fmt::format("{} GPU{}, driver {}", found_.size(), found_.size() == 1 ? "" : "s",
                     driver_->library().driver_version());
}

}  // namespace tessera::app
