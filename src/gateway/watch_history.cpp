#include "gateway/watch_history.h"

#include <algorithm>
#include <array>
#include <limits>
#include <map>

#include "base/check.h"
#include "gateway/listing.h"

namespace tessera::gateway {

using control::ObjectRef;
using control::State;

namespace {

constexpr std::array<std::string_view, 8> kKinds = {"Tier", "Team",    "Pool",  "Node",
                                                    "Gpu",  "Request", "Lease", "Plan"};

}  // namespace

std::string_view to_string(ChangeType type) {
  constexpr std::array<std::string_view, 3> kNames = {"ADDED", "MODIFIED", "DELETED"};
  return kNames[static_cast<std::size_t>(type)];
}

bool WatchHistory::follows(std::string_view kind) {
  return std::ranges::find(kKinds, kind) != kKinds.end();
}

void WatchHistory::begin(const State& state) {
  known_.clear();
  entries_.clear();
  for (const std::string_view kind : kKinds) {
    const auto page = page_of(state, kind, {}, {}, std::numeric_limits<std::size_t>::max());
    for (const std::string& name : page->names) known_.insert({std::string(kind), name});
  }
  oldest_ = newest_ = state.revision();
}

void WatchHistory::note(const State& state, std::uint64_t revision,
                        const std::vector<ObjectRef>& objects) {
  CHECK(revision > newest_);
  newest_ = revision;
  const auto add = [&](ChangeType type, const ObjectRef& object) {
    entries_.push_back({revision, type, object});
  };
  for (const ObjectRef& object : objects) {
    if (!follows(object.kind)) continue;
    if (exists(state, object.kind, object.name)) {
      add(known_.insert(object).second ? ChangeType::kAdded : ChangeType::kModified, object);
    } else if (known_.erase(object) > 0) {
      add(ChangeType::kDeleted, object);
    }
  }
  shorten();
}

void WatchHistory::shorten() {
  while (!entries_.empty() &&
         (entries_.front().revision + most_revisions_ <= newest_ ||
          entries_.size() > most_entries_ || entries_.front().revision == oldest_)) {
    oldest_ = entries_.front().revision;
    entries_.pop_front();
  }
}

WatchHistory::Part WatchHistory::after(std::uint64_t since, const std::set<std::string>& kinds,
                                       std::size_t enough) const {
  std::map<ObjectRef, Entry> latest;
  Part part{{}, std::max(since, newest_)};
  auto it = std::ranges::upper_bound(entries_, since, {}, &Entry::revision);
  for (std::uint64_t revision = since; it != entries_.end(); ++it) {
    if (it->revision != revision && latest.size() >= enough) {
      part.upto = revision;
      break;
    }
    revision = it->revision;
    if (!kinds.empty() && !kinds.contains(it->object.kind)) continue;
    auto [found, fresh] = latest.try_emplace(it->object, *it);
    if (fresh) continue;
    // Added and then modified is still new to the watcher.
    const bool still_new =
        found->second.type == ChangeType::kAdded && it->type == ChangeType::kModified;
    found->second = *it;
    if (still_new) found->second.type = ChangeType::kAdded;
  }
  for (auto& [object, entry] : latest) part.entries.push_back(std::move(entry));
  std::ranges::stable_sort(part.entries, {}, &Entry::revision);
  return part;
}

}  // namespace tessera::gateway
