#include "device/sharing/peak_charges.h"

#include <algorithm>
#include <utility>

#include "guard/ledger.h"

namespace tessera::device::sharing {

void PeakCharges::look(const guard::Accounts& accounts, unsigned slots, Time now) {
  if (now - looked_ < kLook) return;
  looked_ = now;
  if (now - begun_ >= kWindow) {
    peaks_[1] = std::exchange(peaks_[0], {});
    begun_ = now;
  }
  for (unsigned row = 0; row < guard::rows_of(accounts); ++row)
    for (unsigned slot = 0; slot < std::min(slots, guard::kMostGpus); ++slot)
      if (const auto charge = accounts.charge[slot][row].load(); charge > 0) {
        auto& peak = peaks_[0][{row, slot}];
        peak = std::max(peak, charge);
      }
}

std::uint64_t PeakCharges::of(unsigned row, unsigned slot) const {
  std::uint64_t most = 0;
  for (const auto& peaks : peaks_)
    if (const auto found = peaks.find({row, slot}); found != peaks.end())
      most = std::max(most, found->second);
  return most;
}

}  // namespace tessera::device::sharing
