#include <sstream>

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include "wire/parse.h"
#include "wire/parse_text.h"
#include "wire/text.h"
#include "wire/tree_builder.h"

namespace tessera::wire {
namespace {

/// Ends a parse whose builder has refused something. yaml-cpp has no other way to be stopped.
struct Stopped {};

bool all_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == text.npos;
}

/// JSON's grammar of numbers; all else that YAML might take for one (010, 0x1F, 1_000, .5) is text.
bool is_number(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  if (const auto at = text.find_first_of("eE"); at != text.npos) {
    std::string_view exponent = text.substr(at + 1);
    if (exponent.starts_with('+') || exponent.starts_with('-')) exponent.remove_prefix(1);
    if (!all_digits(exponent)) return false;
    text = text.substr(0, at);
  }
  if (const auto point = text.find('.'); point != text.npos) {
    if (!all_digits(text.substr(point + 1))) return false;
    text = text.substr(0, point);
  }
  return all_digits(text) && (text.size() == 1 || text.front() != '0');
}

ValueKind kind_of_plain(const std::string& text) {
  if (text == "true" || text == "false") return ValueKind::kBool;
  return is_number(text) ? ValueKind::kNumber : ValueKind::kText;
}

/// yaml-cpp's events, forwarded to the builder. A stream's documents come one after the other.
class YamlEvents final : public YAML::EventHandler {
 public:
  explicit YamlEvents(TreeBuilder& builder) : builder_(builder) {}

  /// The library never passes a stray "}" or "]": it finds an empty document in front of it, again
  /// and again.
  void OnDocumentStart(const YAML::Mark& mark) override {
    if (mark.pos == last_start_)
      go_on(builder_.refuse(line(mark), "this is not YAML: something is left after the document",
                            "remove it, or begin a new document with ---"));
    last_start_ = mark.pos;
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    refuse_anchor(mark, anchor);
    if (builder_.expects_key()) go_on(builder_.refuse(line(mark), "a key is empty", "write a key"));
    go_on(builder_.scalar(ValueKind::kNull, {}, line(mark)));
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override { refuse_anchor(mark, 1); }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    refuse_anchor(mark, anchor);
    const bool quoted = tag == "!";
    if (!quoted) refuse_tag(mark, tag);
    if (builder_.expects_key()) return go_on(builder_.key(value, line(mark)));
    const ValueKind kind = quoted ? ValueKind::kText : kind_of_plain(value);
    go_on(builder_.scalar(kind, value, line(mark)));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(ValueKind::kList, mark, tag, anchor);
  }
  void OnSequenceEnd() override { go_on(builder_.close()); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(ValueKind::kMap, mark, tag, anchor);
  }
  void OnMapEnd() override { go_on(builder_.close()); }

 private:
  static int line(const YAML::Mark& mark) { return mark.line + 1; }
  static void go_on(bool accepted) {
    if (!accepted) throw Stopped{};
  }
  void open(ValueKind kind, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    refuse_anchor(mark, anchor);
    refuse_tag(mark, tag);
    if (builder_.expects_key())
      go_on(builder_.refuse(line(mark), "a list or map stands where a key should be",
                            "write keys as plain text; quote values that start with { or ["));
    go_on(builder_.open(kind, line(mark)));
  }
  void refuse_anchor(const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (anchor != YAML::NullAnchor)
      go_on(builder_.refuse(line(mark), "anchors (&) and aliases (*) are not accepted",
                            "write the value out"));
  }
  void refuse_tag(const YAML::Mark& mark, const std::string& tag) {
    if (!tag.empty() && tag != "?")
      go_on(builder_.refuse(line(mark), "the tag " + clip(tag) + " is not accepted", "remove it"));
  }

  TreeBuilder& builder_;
  int last_start_ = -1;  ///< where the document before this one began
};

}  // namespace

base::Result<std::vector<Value>> parse_yaml(std::string_view text, const std::string& source,
                                            Limits limits) {
  const auto checked = checked_text(text, source, limits);
  if (!checked) return std::unexpected(checked.error());
  std::vector<Value> documents;
  TreeBuilder builder(source, limits.depth);
  // The library reports by exceptions; they end here.
  try {
    std::istringstream stream{std::string(*checked)};
    YAML::Parser parser(stream);
    YamlEvents events(builder);
    while (parser.HandleNextDocument(events)) {
      Value document = builder.take();
      if (document.kind != ValueKind::kNull) documents.push_back(std::move(document));
    }
  } catch (const Stopped&) {
    return std::unexpected(*builder.error());
  } catch (const YAML::Exception& error) {
    return base::fail(base::Reason::kInvalidDocument,
                      "this is not YAML: " + clip(error.msg, 200) + " (column " +
                          std::to_string(error.mark.column + 1) + ")",
                      place_of(source, error.mark.line + 1), "correct the syntax");
  }
  return documents;
}

}  // namespace tessera::wire
