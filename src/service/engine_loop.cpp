// The engine's one thread: decide, store, publish, answer.
#include <algorithm>
#include <limits>
#include <set>

#include "base/check.h"
#include "service/engine.h"

namespace tessera::service {

using base::Reason;
using base::Result;
using control::Record;

namespace {

/// Who acts when time passes or a node falls silent.
const tenancy::Actor kSystem{"system", tenancy::Role::kAdmin, {}};

/// A revision that no journal reaches.
constexpr std::uint64_t kNever = std::numeric_limits<std::uint64_t>::max();

using Objects = std::set<control::ObjectRef>;

/// GPUs go with their node, and have no name any more afterwards.
void add_removed_gpus(Objects& touched, const fleet::Fleet& fleet, const Record& record) {
  for (const auto& event : record.events) {
    const auto* deleted = std::get_if<control::NodeDeleted>(&event);
    const auto node = deleted != nullptr ? fleet.find_node(deleted->name) : std::nullopt;
    if (!node) continue;
    for (const auto gpu : fleet.node(*node).gpus) touched.insert({"Gpu", fleet.gpu_name(gpu)});
  }
}

/// Applies `record` and names the API objects that it changed.
std::vector<control::ObjectRef> apply_noting(control::State& state, const Record& record) {
  Objects touched;
  add_removed_gpus(touched, state.fleet(), record);
  state.apply(record);
  for (const auto& event : record.events) {
    for (auto& object : control::touched_by(state, event)) touched.insert(std::move(object));
  }
  return {touched.begin(), touched.end()};
}

}  // namespace

/// Everything that shares one durable commit.
struct Engine::Batch {
  struct Decided {
    PendingAsk pending;
    Answer answer;
    std::uint64_t needs = 0;  ///< the revision that must be durable before it is answered
  };
  std::vector<Record> records;  ///< to be stored, without the empty ones
  std::vector<Decided> decided;
};

void Engine::run() {
  while (true) {
    auto asks = queue_.take(options_.batch_limit, wait_now());
    if (asks.empty() && queue_.closed()) return;
    Batch batch;
    const Result<void> settled = settle();
    if (settled) {
      issue_own(batch);
      for (auto& pending : asks) decide(batch, std::move(pending));
      store(batch);
    } else {
      for (auto& pending : asks) batch.decided.push_back({std::move(pending), {}, kNever});
      answer(batch, settled);
    }
  }
}

base::Duration Engine::wait_now() const {
  // What is due but cannot be done is not tried in a tight loop.
  const auto due = ahead_->next_due();
  if (!settled_ || !stored_ || !tick_helped_ || !due) return options_.idle_wait;
  return std::clamp(*due - clock_.now(), base::Duration::zero(), options_.idle_wait);
}

void Engine::issue_own(Batch& batch) {
  const base::Instant now = clock_.now();
  const auto due = ahead_->next_due();
  if (due && *due <= now) {
    const std::size_t before = batch.records.size();
    step_own(batch, control::Tick{});
    tick_helped_ = batch.records.size() > before;
  } else {
    tick_helped_ = true;
  }
  if (now < last_look_ || now - last_look_ >= options_.idle_wait) {
    last_look_ = now;
    for (auto& node : watch_.look(ahead_->fleet(), now)) {
      step_own(batch, control::NodeSilent{std::move(node)});
    }
  }
}

void Engine::step_own(Batch& batch, const control::Command& command) {
  auto record = control::step(*ahead_, command, kSystem, clock_.now());
  // A refusal is no trouble: the node was deleted, or reported, earlier in this batch.
  if (record && !record->events.empty()) batch.records.push_back(std::move(*record));
}

void Engine::decide(Batch& batch, PendingAsk pending) {
  const Ask& ask = pending.ask;
  Result<void> met = ask.precondition ? ask.precondition(*ahead_) : Result<void>();
  Answer answer = met ? control::step(*ahead_, ask.command, ask.actor, clock_.now())
                      : Answer(std::unexpected(std::move(met.error())));
  if (answer) {
    if (!answer->events.empty()) batch.records.push_back(*answer);
    if (const auto* report = std::get_if<control::Report>(&ask.command)) {
      watch_.heard(report->report.node, clock_.now());
    }
  }
  batch.decided.push_back({std::move(pending), std::move(answer), ahead_->revision()});
}

void Engine::store(Batch& batch) {
  if (batch.records.empty()) return answer(batch, {});
  const auto begin = std::chrono::steady_clock::now();
  const Result<void> stored = journal_.append(batch.records);
  const auto took = std::chrono::steady_clock::now() - begin;
  stored_ = stored.has_value();
  if (stored_) {
    publish(std::move(batch.records));
  } else {
    settled_ = false;
    // If the journal cannot be asked either, run() tries again before it decides anything.
    (void)settle();
  }
  note_commit(stored, took);
  answer(batch, stored);
}

Result<void> Engine::settle() {
  if (settled_) return {};
  const auto last = journal_.last_revision();
  if (!last) return std::unexpected(last.error());
  std::vector<Record> records;
  auto read = journal_.read(durable_->revision() + 1, [&](Record record) -> Result<void> {
    records.push_back(std::move(record));
    return {};
  });
  if (!read) return read;
  publish(std::move(records));
  CHECK(durable_->revision() == *last);
  *ahead_ = durable_->clone();
  settled_ = true;
  return {};
}

void Engine::publish(std::vector<Record> records) {
  if (records.empty()) return;
  std::vector<Change> changes;
  {
    const auto lock = gate_.write();
    for (auto& record : records) {
      auto touched = apply_noting(*durable_, record);
      changes.push_back({std::move(record), std::move(touched)});
    }
  }
  snapshotter_.reached(durable_->revision());
  feed_.publish(std::move(changes));
}

void Engine::note_commit(const Result<void>& stored, std::chrono::nanoseconds took) {
  const std::lock_guard lock(status_mutex_);
  status_.writable = stored.has_value();
  status_.trouble = stored ? std::string() : base::to_string(stored.error());
  if (!stored) return;
  ++status_.commits;
  status_.commit_time += took;
}

void Engine::answer(Batch& batch, const Result<void>& stored) {
  std::uint64_t refused = 0;
  for (auto& decided : batch.decided) {
    if (!stored && decided.needs > durable_->revision()) {
      decided.answer = base::fail(
          Reason::kUnavailable, "the journal cannot be written: " + base::to_string(stored.error()),
          {}, "try again");
    }
    if (!decided.answer) ++refused;
  }
  {
    const std::lock_guard lock(status_mutex_);
    status_.asked += batch.decided.size();
    status_.refused += refused;
  }
  for (auto& decided : batch.decided) decided.pending.handler(std::move(decided.answer));
}

}  // namespace tessera::service
