#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "control/state.h"
#include "control/step.h"

/// Which objects of a kind there are, without building them: lists are filtered and cut into pages
/// on the state's own tables, so a page costs what it shows.
namespace tessera::gateway {

/// What a list is narrowed to; empty texts do not narrow.
struct Filter {
  std::string team;
  std::string state;
  std::string pool;
  std::string node;
  std::string tier;
};

struct Page {
  std::vector<std::string> names;  ///< by rising name; requests and leases by number
  std::string next;                ///< where the next page begins; empty on the last
};

/// Whether there is such an object.
bool exists(const control::State& state, std::string_view kind, std::string_view name);

/// Up to `limit` objects of `kind` that pass `filter`, after the one named `after` (which may be
/// gone by now; empty: from the first). Errors: kInvalidDocument for an `after` that never was a
/// name.
base::Result<Page> page_of(const control::State& state, std::string_view kind, const Filter& filter,
                           std::string_view after, std::size_t limit);

}  // namespace tessera::gateway
