#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "base/result.h"
#include "catalog/gpu_model.h"
#include "control/state.h"
#include "journal/journal.h"

namespace tessera::journal {

/// `done` of `last` revisions are applied.
using Progress = std::function<void(std::uint64_t done, std::uint64_t last)>;
inline constexpr std::uint64_t kProgressEvery = 10'000;

struct Replayed {
  std::unique_ptr<control::State> state;
  std::uint64_t snapshot = 0;  ///< the revision the replay began at
};

/// The state that the journal stands for: its newest snapshot and the records after it. Calls
/// `progress`, unless empty, every kProgressEvery records and at the end.
/// Errors: what the journal says; kInternal when snapshot and records do not belong together.
base::Result<Replayed> replay(Journal& journal, std::shared_ptr<const catalog::Catalog> catalog,
                              const Progress& progress = {});

}  // namespace tessera::journal
