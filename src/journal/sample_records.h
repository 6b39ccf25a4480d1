#pragma once

#include <cstdint>
#include <vector>

#include "base/random.h"
#include "control/event.h"

/// Records for tests: of every kind of event, with random contents. They say nothing sensible
/// about a fleet, so they can be stored and read but not applied.
namespace tessera::journal {

/// One event of alternative `kind` of control::Event.
control::Event sample_event(std::size_t kind, base::Random& random);

/// A record with one to four random events.
control::Record sample_record(std::uint64_t revision, base::Random& random);

/// Revisions `from` … `from + count - 1`.
std::vector<control::Record> sample_records(std::uint64_t from, std::size_t count,
                                            std::uint64_t seed = 1);

}  // namespace tessera::journal
