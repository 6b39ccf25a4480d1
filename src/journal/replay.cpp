#include "journal/replay.h"

#include "journal/codec.h"

namespace tessera::journal {
namespace {

using base::Reason;
using base::Result;

Result<std::unique_ptr<control::State>> start_state(
    Journal& journal, std::shared_ptr<const catalog::Catalog> catalog) {
  auto snapshot = journal.latest_snapshot();
  if (!snapshot) return std::unexpected(std::move(snapshot.error()));
  if (!*snapshot) return std::make_unique<control::State>(std::move(catalog));
  auto state = decode_state((*snapshot)->bytes, std::move(catalog));
  if (!state) {
    return base::fail(Reason::kInternal,
                      "the snapshot of revision " + std::to_string((*snapshot)->revision) +
                          " cannot be read: " + base::to_string(state.error()),
                      journal.name(), "restore the journal from a backup");
  }
  return state;
}

}  // namespace

Result<Replayed> replay(Journal& journal, std::shared_ptr<const catalog::Catalog> catalog,
                        const Progress& progress) {
  const auto last = journal.last_revision();
  if (!last) return std::unexpected(last.error());
  auto started = start_state(journal, std::move(catalog));
  if (!started) return std::unexpected(std::move(started.error()));
  control::State& state = **started;
  const std::uint64_t snapshot = state.revision();
  if (snapshot > *last) {
    return base::fail(Reason::kInternal,
                      "the snapshot of revision " + std::to_string(snapshot) +
                          " is newer than the last record, " + std::to_string(*last),
                      journal.name(), "restore the journal from a backup: records are missing");
  }
  auto done = journal.read(snapshot + 1, [&](control::Record record) -> Result<void> {
    state.apply(record);
    if (progress && record.revision % kProgressEvery == 0) progress(record.revision, *last);
    return {};
  });
  if (!done) return std::unexpected(std::move(done.error()));
  if (progress) progress(state.revision(), *last);
  return Replayed{std::move(*started), snapshot};
}

}  // namespace tessera::journal
