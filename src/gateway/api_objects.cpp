#include <charconv>

#include "gateway/api.h"
#include "gateway/listing.h"
#include "wire/document.h"

/// Objects in general: lists, single ones, documents.
namespace tessera::gateway {

using base::Error;
using base::Reason;
using control::Command;
using control::Record;
using control::State;
using wire::Json;

namespace {

constexpr std::size_t kDefaultLimit = 500;
constexpr std::size_t kMostItems = 1000;

base::Result<std::size_t> limit_of(const Call& call) {
  const std::string* text = call.query("limit");
  if (text == nullptr) return kDefaultLimit;
  std::size_t limit = 0;
  const auto [next, error] = std::from_chars(text->data(), text->data() + text->size(), limit);
  if (error != std::errc{} || next != text->data() + text->size() || limit < 1 ||
      limit > kMostItems)
    return base::fail(Reason::kInvalidQuantity,
                      "\"" + text->substr(0, 64) + "\" is not a page's size", "limit",
                      "write a number from 1 to 1000");
  return limit;
}

std::string query_or_empty(const Call& call, std::string_view name) {
  const std::string* text = call.query(name);
  return text != nullptr ? *text : std::string();
}

Error unknown_object(std::string_view kind, std::string_view name) {
  return {Reason::kUnknownObject,
          "there is no " + std::string(kind) + " \"" + std::string(name) + "\"",
          {},
          {}};
}

Command deletion_of(std::string_view kind, std::string name, bool gone) {
  if (kind == "Tier") return control::DeleteTier{std::move(name)};
  if (kind == "Team") return control::DeleteTeam{std::move(name)};
  if (kind == "Pool") return control::DeletePool{std::move(name)};
  if (kind == "Node") return control::DeleteNode{std::move(name), gone};
  return control::DeleteToken{std::move(name)};
}

/// If-Match and If-None-Match of a write, judged by what is there right before it.
base::Result<void> judge(const std::string* if_match, const std::string* if_none_match,
                         const Json& before) {
  if (if_match != nullptr && (before.is_null() || !names_etag(*if_match, etag_of(text_of(before)))))
    return base::fail(
        Reason::kConflict,
        before.is_null() ? "the object does not exist" : "the object has changed since it was read",
        "If-Match", "read it again and repeat the change on what it is now");
  if (if_none_match != nullptr && !before.is_null() &&
      names_etag(*if_none_match, etag_of(text_of(before))))
    return base::fail(Reason::kConflict, "the object exists", "If-None-Match",
                      "leave If-None-Match out to replace it");
  return {};
}

/// Tiers first, then pools, nodes and teams: each may name the ones before it.
base::Result<control::Apply> apply_of(std::vector<wire::Document> documents) {
  std::array<control::Apply, 4> by_kind;
  for (wire::Document& document : documents) {
    auto& object = document.object;
    if (auto* tier = std::get_if<tenancy::Tier>(&object))
      by_kind[0].documents.emplace_back(control::PutTier{std::move(*tier)});
    else if (auto* pool = std::get_if<fleet::Pool>(&object))
      by_kind[1].documents.emplace_back(control::PutPool{std::move(*pool)});
    else if (auto* node = std::get_if<control::PutNode>(&object))
      by_kind[2].documents.emplace_back(std::move(*node));
    else if (auto* team = std::get_if<tenancy::Team>(&object))
      by_kind[3].documents.emplace_back(control::PutTeam{std::move(*team)});
    else
      return base::fail(Reason::kInvalidDocument, "a Request cannot be applied, only asked for",
                        document.where, "send it to POST /v1/requests");
  }
  control::Apply apply;
  for (auto& part : by_kind)
    for (auto& document : part.documents) apply.documents.push_back(std::move(document));
  return apply;
}

}  // namespace

void Api::list(const CallPtr& call) {
  const auto limit = limit_of(*call);
  if (!limit) return call->refuse(limit.error());
  const Filter filter{query_or_empty(*call, "team"), query_or_empty(*call, "state"),
                      query_or_empty(*call, "pool"), query_or_empty(*call, "node"),
                      query_or_empty(*call, "tier")};
  const std::string after = query_or_empty(*call, "continue");
  const std::string_view kind = call->route->kind;
  auto list = engine_.read([&](const State& state) -> base::Result<Json> {
    const auto page = page_of(state, kind, filter, after, *limit);
    if (!page) return std::unexpected(page.error());
    std::vector<Json> items;
    items.reserve(page->names.size());
    for (const std::string& name : page->names)
      if (auto object = wire::find_object(state, kind, name)) items.push_back(std::move(*object));
    return wire::list_of(kind, state.revision(), std::move(items), page->next);
  });
  if (!list) return call->refuse(list.error());
  call->reply(json_response(*list));
}

void Api::get(const CallPtr& call) {
  const std::string_view kind = call->route->kind;
  const std::string name = object_name(*call);
  const Json object =
      engine_.read([&](const State& state) { return object_json(state, kind, name); });
  if (object.is_null()) return call->refuse(unknown_object(kind, name));
  call->reply(tagged_response(*call, object));
}

void Api::put(const CallPtr& call) {
  const std::string_view kind = call->route->kind;
  const std::string name = object_name(*call);
  auto declared =
      wire::decode_document(call->request().body, *catalog_, {.bytes = options_.max_body});
  if (!declared) return call->refuse(declared.error());
  if (wire::kind_of(*declared) != kind)
    return call->refuse(
        {Reason::kInvalidDocument,
         "this is a " + std::string(wire::kind_of(*declared)) + ", not a " + std::string(kind),
         "kind",
         {}});
  if (wire::name_of(*declared) != name)
    return call->refuse({Reason::kInvalidDocument,
                         "the address names \"" + name + "\", the document \"" +
                             std::string(wire::name_of(*declared)) + "\"",
                         "metadata.name", "make them the same"});
  Condition condition;
  const auto existed = std::make_shared<bool>(false);
  condition.check = [this, call, kind, name, existed,
                     failed = condition.failed](const State& state) -> base::Result<void> {
    const Json before = object_json(state, kind, name);
    *existed = !before.is_null();
    auto judged = judge(call->header("If-Match"), call->header("If-None-Match"), before);
    *failed = !judged;
    return judged;
  };
  write(
      call, wire::command_of(std::move(*declared)),
      [this, call, kind, name, existed](const State& state, const Record&) {
        return object_response(state, kind, name, *existed || call->dry_run ? 200 : 201);
      },
      condition);
}

void Api::remove(const CallPtr& call) {
  const std::string_view kind = call->route->kind;
  const std::string name = object_name(*call);
  const auto gone = flag(call->target, "gone");
  if (!gone) return call->refuse(gone.error());
  Condition condition;
  const auto before = std::make_shared<Json>();
  condition.check = [this, call, kind, name, before,
                     failed = condition.failed](const State& state) -> base::Result<void> {
    *before = object_json(state, kind, name);
    if (before->is_null()) return std::unexpected(unknown_object(kind, name));
    auto judged = judge(call->header("If-Match"), nullptr, *before);
    *failed = !judged;
    return judged;
  };
  write(
      call, deletion_of(kind, name, *gone),
      [before](const State&, const Record&) { return json_response(*before); }, condition);
}

void Api::apply(const CallPtr& call) {
  auto documents =
      wire::decode_documents(call->request().body, {}, *catalog_, {.bytes = options_.max_body});
  if (!documents) return call->refuse(documents.error());
  const auto changes = std::make_shared<std::vector<wire::Change>>();
  for (const auto& document : *documents)
    changes->push_back({std::string(wire::kind_of(document.object)),
                        std::string(wire::name_of(document.object)), nullptr, nullptr});
  auto command = apply_of(std::move(*documents));
  if (!command) return call->refuse(command.error());
  Condition condition;
  condition.check = [this, changes](const State& state) -> base::Result<void> {
    for (auto& change : *changes) change.before = object_json(state, change.kind, change.name);
    return {};
  };
  write(
      call, std::move(*command),
      [this, changes](const State& state, const Record&) {
        for (auto& change : *changes) change.after = object_json(state, change.kind, change.name);
        return json_response(wire::apply_result(*changes));
      },
      condition);
}

void Api::cordon(const CallPtr& call) {
  write_object(call, control::Cordon{object_name(*call), true});
}

void Api::uncordon(const CallPtr& call) {
  write_object(call, control::Cordon{object_name(*call), false});
}

void Api::restore(const CallPtr& call) {
  write_object(call, control::Restore{object_name(*call)});
}

}  // namespace tessera::gateway
