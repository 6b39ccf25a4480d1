#include "simulation/control_plane.h"

#include "journal/codec.h"
#include "journal/replay.h"
#include "simulation/faults.h"

namespace tessera::simulation {
namespace {

constexpr std::uint64_t kSnapshotEvery = 500;

/// Of the simulated disk, which always comes back: a failure here is a broken promise.
template <class T>
T sound(base::Result<T> result, const char* what) {
  if (!result)
    throw Violation(std::string("JournalKeepsItsWord: ") + what + ": " +
                    base::to_string(result.error()));
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

}  // namespace

ControlPlane::ControlPlane(std::shared_ptr<const catalog::Catalog> catalog, const Agenda& agenda,
                           const Hooks& hooks, Listener listener)
    : catalog_(std::move(catalog)),
      agenda_(agenda),
      hooks_(hooks),
      listener_(std::move(listener)),
      state_(std::make_unique<control::State>(catalog_)) {
  state_->begin_incarnation(agenda_.now());
}

base::Result<control::Record> ControlPlane::execute(const control::Command& command,
                                                    const tenancy::Actor& actor) {
  const auto unavailable = [](const std::string& why) {
    return base::fail(base::Reason::kUnavailable, why, {}, "try again");
  };
  if (!up()) return unavailable("the control plane is down");
  auto record = control::step(*state_, command, actor, agenda_.now());
  if (!record || record->events.empty()) return record;
  if (hooks_.on_record) hooks_.on_record(*record);
  const auto stored = journal_.append({&*record, 1});
  if (!stored) {
    recover();
    return unavailable(base::to_string(stored.error()));
  }
  heard_ = record->revision;
  listener_(*state_, *record);
  if (record->revision % kSnapshotEvery == 0)
    sound(journal_.write_snapshot(record->revision, journal::encode(*state_)), "write_snapshot");
  return record;
}

void ControlPlane::kill() {
  digest_at_kill_ = journal::digest(*state_);
  state_.reset();
}

void ControlPlane::restart() {
  if (hooks_.on_restart) hooks_.on_restart(journal_);
  start();
  if (journal::digest(*state_) != digest_at_kill_)
    throw Violation("ReplayIsExact: after a restart at revision " +
                    std::to_string(state_->revision()) + " the state differs from the one lost");
}

void ControlPlane::start() {
  state_ = sound(journal::replay(journal_, catalog_), "replay").state;
  state_->begin_incarnation(agenda_.now());
}

/// The last step was not acknowledged: what the disk says counts. It may have it all the same.
void ControlPlane::recover() {
  start();
  std::optional<control::Record> unheard;
  sound(journal_.read(heard_ + 1,
                      [&](control::Record record) -> base::Result<void> {
                        unheard = std::move(record);
                        return {};
                      }),
        "read");
  if (!unheard) return;
  if (unheard->revision != heard_ + 1 || unheard->revision != state_->revision())
    throw Violation("ReplayIsExact: the journal has records that nobody wrote");
  heard_ = unheard->revision;
  listener_(*state_, *unheard);
}

void ControlPlane::check_whole_journal() {
  control::State fresh(catalog_);
  sound(journal_.read(1,
                      [&](control::Record record) -> base::Result<void> {
                        fresh.apply(record);
                        return {};
                      }),
        "read");
  if (journal::digest(fresh) != journal::digest(*state_))
    throw Violation("ReplayIsExact: replaying all " + std::to_string(fresh.revision()) +
                    " records from nothing gives another state");
}

}  // namespace tessera::simulation
