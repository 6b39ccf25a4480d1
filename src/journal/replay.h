#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "base/result.h"
#include "catalog/gpu_model.h"
#include "control/state.h"
#include "journal/journal.h"

namespace tessera::journal {

/// What the caller wants to see of a replay. Both may be empty.
struct ReplayObserver {
  /// `done` of `last` revisions are applied; called every kProgressEvery records and at the end.
  std::function<void(std::uint64_t done, std::uint64_t last)> progress;
  /// Each record just before it is applied to `state`, with the revision where the replay ends.
  std::function<void(const control::State& state, const control::Record& record,
                     std::uint64_t last)>
      record;
};
inline constexpr std::uint64_t kProgressEvery = 10'000;

/// The state that the journal stands for: its newest snapshot and the records after it.
/// Errors: what the journal says; kInternal when a record does not follow from the ones before it.
base::Result<std::unique_ptr<control::State>> replay(
    Journal& journal, std::shared_ptr<const catalog::Catalog> catalog,
    const ReplayObserver& observer = {});

}  // namespace tessera::journal
