#include "device/sharing/broker.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <poll.h>
#include <set>
#include <time.h>
#include <unistd.h>
#include <utility>

#include <sys/eventfd.h>
#include <sys/resource.h>

#include "guard/ledger.h"

namespace tessera::device::sharing {
namespace {

using namespace std::chrono_literals;

constexpr auto kNobodyThere = 1s;
constexpr auto kLongestPoll = 1s;
constexpr std::size_t kFewestPrograms = 8;

/// The clock that programs use for Progress::busy_until_ns.
Arbiter::Nanoseconds monotonic_now() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(now.tv_nsec);
}

std::optional<unsigned> slot_of(const Tenant& tenant, std::uint64_t gpu) {
  const auto found = std::ranges::find(tenant.gpus, gpu, &GpuShare::key);
  if (found == tenant.gpus.end()) return std::nullopt;
  return static_cast<unsigned>(found - tenant.gpus.begin());
}

}  // namespace

Broker::Broker()
    : wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      doors_([this](const std::stop_token& stop) { attend_doors(stop); }),
      gates_([this](const std::stop_token& stop) { move_gates(stop); }) {}

Broker::~Broker() {
  doors_.request_stop();
  gates_.request_stop();
  wake_doors();
  doors_.join();
  gates_.join();
  for (auto& [name, member] : members_)
    for (unsigned slot = 0; slot < guard::kMostGpus; ++slot)
      member->pages.set_gate(slot, guard::kGateOpen);
  close(wake_);
}

base::Result<void> Broker::add(const std::string& name, const Tenant& tenant) {
  if (tenant.terms.weight == 0)
    return base::fail(base::Reason::kInvalidDocument, "a weight is at least 1", name,
                      "give the tenant a weight");
  const std::scoped_lock lock(mutex_);
  if (members_.contains(name))
    return base::fail(base::Reason::kAlreadyExists, "this tenant shares GPUs here already", name,
                      "change its terms, or remove it first");
  auto pages = TenantPages::make(tenant.gpus);
  if (!pages) return std::unexpected(pages.error());
  auto door = Door::open(tenant.socket, tenant.group, tenant.user);
  if (!door) return std::unexpected(door.error());
  members_.emplace(
      name, std::make_unique<Member>(tenant, std::move(*pages), std::move(*door), PeakCharges()));
  rebuild();
  return {};
}

void Broker::remove(const std::string& name) {
  const std::scoped_lock lock(mutex_);
  const auto found = members_.find(name);
  if (found == members_.end()) return;
  for (unsigned slot = 0; slot < guard::kMostGpus; ++slot)
    found->second->pages.set_gate(slot, guard::kGateOpen);
  members_.erase(found);
  rebuild();
}

