#include "wire/tree_builder.h"

#include <algorithm>

#include "wire/text.h"

namespace tessera::wire {

std::string place_of(const std::string& source, int line) {
  const std::string number = std::to_string(line);
  return source.empty() ? "line " + number : source + ":" + number;
}

bool TreeBuilder::refuse(int line, std::string what, std::string todo, base::Reason reason) {
  if (!error_)
    error_ = base::Error{reason, std::move(what), place_of(source_, line), std::move(todo)};
  return false;
}

bool TreeBuilder::acceptable(const std::string& text, int line) {
  if (error_) return false;
  if (!first_control(text) && !first_not_utf8(text)) return true;
  return refuse(line, "a text has a control character", "write printable characters only");
}

bool TreeBuilder::scalar(ValueKind kind, std::string text, int line) {
  if (!acceptable(text, line)) return false;
  attach(Value{.kind = kind, .line = line, .text = std::move(text), .items = {}, .members = {}});
  return true;
}

bool TreeBuilder::open(ValueKind kind, int line) {
  if (error_) return false;
  if (open_.size() >= static_cast<std::size_t>(most_depth_))
    return refuse(line,
                  "lists and maps are nested more than " + std::to_string(most_depth_) + " deep",
                  "write a flatter document", base::Reason::kTooLarge);
  Open opened;
  opened.value.kind = kind;
  opened.value.line = line;
  open_.push_back(std::move(opened));
  return true;
}

bool TreeBuilder::close() {
  if (error_) return false;
  Value value = std::move(open_.back().value);
  open_.pop_back();
  if (!keys_differ(value)) return false;
  attach(std::move(value));
  return true;
}

bool TreeBuilder::key(std::string text, int line) {
  if (!acceptable(text, line)) return false;
  Open& map = open_.back();
  map.key = std::move(text);
  map.key_line = line;
  map.has_key = true;
  return true;
}

bool TreeBuilder::expects_key() const {
  return !open_.empty() && open_.back().value.kind == ValueKind::kMap && !open_.back().has_key;
}

/// By sorting, because a hostile map may have a hundred thousand keys.
bool TreeBuilder::keys_differ(const Value& map) {
  std::vector<const Member*> sorted;
  sorted.reserve(map.members.size());
  for (const Member& member : map.members) sorted.push_back(&member);
  std::ranges::stable_sort(sorted, {}, &Member::key);
  const auto twice = std::ranges::adjacent_find(sorted, {}, &Member::key);
  if (twice == sorted.end()) return true;
  const Member& second = **std::next(twice);
  return refuse(second.line, "the key \"" + clip(second.key) + "\" appears twice",
                "remove one of them; the first is on line " + std::to_string((*twice)->line));
}

void TreeBuilder::attach(Value value) {
  if (open_.empty()) {
    root_ = std::move(value);
    return;
  }
  Open& parent = open_.back();
  if (parent.value.kind == ValueKind::kList) {
    parent.value.items.push_back(std::move(value));
    return;
  }
  // Nothing has no place of its own: parsers report the line of what follows it.
  if (value.kind == ValueKind::kNull) value.line = parent.key_line;
  parent.value.members.push_back(Member{std::move(parent.key), parent.key_line, std::move(value)});
  parent.has_key = false;
}

}  // namespace tessera::wire
