#include "agent/brokered_shares.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "guard/gpu_key.h"

namespace tessera::agent {
namespace {

using base::MiB;
using fleet::LeaseId;

constexpr std::uint64_t kBytesOfMiB = 1 << 20;

std::string name_of(LeaseId lease) {
  return "lease-" + std::to_string(lease.value());
}

/// 0: that is no UUID of a GPU.
std::uint64_t key_of(const std::string& uuid) {
  guard::cuda::Uuid parsed{};
  return guard::parse_uuid(uuid.c_str(), parsed) ? guard::key_of_uuid(parsed) : 0;
}

std::uint64_t bytes_left(MiB memory, MiB outside) {
  return static_cast<std::uint64_t>(std::max(memory - outside, MiB(0)).count()) * kBytesOfMiB;
}

base::Result<void> make_folder(const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error)
    return base::fail(base::Reason::kUnavailable, "cannot make it: " + error.message(), folder,
                      "name a folder for shares that can be written to");
  return {};
}

}  // namespace

std::string BrokeredShares::socket_of(const std::string& folder, LeaseId lease) {
  return folder + "/" + name_of(lease);
}

std::map<LeaseId, BrokeredShares::Tenant> BrokeredShares::wanted(
    const std::vector<GuardedShare>& shares) const {
  std::map<LeaseId, Tenant> tenants;
  for (const auto& share : shares) {
    auto& tenant = tenants[share.lease];
    auto& gpu = tenant.gpus[share.gpu];
    // Two shares of one GPU are one account: the processes are the same, the memory adds up.
    const bool again = gpu.memory != MiB(0);
    gpu.memory += share.memory;
    tenant.weight = std::max({tenant.weight, 1U,
                              static_cast<std::uint32_t>(
                                  std::clamp<std::int64_t>(share.compute.count(), 1, 1'000'000))});
    if (again) continue;
    for (const auto& process : share.processes)
      if (!broker_.knows(name_of(share.lease), process.pid)) gpu.outside += process.memory;
  }
  return tenants;
}

base::Result<void> BrokeredShares::add(LeaseId lease, const Tenant& tenant) {
  if (auto made = make_folder(folder_); !made) return made;
  device::sharing::Tenant asked{.socket = socket_of(folder_, lease),
                                .terms = {.weight = tenant.weight}};
  for (const auto& [uuid, gpu] : tenant.gpus) {
    const auto key = key_of(uuid);
    if (key == 0)
      return base::fail(base::Reason::kUnavailable, "that is no UUID of a GPU", uuid,
                        "see what the driver calls it");
    asked.gpus.push_back({key, bytes_left(gpu.memory, gpu.outside)});
  }
  return broker_.add(name_of(lease), asked);
}

void BrokeredShares::change(LeaseId lease, Tenant& had, const Tenant& wants) {
  if (had.weight != wants.weight) broker_.change(name_of(lease), {.weight = wants.weight});
  for (const auto& [uuid, gpu] : wants.gpus)
    if (had.gpus.at(uuid) != gpu)
      broker_.limit_memory(name_of(lease), key_of(uuid), bytes_left(gpu.memory, gpu.outside));
  had = wants;
}

std::map<LeaseId, std::string> BrokeredShares::keep(const std::vector<GuardedShare>& shares) {
  auto wants = wanted(shares);
  std::map<LeaseId, std::string> trouble;
  const std::scoped_lock lock(mutex_);
  // A lease that is on other GPUs now begins anew: its programs there are others.
  std::erase_if(kept_, [&](const auto& entry) {
    const auto found = wants.find(entry.first);
    const bool stays = found != wants.end() && std::ranges::equal(
                                                   entry.second.gpus, found->second.gpus, {},
                                                   [](const auto& gpu) { return gpu.first; },
                                                   [](const auto& gpu) { return gpu.first; });
    if (!stays) broker_.remove(name_of(entry.first));
    return !stays;
  });
  for (auto& [lease, tenant] : wants) {
    if (const auto found = kept_.find(lease); found != kept_.end()) {
      change(lease, found->second, tenant);
    } else if (const auto added = add(lease, tenant); added) {
      kept_.emplace(lease, std::move(tenant));
    } else {
      trouble[lease] = "the guard cannot hold it to its share: " + base::to_string(added.error());
    }
  }
  return trouble;
}

std::vector<BrokeredShares::ShareUse> BrokeredShares::use() const {
  const std::scoped_lock lock(mutex_);
  std::vector<ShareUse> uses;
  for (const auto& [lease, tenant] : kept_)
    for (const auto& [uuid, gpu] : tenant.gpus)
      if (const auto use = broker_.use_of(name_of(lease), key_of(uuid)))
        uses.push_back({lease, uuid, gpu.memory, gpu.outside, *use});
  return uses;
}

}  // namespace tessera::agent
