#include "control/demand_history.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <tuple>

#include "base/check.h"

namespace tessera::control {
namespace {

using request::RequestState;

std::uint32_t number_of(std::int64_t level) {
  constexpr std::int64_t kMost = std::numeric_limits<std::uint32_t>::max();
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(level, 0, kMost));
}

}  // namespace

std::string size_of(const DemandShape& shape) {
  std::string text = shape.memory.count() > 0 ? base::to_string(shape.memory) : "";
  const auto add = [&](const std::string& part) { text += (text.empty() ? "" : ", ") + part; };
  if (shape.sms.count() > 0) add(std::to_string(shape.sms.count()) + " SMs");
  if (const auto share = shape.compute.count(); share > 0) {
    const auto tenths = share % 10 == 0 ? "" : "." + std::to_string(share % 10);
    add(std::to_string(share / 10) + tenths + "% compute");
  }
  if (text.empty()) text = "any size";
  for (const auto& model : shape.models) add(model);
  if (!shape.pool.empty()) add("pool " + shape.pool);
  return text;
}

DemandLevel level_of(const request::Request& request) {
  switch (request.state) {
    case RequestState::kApproved:
    case RequestState::kQueued:
      return {.waiting = request.need.slices()};
    case RequestState::kProvisioning:
    case RequestState::kActive:
    case RequestState::kExpiring:
      return {.held = request.need.slices()};
    default:
      return {};
  }
}

DemandShapeView shape_of(const request::Request& request) {
  const auto& need = request.need;
  DemandShapeView shape{need.memory, need.compute, need.sms, request.tier, need.pool, need.models};
  std::ranges::sort(shape.models);  // in whatever order they were named
  return shape;
}

DemandShapeView view_of(const DemandShape& shape) {
  return {shape.memory, shape.compute, shape.sms, shape.tier, shape.pool, shape.models};
}

DemandShape DemandShapeView::owned() const {
  return {memory, compute, sms, std::string(tier), std::string(pool), models};
}

std::strong_ordering operator<=>(const DemandShape& a, const DemandShapeView& b) {
  const auto sizes = std::tie(a.memory, a.compute, a.sms) <=> std::tie(b.memory, b.compute, b.sms);
  if (sizes != 0) return sizes;
  const auto names =
      std::pair<std::string_view, std::string_view>(a.tier, a.pool) <=> std::pair(b.tier, b.pool);
  return names != 0 ? names : a.models <=> b.models;
}

void DemandHistory::change(const DemandShapeView& shape, const DemandLevel& before,
                           const DemandLevel& after, Instant at) {
  if (before == after) return;
  advance(hour_of(at));
  if (before.all() > 0 && before.all() == after.all()) {
    const auto known = levels_.find(shape);
    CHECK(known != levels_.end());
    if (auto& [now, own_series] = known->second; own_series) {  // whose peak stays what it is
      now.waiting += after.waiting - before.waiting;
      now.held += after.held - before.held;
      CHECK(now.waiting >= 0 && now.held >= 0);
      return;
    }
  }
  lower(shape, before);
  raise(shape, after);
}

std::optional<std::uint32_t> DemandHistory::since() const {
  if (other_.peaks.empty()) return std::nullopt;
  return std::max(since_, last_ + 1 - std::min(last_ + 1, kHours));
}

DemandLevel DemandHistory::level(const DemandShape& shape) const {
  const auto found = levels_.find(shape);
  return found == levels_.end() ? DemandLevel{} : found->second.now;
}

std::uint32_t DemandHistory::peak(const DemandSeries& series, std::int64_t level,
                                  std::uint32_t hour) const {
  if (hour > last_) return number_of(level);
  const auto back = std::size_t{last_ - hour} + 1;
  return back > series.peaks.size() ? 0 : series.peaks[series.peaks.size() - back];
}

void DemandHistory::clear_levels() {
  levels_.clear();
  other_level_ = 0;
  const auto add_up = [](DemandSeries& series) {
    series.sum = std::accumulate(series.peaks.begin(), series.peaks.end(), std::int64_t{0});
  };
  add_up(other_);
  for (auto& [shape, series] : series_) add_up(series);
}

