#include "agent/brokered_shares.h"

#include <algorithm>
#include <charconv>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>
#include <system_error>
#include <unistd.h>

#include <sys/file.h>
#include <sys/stat.h>

#include "agent/trusted_folder.h"
#include "guard/gpu_key.h"
#include "guard/ledger.h"

namespace tessera::agent {
namespace {

using base::MiB;
using fleet::LeaseId;

constexpr std::uint64_t kBytesOfMiB = 1 << 20;

constexpr std::string_view kPrefix = "lease-";

std::string name_of(LeaseId lease) {
  return std::string(kPrefix) + std::to_string(lease.value());
}

/// Of a name that name_of() made; none of an empty one.
LeaseId lease_in(const std::string& name) {
  std::uint64_t number = 0;
  if (name.size() > kPrefix.size())
    std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), number);
  return LeaseId(number);
}

/// 0: that is no UUID of a GPU.
std::uint64_t key_of(const std::string& uuid) {
  guard::cuda::Uuid parsed{};
  return guard::parse_uuid(uuid.c_str(), parsed) ? guard::key_of_uuid(parsed) : 0;
}

std::uint64_t bytes_left(MiB memory, MiB outside) {
  return static_cast<std::uint64_t>(std::max(memory - outside, MiB(0)).count()) * kBytesOfMiB;
}

/// Lines of two numbers. What is no such line is left out.
std::vector<std::pair<std::uint64_t, std::uint64_t>> read_pairs(const std::string& file) {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> pairs;
  std::ifstream lines(file);
  for (std::string line; std::getline(lines, line);) {
    std::uint64_t first = 0, second = 0;
    if (std::istringstream(line) >> first >> second) pairs.emplace_back(first, second);
  }
  return pairs;
}

std::string line_of(LeaseId lease, std::uint64_t number) {
  return std::to_string(lease.value()) + " " + std::to_string(number) + "\n";
}

/// A line for each program: lease, identity. Who has ended is left out.
std::map<std::uint64_t, LeaseId> read_programs(const std::string& file) {
  std::map<std::uint64_t, LeaseId> programs;
  for (const auto& [lease, identity] : read_pairs(file))
    if (lease != 0 && identity != 0 && !guard::has_ended(identity))
      programs.emplace(identity, LeaseId(lease));
  return programs;
}

/// A line for each lease: its number, its user's.
std::map<LeaseId, uid_t> read_users(const std::string& file) {
  std::map<LeaseId, uid_t> users;
  for (const auto& [lease, user] : read_pairs(file))
    if (lease != 0 && user < std::numeric_limits<uid_t>::max())
      users.emplace(LeaseId(lease), static_cast<uid_t>(user));
  return users;
}

/// Others than its owner may look for sockets in it.
base::Result<void> make_folder(const std::filesystem::path& folder) {
  namespace fs = std::filesystem;
  for (const auto& each : {folder.parent_path(), folder}) {
    std::error_code error;
    if (fs::create_directories(each, error) && !error)
      fs::permissions(each,
                      fs::perms::owner_all | fs::perms::group_read | fs::perms::group_exec |
                          fs::perms::others_read | fs::perms::others_exec,
                      error);
    if (error)
      return base::fail(base::Reason::kUnavailable, "cannot make it: " + error.message(),
                        each.string(), "name a folder for shares that can be written to");
    if (auto safe = check_trusted(each); !safe) return safe;
  }
  return {};
}

}  // namespace

BrokeredShares::BrokeredShares(std::string folder, std::optional<gid_t> group,
                               std::shared_ptr<device::nvml::MemoryLimits> limits)
    : folder_(std::move(folder)), group_(group), limits_(std::move(limits)) {
  if (!check_trusted(folder_)) return;
  before_ = read_programs(folder_ + "/programs");
  users_ = read_users(folder_ + "/users");
}

/// The sockets first: whoever has the folder next may have one of the same name.
BrokeredShares::~BrokeredShares() {
  for (const auto& [lease, tenant] : kept_) broker_.remove(name_of(lease));
  if (lock_ >= 0) close(lock_);
}

/// Where it cannot be written nothing is lost while this agent runs.
void BrokeredShares::write(const std::string& name, std::string text,
                           std::string& remembered) const {
  if (text == remembered || lock_ < 0) return;
  const auto file = folder_ + "/" + name;
  // A disk that is full must not cost what was written before.
  std::ofstream fresh(file + ".new", std::ios::trunc);
  fresh << text;
  fresh.close();
  if (!fresh) return;
  std::error_code error;
  std::filesystem::rename(file + ".new", file, error);
  if (!error) remembered = std::move(text);
}

/// The driver counts what it takes itself too.
void BrokeredShares::tell_limits(const std::map<LeaseId, Tenant>& wants) const {
  if (!limits_) return;
  std::map<device::nvml::MemoryLimits::Share, device::nvml::MemoryLimit> limits;
  for (const auto& [lease, tenant] : wants)
    for (const auto& [uuid, gpu] : tenant.gpus)
      limits[{lease, uuid}] = {gpu.memory, gpu.memory + kContextAllowance};
  limits_->want(std::move(limits));
}

void BrokeredShares::remember_programs() {
  std::erase_if(before_, [](const auto& program) { return guard::has_ended(program.first); });
  std::string text;
  for (const auto& [identity, lease] : before_) text += line_of(lease, identity);
  for (const auto& [name, identities] : broker_.programs())
    for (const auto identity : identities)
      if (!before_.contains(identity)) text += line_of(lease_in(name), identity);
  write("programs", std::move(text), remembered_programs_);
}