void Broker::divide_files() {
  rlimit files{};
  if (members_.empty() || getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  const auto each = static_cast<std::size_t>(files.rlim_cur) / 2 / members_.size();
  for (auto& [name, member] : members_)
    member->door.limit_programs(
        std::clamp<std::size_t>(each, kFewestPrograms, guard::kMostProcesses));
}

/// One arbiter for all GPUs that tenants with several GPUs join. What was charged before begins
/// anew.
void Broker::rebuild() {
  std::map<std::uint64_t, std::set<std::uint64_t>> joined;  // each GPU -> all of its arbiter
  for (const auto& [name, member] : members_) {
    std::set<std::uint64_t> all;
    for (const auto& gpu : member->tenant.gpus) {
      all.insert(gpu.key);
      all.insert(joined[gpu.key].begin(), joined[gpu.key].end());
    }
    for (const auto gpu : all) joined[gpu] = all;
  }
  std::map<std::set<std::uint64_t>, std::vector<Sharer>> sharers;
  for (auto& [name, member] : members_) {
    if (member->tenant.gpus.empty()) continue;
    const auto& all = joined[member->tenant.gpus.front().key];
    Sharer sharer{&member->pages, {}, member->tenant.terms};
    for (const auto& gpu : member->tenant.gpus)
      sharer.gpus.push_back(static_cast<unsigned>(std::distance(all.begin(), all.find(gpu.key))));
    sharers[all].push_back(std::move(sharer));
  }
  arbiters_.clear();
  for (auto& [gpus, of_gpus] : sharers) arbiters_.emplace_back(std::move(of_gpus));
  divide_files();
  wake_doors();
  news_ = true;
  changed_.notify_all();
}

bool Broker::change(const std::string& name, Terms terms) {
  const std::scoped_lock lock(mutex_);
  const auto found = members_.find(name);
  if (found == members_.end() || terms.weight == 0) return false;
  found->second->tenant.terms = terms;
  rebuild();
  return true;
}

bool Broker::limit_memory(const std::string& name, std::uint64_t gpu, std::uint64_t bytes) {
  const std::scoped_lock lock(mutex_);
  const auto found = members_.find(name);
  if (found == members_.end()) return false;
  const auto slot = slot_of(found->second->tenant, gpu);
  if (!slot) return false;
  found->second->pages.limit_memory(*slot, bytes);
  return true;
}

std::optional<std::uint64_t> Broker::peak_charge(const std::string& name, std::uint32_t pid,
                                                 std::uint64_t gpu) const {
  const std::scoped_lock lock(mutex_);
  const auto found = members_.find(name);
  if (found == members_.end()) return std::nullopt;
  const auto row = found->second->door.row_of(pid);
  const auto slot = slot_of(found->second->tenant, gpu);
  if (!row) return std::nullopt;
  if (!slot) return 0;
  const auto& accounts = found->second->pages.accounts();
  return std::max(found->second->peaks.of(*row, *slot), accounts.charge[*slot][*row].load());
}

std::string Broker::tenant_of(std::uint32_t pid) const {
  const std::scoped_lock lock(mutex_);
  for (const auto& [name, member] : members_)
    if (member->door.has_let_in(pid)) return name;
  return {};
}

std::map<std::string, std::vector<std::uint64_t>> Broker::programs() const {
  const std::scoped_lock lock(mutex_);
  std::map<std::string, std::vector<std::uint64_t>> all;
  for (const auto& [name, member] : members_) all.emplace(name, member->door.identities());
  return all;
}

std::map<std::string, uid_t> Broker::users() const {
  const std::scoped_lock lock(mutex_);
  std::map<std::string, uid_t> all;
  for (const auto& [name, member] : members_)
    if (const auto user = member->door.user()) all.emplace(name, *user);
  return all;
}

std::optional<Use> Broker::use_of(const std::string& name, std::uint64_t gpu) const {
  const std::scoped_lock lock(mutex_);
  const auto found = members_.find(name);
  if (found == members_.end()) return std::nullopt;
  const auto slot = slot_of(found->second->tenant, gpu);
  if (!slot) return std::nullopt;
  const auto& accounts = found->second->pages.accounts();
  Use use{.memory_bytes = guard::charged(accounts, *slot),
          .programs = found->second->door.programs(),
          .refusals = found->second->door.refusals()};
  for (unsigned row = 0; row < guard::rows_of(accounts); ++row)
    use.violations += accounts.progress[row][*slot].violations;
  return use;
}

void Broker::wake_doors() const {
  const std::uint64_t one = 1;
  // A full counter has woken them already.
  [[maybe_unused]] const auto written = write(wake_, &one, sizeof(one));
}

std::vector<Broker::Watch> Broker::watch_doors(std::vector<int>& files) const {
  const std::scoped_lock lock(mutex_);
  const auto now = std::chrono::steady_clock::now();
  std::vector<Watch> watches;
  for (const auto& [name, member] : members_) {
    const auto first = files.size();
    member->door.watch(files, now);
    watches.push_back(
        {name, first, files.size(), member->door.rests_until(now).value_or(now + kLongestPoll)});
  }
  return watches;
}

bool Broker::attend(const std::string& name) {
  const std::scoped_lock lock(mutex_);
  const auto found = members_.find(name);
  return found != members_.end() &&
         found->second->door.attend(found->second->pages, std::chrono::steady_clock::now());
}

/// One lock for each door, not for the round: the gates go on in between.
void Broker::attend_doors(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    std::vector<int> files{wake_};
    const auto watches = watch_doors(files);
    std::vector<pollfd> polled;
    for (const int file : files) polled.push_back({file, POLLIN, 0});
    auto until = std::chrono::steady_clock::now() + kLongestPoll;
    for (const auto& each : watches) until = std::min(until, each.until);
    const auto patience = std::chrono::ceil<std::chrono::milliseconds>(
        std::max(until - std::chrono::steady_clock::now(), Door::Time::duration::zero()));
    poll(polled.data(), polled.size(), static_cast<int>(patience.count()));
    std::uint64_t count = 0;
    [[maybe_unused]] const auto emptied = read(wake_, &count, sizeof(count));
    const auto now = std::chrono::steady_clock::now();
    bool news = false;
    for (const auto& each : watches) {
      const auto ready = [&](std::size_t at) { return polled[at].revents != 0; };
      bool due = now >= each.until;
      for (auto at = each.first; at < each.end && !due; ++at) due = ready(at);
      if (due) news |= attend(each.name);
    }
    if (news) {
      const std::scoped_lock lock(mutex_);
      news_ = true;
      changed_.notify_all();
    }
    std::this_thread::sleep_for(kBetweenRounds);
  }
}

void Broker::move_gates(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    const bool anybody = std::ranges::any_of(
        members_, [](const auto& entry) { return entry.second->door.programs() > 0; });
    std::chrono::nanoseconds pause = kNobodyThere;
    const auto now = monotonic_now();
    const auto looked = std::chrono::steady_clock::now();
    for (auto& [name, member] : members_)
      member->peaks.look(member->pages.accounts(),
                         static_cast<unsigned>(member->tenant.gpus.size()), looked);
    for (auto& arbiter : arbiters_) {
      arbiter.step(now);
      if (anybody)
        pause = std::min<std::chrono::nanoseconds>(pause,
                                                   std::chrono::nanoseconds(arbiter.next_look()));
    }
    changed_.wait_for(lock, stop, pause, [this] { return std::exchange(news_, false); });
  }
}

}  // namespace tessera::device::sharing
