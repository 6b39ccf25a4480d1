#include "gateway/agent_desk.h"

#include <algorithm>
#include <limits>
#include <set>
#include <utility>

#include "wire/agent_protocol.h"

namespace tessera::gateway {

using base::Reason;

namespace {

HttpResponse target_response(const fleet::NodeTarget& target) {
  return {200, {{"Content-Type", "application/json"}}, wire::encode(target).dump() + "\n"};
}

/// The node that an object is or belongs to; empty for others.
std::string node_of(const control::ObjectRef& object) {
  if (object.kind == "Node") return object.name;
  if (object.kind == "Gpu") return object.name.substr(0, object.name.rfind('/'));
  return {};
}

}  // namespace

AgentDesk::AgentDesk(service::Engine& engine) : engine_(engine), seen_(engine.feed().newest()) {
  listening_ = engine_.feed().listen([this](std::uint64_t) { on_news(); });
}

AgentDesk::~AgentDesk() {
  stop();
}

void AgentDesk::stop() {
  std::map<std::string, std::vector<Waiting>> left;
  {
    const std::lock_guard lock(waiting_mutex_);
    stopped_ = true;
    left.swap(waiting_);
  }
  for (const auto& [node, waiting] : left)
    for (const Waiting& one : waiting)
      one.exchange->reply(problem({Reason::kUnavailable, "the server is stopping", {}, {}}));
}

base::Result<fleet::NodeTarget> AgentDesk::current(const std::string& node) {
  const std::lock_guard lock(targets_mutex_);
  auto target = engine_.read([&](const control::State& state) -> base::Result<fleet::NodeTarget> {
    const auto index = state.fleet().find_node(node);
    if (!index) return base::fail(Reason::kUnknownObject, "there is no Node \"" + node + "\"");
    return control::target_of(state, *index);
  });
  if (!target) {
    targets_.erase(node);
    return target;
  }
  const fleet::Moment moment = target->moment();
  target->incarnation = target->revision = 0;
  std::string content = wire::encode(*target).dump();
  Known& known = targets_[node];
  // An agent may have heard the same from a control plane whose journal was lost.
  if (known.content != content || known.moment.incarnation != moment.incarnation)
    known = {std::move(content), moment};
  target->incarnation = known.moment.incarnation;
  target->revision = known.moment.revision;
  return target;
}

void AgentDesk::answer(const std::shared_ptr<Exchange>& exchange, const std::string& node,
                       fleet::Moment since, std::uint64_t heard, std::chrono::milliseconds wait) {
  const auto process =
      engine_.read([](const control::State& state) { return state.next_incarnation(); });
  if (wait.count() > 0 && heard == process) {
    // Wait first, look then: a change in between is not missed.
    {
      const std::lock_guard lock(waiting_mutex_);
      if (stopped_)
        return exchange->reply(problem({Reason::kUnavailable, "the server is stopping", {}, {}}));
      auto& waiting = waiting_[node];
      // One agent has one question at a time; those it gave up on are answered already, or will
      // be when their time is over.
      std::erase_if(waiting, [](const Waiting& one) { return one.exchange->answered(); });
      waiting.push_back({exchange, since});
    }
    exchange->after(wait, [this, exchange, node] { answer(exchange, node, {}, {}, {}); });
    return recheck(node);
  }
  if (exchange->answered()) return;
  const auto target = current(node);
  exchange->reply(target ? target_response(*target) : problem(target.error()));
}

/// Answers those who wait for `node` and know less than there is.
void AgentDesk::recheck(const std::string& node) {
  const auto target = current(node);
  std::vector<Waiting> due;
  {
    const std::lock_guard lock(waiting_mutex_);
    const auto found = waiting_.find(node);
    if (found == waiting_.end()) return;
    auto& waiting = found->second;
    const auto rest = std::ranges::partition(waiting, [&](const Waiting& one) {
      return target && target->moment() <= one.since && !one.exchange->answered();
    });
    due.assign(std::make_move_iterator(rest.begin()), std::make_move_iterator(rest.end()));
    waiting.erase(rest.begin(), rest.end());
    if (waiting.empty()) waiting_.erase(found);
  }
  for (const Waiting& one : due)
    one.exchange->reply(target ? target_response(*target) : problem(target.error()));
}

/// On the engine's thread: finds out who is concerned and leaves the work to the server's threads.
void AgentDesk::on_news() {
  const auto changes = engine_.feed().after(seen_, std::numeric_limits<std::size_t>::max());
  std::set<std::string> nodes;
  if (changes)
    for (const auto& change : *changes)
      for (const auto& object : change->touched) nodes.insert(node_of(object));
  seen_ = engine_.feed().newest();
  std::vector<std::pair<std::string, std::shared_ptr<Exchange>>> concerned;
  {
    const std::lock_guard lock(waiting_mutex_);
    for (const auto& [node, waiting] : waiting_)
      if (!waiting.empty() && (!changes || nodes.contains(node)))
        concerned.emplace_back(node, waiting.front().exchange);
  }
  for (const auto& [node, exchange] : concerned)
    exchange->after({}, [this, node = node] { recheck(node); });
}

}  // namespace tessera::gateway