void BrokeredShares::remember_users(const std::map<LeaseId, Tenant>& wants) {
  std::erase_if(users_, [&](const auto& user) { return !wants.contains(user.first); });
  for (const auto& [name, user] : broker_.users())
    if (wants.contains(lease_in(name))) users_[lease_in(name)] = user;
  std::string text;
  for (const auto& [lease, user] : users_) text += line_of(lease, user);
  write("users", std::move(text), remembered_users_);
}

std::string BrokeredShares::socket_of(const std::string& folder, LeaseId lease) {
  return folder + "/" + name_of(lease);
}

/// What its programs have of the GPU that is not in its account.
MiB BrokeredShares::outside_of(const GuardedShare& share) const {
  MiB outside{0};
  for (const auto& process : share.processes) {
    const auto charge = broker_.peak_charge(name_of(share.lease), process.pid, key_of(share.gpu));
    // The driver was asked a while ago: who has ended since has neither a row nor memory.
    if (!charge && guard::has_ended_by_number(process.pid)) continue;
    MiB allowed{0};
    if (charge) allowed = MiB(static_cast<std::int64_t>(*charge / kBytesOfMiB)) + kContextAllowance;
    outside += std::max(process.memory - allowed, MiB(0));
  }
  return outside;
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
    tenant.terms.weight = std::max(
        tenant.terms.weight,
        static_cast<std::uint32_t>(std::clamp<std::int64_t>(share.compute.count(), 1, 1'000'000)));
    tenant.terms.critical |= share.latency_critical;
    if (again) continue;
    gpu.outside += outside_of(share);
  }
  return tenants;
}

/// The lock goes with the process, however that ends.
base::Result<void> BrokeredShares::take_folder() {
  if (auto made = make_folder(folder_); !made || lock_ >= 0) return made;
  const auto file = folder_ + "/lock";
  lock_ = open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (lock_ >= 0 && flock(lock_, LOCK_EX | LOCK_NB) == 0) return {};
  const bool taken = lock_ >= 0;
  if (taken) close(lock_);
  lock_ = -1;
  return base::fail(base::Reason::kUnavailable,
                    taken ? "another agent keeps shares in this folder" : "cannot make it", file,
                    "stop that agent, or name another folder with --shares");
}

base::Result<void> BrokeredShares::add(LeaseId lease, const Tenant& tenant) {
  if (auto taken = take_folder(); !taken) return taken;
  device::sharing::Tenant asked{
      .socket = socket_of(folder_, lease), .group = group_, .terms = tenant.terms};
  if (const auto user = users_.find(lease); user != users_.end()) asked.user = user->second;
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
  if (had.terms != wants.terms) broker_.change(name_of(lease), wants.terms);
  for (const auto& [uuid, gpu] : wants.gpus)
    if (had.gpus.at(uuid) != gpu)
      broker_.limit_memory(name_of(lease), key_of(uuid), bytes_left(gpu.memory, gpu.outside));
  had = wants;
}

/// A lease that is on other GPUs now begins anew. Its programs have what they were given, and come
/// to no account any more. True where there is one less.
bool BrokeredShares::drop_unwanted(const std::map<LeaseId, Tenant>& wants) {
  const auto programs = broker_.programs();
  const auto dropped = std::erase_if(kept_, [&](const auto& entry) {
    const auto& [lease, tenant] = entry;
    const auto found = wants.find(lease);
    const auto uuid = [](const auto& gpu) { return gpu.first; };
    if (found != wants.end() && std::ranges::equal(tenant.gpus, found->second.gpus, {}, uuid, uuid))
      return false;
    const auto its = programs.find(name_of(lease));
    if (found != wants.end() && its != programs.end())
      for (const auto identity : its->second) before_.emplace(identity, lease);
    broker_.remove(name_of(lease));
    return true;
  });
  return dropped > 0;
}

std::map<LeaseId, std::string> BrokeredShares::keep(const std::vector<GuardedShare>& shares) {
  auto wants = wanted(shares);
  std::map<LeaseId, std::string> trouble;
  const std::scoped_lock lock(mutex_);
  tell_limits(wants);
  remember_users(wants);
  if (drop_unwanted(wants)) wants = wanted(shares);
  for (auto& [lease, tenant] : wants) {
    if (const auto found = kept_.find(lease); found != kept_.end()) {
      change(lease, found->second, tenant);
    } else if (const auto added = add(lease, tenant); added) {
      kept_.emplace(lease, std::move(tenant));
    } else {
      trouble[lease] = "the guard cannot hold it to its share: " + base::to_string(added.error());
    }
  }
  remember_programs();
  return trouble;
}

std::vector<ShareUse> BrokeredShares::use() const {
  const std::scoped_lock lock(mutex_);
  std::vector<ShareUse> uses;
  for (const auto& [lease, tenant] : kept_)
    for (const auto& [uuid, gpu] : tenant.gpus) {
      const auto use = broker_.use_of(name_of(lease), key_of(uuid));
      if (!use) continue;
      const auto by_driver = limits_ ? limits_->held({lease, uuid}) : std::nullopt;
      uses.push_back({.lease = lease,
                      .gpu = uuid,
                      .limit = gpu.memory,
                      .charged = MiB(static_cast<std::int64_t>(use->memory_bytes / kBytesOfMiB)),
                      .outside = gpu.outside,
                      .by_driver = by_driver ? by_driver->most : MiB(0),
                      .programs = use->programs,
                      .overruns = use->violations,
                      .refusals = use->refusals});
    }
  return uses;
}

LeaseId BrokeredShares::lease_of(std::uint32_t pid) const {
  const auto lease = lease_in(broker_.tenant_of(pid));
  if (lease.valid()) return lease;
  const std::scoped_lock lock(mutex_);
  if (before_.empty()) return lease;
  const auto found = before_.find(guard::identity_of(pid));
  return found == before_.end() ? LeaseId() : found->second;
}

}  // namespace tessera::agent
