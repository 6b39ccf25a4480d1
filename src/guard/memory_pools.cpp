#include "guard/memory_pools.h"

#include <atomic>
#include <pthread.h>

namespace tessera::guard {
namespace {

/// The driver grows a pool in pieces of its own choice; by this much if that is allowed, else by
/// the least.
constexpr std::uint64_t kGrowth = 32ULL << 20;
constexpr std::uint64_t kLeastGrowth = 2ULL << 20;
constexpr unsigned kMostPools = 256;

struct Pool {
  cuda::Handle handle;
  unsigned slot;
  std::uint64_t charged;
  bool imported;
  bool ended;  ///< the program has destroyed it, but has memory of it still
};

pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
Pool pools[kMostPools];
std::atomic<unsigned> pool_count = 0;
std::uint64_t graph_charge[kMostGpus];  ///< by device
std::atomic<bool> any_graph_memory = false;

class Locked {
 public:
  Locked() { pthread_mutex_lock(&lock); }
  Locked(const Locked&) = delete;
  Locked& operator=(const Locked&) = delete;
  ~Locked() { pthread_mutex_unlock(&lock); }
};

Pool* find(cuda::Handle handle) {
  for (unsigned i = 0; i < pool_count; ++i)
    if (pools[i].handle == handle) return &pools[i];
  return nullptr;
}

/// nullptr where there are too many.
Pool* watch(cuda::Handle handle, unsigned slot, bool imported) {
  if (auto* known = find(handle)) return known;
  if (pool_count == kMostPools) return nullptr;
  pools[pool_count] = {handle, slot, 0, imported, false};
  return &pools[pool_count++];
}

std::uint64_t attribute_of(cuda::Handle pool, cuda::PoolAttribute attribute, std::uint64_t other) {
  std::uint64_t value = 0;
  auto* get = real<cuda::Result(cuda::Handle, std::int32_t, void*)>(Symbol::cuMemPoolGetAttribute);
  return get != nullptr && get(pool, attribute, &value) == cuda::kSuccess ? value : other;
}

void recharge(Ledger& account, unsigned slot, std::uint64_t& charged, std::uint64_t now) {
  if (now > charged) account.charge(slot, now - charged);
  if (now < charged) account.release(slot, charged - now);
  charged = now;
}

void reconcile(Ledger& account, Pool& pool) {
  if (pool.imported) return;
  recharge(account, pool.slot, pool.charged,
           attribute_of(pool.handle, cuda::kReservedNow, pool.charged));
}

bool capturing(const PoolCall& call) {
  std::int32_t status = 0;
  auto* get = real<cuda::Result(cuda::Handle, std::int32_t*)>(call.is_capturing);
  return get != nullptr && get(call.stream, &status) == cuda::kSuccess && status != 0;
}

void trim(cuda::Handle pool) {
  if (auto* to = real<cuda::Result(cuda::Handle, std::size_t)>(Symbol::cuMemPoolTrimTo))
    to(pool, 0);
}

cuda::Result destroy(Ledger& account, Pool& pool) {
  const auto result = real<cuda::Result(cuda::Handle)>(Symbol::cuMemPoolDestroy)(pool.handle);
  if (result != cuda::kSuccess) return result;
  account.release(pool.slot, pool.charged);
  pool = pools[--pool_count];
  return result;
}

/// With the lock: charges what the driver's graphs have reserved now.
void charge_graphs() {
  auto* get =
      real<cuda::Result(cuda::Device, std::int32_t, void*)>(Symbol::cuDeviceGetGraphMemAttribute);
  for (int device = 0; device < static_cast<int>(kMostGpus); ++device) {
    Place place;
    std::uint64_t reserved = 0;
    if (!place_of(device, place) || get == nullptr ||
        get(device, cuda::kGraphReservedNow, &reserved) != cuda::kSuccess)
      return;
    recharge(*place.ledger, place.slot, graph_charge[device], reserved);
  }
}
/// With the lock: what graphs hold without using it goes back to the driver.
void give_back_graphs() {
  auto* trim_device = real<cuda::Result(cuda::Device)>(Symbol::cuDeviceGraphMemTrim);
  for (int device = 0; trim_device != nullptr && device < static_cast<int>(kMostGpus); ++device)
    if (trim_device(device) != cuda::kSuccess) break;
  charge_graphs();
}

/// As the driver does when a pool that is a device's current one is destroyed.
void fall_back_to_default(cuda::Handle pool) {
  using Get = cuda::Result(cuda::Handle*, cuda::Device);
  cuda::Handle current = nullptr;
  for (cuda::Device device = 0; device < static_cast<int>(kMostGpus); ++device) {
    if (real<Get>(Symbol::cuDeviceGetMemPool)(&current, device) != cuda::kSuccess) return;
    if (current != pool ||
        real<Get>(Symbol::cuDeviceGetDefaultMemPool)(&current, device) != cuda::kSuccess)
      continue;
    real<cuda::Result(cuda::Device, cuda::Handle)>(Symbol::cuDeviceSetMemPool)(device, current);
  }
}

}  // namespace

void forget_pools() {
  pthread_mutex_t fresh = PTHREAD_MUTEX_INITIALIZER;
  lock = fresh;
  pool_count = 0;
  any_graph_memory = false;
  for (auto& charge : graph_charge) charge = 0;
}

void reconcile_pools() {
  if (pool_count.load(std::memory_order_relaxed) == 0) return;
  auto* account = ledger();
  if (account == nullptr) return;
  const Locked locked;
  for (unsigned i = pool_count; i-- > 0;) {
    reconcile(*account, pools[i]);
    if (pools[i].ended && attribute_of(pools[i].handle, cuda::kUsedNow, 0) == 0)
      destroy(*account, pools[i]);
  }
}

void trim_pools() {
  if (pool_count.load(std::memory_order_relaxed) == 0) return;
  {
    const Locked locked;
    for (unsigned i = 0; i < pool_count; ++i)
      if (!pools[i].imported) trim(pools[i].handle);
  }
  reconcile_pools();
}

PoolTurn::PoolTurn(const PoolCall& call) : call_(call) {
  pthread_mutex_lock(&lock);
  if (!find_place(place_)) return;
  pool_ = call.pool;
  if (pool_ == nullptr)
    real<cuda::Result(cuda::Handle*, cuda::Device)>(Symbol::cuDeviceGetMemPool)(&pool_,
                                                                                place_.device);
  watched_ = pool_ != nullptr && !capturing(call);
}

PoolTurn::~PoolTurn() {
  pthread_mutex_unlock(&lock);
}

bool PoolTurn::admit() {
  if (ledger() == nullptr) return false;
  if (!watched_) return true;
  auto* pool = watch(pool_, place_.slot, false);
  if (pool == nullptr) return false;
  if (pool->imported) {
    watched_ = false;
    return true;
  }
  place_.slot = pool->slot;
  auto& account = *place_.ledger;
  for (int look = 0; look < 2; ++look) {
    for (const auto step : {kGrowth, kLeastGrowth}) {
      reserved_ = round_up(call_.size, step);
      if (account.reserve(place_.slot, reserved_)) return reserving_ = true;
    }
    for (unsigned i = 0; i < pool_count; ++i) {
      if (pools[i].imported) continue;
      trim(pools[i].handle);
      reconcile(account, pools[i]);
    }
    if (any_graph_memory) give_back_graphs();
  }
  // Perhaps the pool need not grow. If it does after all, settle() undoes it.
  reserved_ = 0;
  const auto idle =
      attribute_of(pool_, cuda::kReservedNow, 0) - attribute_of(pool_, cuda::kUsedNow, 0);
  return idle >= call_.size && (reserving_ = account.reserve(place_.slot, 0));
}

cuda::Result PoolTurn::settle(cuda::Result result, const cuda::DevicePtr* pointer) {
  if (!reserving_) return result;
  auto& account = *place_.ledger;
  auto& pool = *find(pool_);
  const auto now = attribute_of(pool_, cuda::kReservedNow, pool.charged + reserved_);
  const auto growth = now > pool.charged ? now - pool.charged : 0;
  account.settle(place_.slot, reserved_, growth);
  pool.charged += growth;
  reconcile(account, pool);
  if (result != cuda::kSuccess || growth <= reserved_ ||
      charged(*account.accounts(), place_.slot) <= account.limit(place_.slot))
    return result;
  real<cuda::Result(cuda::DevicePtr, cuda::Handle)>(call_.free)(*pointer, call_.stream);
  trim(pool_);
  reconcile(account, pool);
  return cuda::kOutOfMemory;
}

cuda::Result mem_pool_create(cuda::Handle* pool, const cuda::PoolProperties* properties) {
  auto* driver = next<Symbol::cuMemPoolCreate>(&mem_pool_create);
  const auto result = driver(pool, properties);
  Place place;
  if (result != cuda::kSuccess || properties->location.type != cuda::kLocationDevice ||
      !place_of(properties->location.id, place))
    return result;
  const Locked locked;
  if (watch(*pool, place.slot, false) != nullptr) return result;
  real<cuda::Result(cuda::Handle)>(Symbol::cuMemPoolDestroy)(*pool);
  return cuda::kOutOfMemory;  // more pools than are watched
}

// The driver frees a destroyed pool's memory as the program gives it back, which nobody could see.
// So a pool that is in use is destroyed when it no longer is.
cuda::Result mem_pool_destroy(cuda::Handle handle) {
  auto* driver = next<Symbol::cuMemPoolDestroy>(&mem_pool_destroy);
  auto* account = ledger();
  const Locked locked;
  auto* pool = find(handle);
  if (account == nullptr || pool == nullptr) return driver(handle);
  if (pool->ended) return cuda::kInvalidValue;
  if (pool->imported || attribute_of(handle, cuda::kUsedNow, 0) == 0)
    return destroy(*account, *pool);
  fall_back_to_default(handle);
  pool->ended = true;
  return cuda::kSuccess;
}

cuda::Result mem_pool_trim_to(cuda::Handle handle, std::size_t bytes) {
  auto* driver = next<Symbol::cuMemPoolTrimTo>(&mem_pool_trim_to);
  const auto result = driver(handle, bytes);
  reconcile_pools();
  return result;
}

cuda::Result mem_pool_import(cuda::Handle* pool, void* handle, std::int32_t type,
                             unsigned long long flags) {
  auto* driver = next<Symbol::cuMemPoolImportFromShareableHandle>(&mem_pool_import);
  const auto result = driver(pool, handle, type, flags);
  if (result != cuda::kSuccess) return result;
  const Locked locked;
  watch(*pool, 0, true);
  return result;
}

void reconcile_graphs() {
  if (!any_graph_memory.load(std::memory_order_relaxed)) return;
  const Locked locked;
  charge_graphs();
}

void trim_graphs() {
  if (!any_graph_memory.load(std::memory_order_relaxed)) return;
  const Locked locked;
  give_back_graphs();
}

void watch_graph_memory() {
  any_graph_memory = true;
}

cuda::Result device_graph_mem_trim(cuda::Device device) {
  auto* driver = next<Symbol::cuDeviceGraphMemTrim>(&device_graph_mem_trim);
  const auto result = driver(device);
  reconcile_graphs();
  return result;
}

}  // namespace tessera::guard