void DemandHistory::count(const DemandShapeView& shape, const DemandLevel& level) {
  if (level.all() == 0) return;
  auto& sum = level_at(shape)->second;
  sum.now.waiting += level.waiting;
  sum.now.held += level.held;
  if (!sum.own_series) other_level_ += level.all();
}

DemandHistory::Levels::iterator DemandHistory::level_at(const DemandShapeView& shape) {
  const auto found = levels_.lower_bound(shape);
  if (found != levels_.end() && found->first <=> shape == 0) return found;
  return levels_.emplace_hint(found, shape.owned(), Level{{}, series_.contains(shape)});
}

void DemandHistory::advance(std::uint32_t hour) {
  if (other_.peaks.empty()) {
    since_ = last_ = hour;
    other_.peaks.push_back(number_of(other_level_));
    other_.sum = other_.peaks.back();
  }
  if (hour <= last_) return;
  const std::uint32_t hours = hour - last_;
  for (auto it = series_.begin(); it != series_.end();) {
    const auto now = level(it->first).all();
    extend(it->second, now, hours);
    it = it->second.sum == 0 && now == 0 ? series_.erase(it) : std::next(it);
  }
  extend(other_, other_level_, hours);
  last_ = hour;
}

void DemandHistory::extend(DemandSeries& series, std::int64_t level, std::uint32_t hours) {
  auto& peaks = series.peaks;
  const auto added = std::min(hours, kHours);
  const auto dropped = std::max(peaks.size() + added, std::size_t{kHours}) - kHours;
  for (std::size_t i = 0; i < dropped; ++i) series.sum -= peaks[i];
  peaks.erase(peaks.begin(), peaks.begin() + static_cast<std::ptrdiff_t>(dropped));
  peaks.insert(peaks.end(), added, number_of(level));
  series.sum += std::int64_t{number_of(level)} * added;
}

void DemandHistory::note(DemandSeries& series, std::int64_t level) {
  if (series.peaks.empty()) series.peaks.push_back(0);
  auto& peak = series.peaks.back();
  const auto higher = std::max(peak, number_of(level));
  series.sum += higher - peak;
  peak = higher;
}

void DemandHistory::lower(const DemandShapeView& shape, const DemandLevel& by) {
  if (by.all() == 0) return;
  const auto found = levels_.find(shape);
  CHECK(found != levels_.end());
  auto& [now, own_series] = found->second;
  now.waiting -= by.waiting;
  now.held -= by.held;
  if (!own_series) other_level_ -= by.all();
  CHECK(now.waiting >= 0 && now.held >= 0 && other_level_ >= 0);
  if (now.all() == 0) levels_.erase(found);
}

void DemandHistory::raise(const DemandShapeView& shape, const DemandLevel& by) {
  if (by.all() == 0) return;
  const auto level = level_at(shape);
  auto& series = admit(*level);
  auto& now = level->second.now;
  now.waiting += by.waiting;
  now.held += by.held;
  note(series, now.all());
}

DemandSeries& DemandHistory::admit(Levels::value_type& level) {
  auto& [shape, of] = level;
  if (of.own_series) return series_.find(shape)->second;
  if (series_.size() >= kShapes) evict_lightest();
  other_level_ -= of.now.all();
  of.own_series = true;
  return series_[shape];
}

void DemandHistory::evict_lightest() {
  const auto lightest =
      std::ranges::min_element(series_, {}, [](const auto& entry) { return entry.second.sum; });
  const auto& gone = lightest->second.peaks;
  auto& into = other_.peaks;
  if (into.size() < gone.size()) into.insert(into.begin(), gone.size() - into.size(), 0);
  const auto offset = into.size() - gone.size();
  for (std::size_t i = 0; i < gone.size(); ++i) {
    const auto sum = number_of(std::int64_t{into[offset + i]} + gone[i]);
    other_.sum += sum - into[offset + i];
    into[offset + i] = sum;
  }
  if (const auto asked = levels_.find(lightest->first); asked != levels_.end()) {
    asked->second.own_series = false;
    other_level_ += asked->second.now.all();
  }
  series_.erase(lightest);
}

std::uint32_t hour_of(Instant instant) {
  const auto hours = std::chrono::floor<std::chrono::hours>(instant).time_since_epoch().count();
  return number_of(hours);
}

Instant start_of(std::uint32_t hour) {
  return Instant{} + std::chrono::hours(hour);
}

}  // namespace tessera::control
