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

Result<std::unique_ptr<control::State>> replay(Journal& journal,
                                               std::shared_ptr<const catalog::Catalog> catalog,
                                               const ReplayObserver& observer) {
  const auto last = journal.last_revision();
  if (!last) return std::unexpected(last.error());
  auto state = start_state(journal, std::move(catalog));
  if (!state) return state;
  if ((*state)->revision() > *last) {
    return base::fail(Reason::kInternal,
                      "the snapshot of revision " + std::to_string((*state)->revision()) +
                          " is newer than the last record, " + std::to_string(*last),
                      journal.name(), "restore the journal from a backup: records are missing");
  }
  auto done = journal.read((*state)->revision() + 1, [&](control::Record record) -> Result<void> {
    if (observer.record) observer.record(**state, record, *last);
    (*state)->apply(record);
    if (observer.progress && record.revision % kProgressEvery == 0) {
      observer.progress(record.revision, *last);
    }
    return {};
  });
  if (!done) return std::unexpected(std::move(done.error()));
  if (observer.progress) observer.progress((*state)->revision(), *last);
  return state;
}

}  // namespace tessera::journal
