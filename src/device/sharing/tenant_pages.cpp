#include "device/sharing/tenant_pages.h"

#include <cerrno>
#include <climits>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>
#include <utility>

#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>

namespace tessera::device::sharing {
namespace {

/// A file in memory with one record of this type, all zero, mapped for writing; nullptr and errno.
template <class Page>
Page* make_page(const char* name, int& file) {
  file = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (file < 0 || ftruncate(file, sizeof(Page)) != 0) return nullptr;
  void* at = mmap(nullptr, sizeof(Page), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  return at == MAP_FAILED ? nullptr : static_cast<Page*>(at);
}

bool seal(int file, int more) {
  return fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL | more) == 0;
}

}  // namespace

base::Result<TenantPages> TenantPages::make(std::span<const GpuShare> gpus) {
  if (gpus.size() > guard::kMostGpus)
    return base::fail(base::Reason::kInvalidDocument, "a tenant shares at most 16 GPUs", "gpus",
                      "name fewer");
  TenantPages pages;
  pages.limits_ = make_page<guard::Limits>("tessera-limits", pages.limits_file_);
  if (pages.limits_ != nullptr)
    pages.accounts_ = make_page<guard::Accounts>("tessera-accounts", pages.accounts_file_);
  // Our own mapping of the limits stays writable; nobody gets another one.
  if (pages.accounts_ == nullptr || !seal(pages.limits_file_, F_SEAL_FUTURE_WRITE) ||
      !seal(pages.accounts_file_, 0))
    return base::fail(base::Reason::kUnavailable,
                      std::string("no memory to share with a tenant: ") + std::strerror(errno),
                      "memfd_create", "see that the kernel is 5.1 or later and has memory left");
  pages.limits_->magic = guard::kLimitsMagic;
  pages.limits_->agent = static_cast<std::uint64_t>(getpid());
  pages.limits_->compute_percent = 100;
  pages.accounts_->magic = guard::kAccountsMagic;
  for (std::size_t slot = 0; slot < gpus.size(); ++slot) {
    pages.limits_->gpu[slot].memory = gpus[slot].memory_bytes;
    pages.accounts_->gpu_key[slot] = gpus[slot].key;
  }
  return pages;
}

TenantPages::TenantPages(TenantPages&& other) noexcept
    : limits_file_(std::exchange(other.limits_file_, -1)),
      accounts_file_(std::exchange(other.accounts_file_, -1)),
      limits_(std::exchange(other.limits_, nullptr)),
      accounts_(std::exchange(other.accounts_, nullptr)) {}

TenantPages::~TenantPages() {
  if (limits_ != nullptr) munmap(limits_, sizeof(guard::Limits));
  if (accounts_ != nullptr) munmap(accounts_, sizeof(guard::Accounts));
  for (const int file : {limits_file_, accounts_file_})
    if (file >= 0) close(file);
}

void TenantPages::set_gate(unsigned slot, guard::Gate gate) {
  auto& word = limits_->gpu[slot].gate;
  if (word.exchange(gate) != gate)
    syscall(SYS_futex, &word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

}  // namespace tessera::device::sharing
