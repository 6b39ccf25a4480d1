#include <cstddef>
#include <iterator>

#include <nlohmann/json.hpp>

#include "wire/parse.h"
#include "wire/parse_text.h"
#include "wire/text.h"
#include "wire/tree_builder.h"

namespace tessera::wire {
namespace {

/// Where the parser is. It reads one character ahead after a number and nowhere else.
struct Position {
  int line = 1;
  bool after_newline = false;
};

/// Hands characters to the parser and counts lines: its events do not say where they are.
class CountingIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  CountingIterator(const char* at, Position* position) : at_(at), position_(position) {}
  reference operator*() const { return *at_; }
  CountingIterator& operator++() {
    position_->after_newline = *at_ == '\n';
    if (position_->after_newline) ++position_->line;
    ++at_;
    return *this;
  }
  CountingIterator operator++(int) {
    CountingIterator before = *this;
    ++*this;
    return before;
  }
  friend bool operator==(const CountingIterator& a, const CountingIterator& b) {
    return a.at_ == b.at_;
  }

 private:
  const char* at_;
  Position* position_;
};

/// nlohmann's event interface, forwarded to the builder.
class JsonEvents final : public nlohmann::json_sax<nlohmann::json> {
 public:
  JsonEvents(TreeBuilder& builder, const Position& position)
      : builder_(builder), position_(position) {}

  bool null() override { return builder_.scalar(ValueKind::kNull, {}, line()); }
  bool boolean(bool value) override {
    return builder_.scalar(ValueKind::kBool, value ? "true" : "false", line());
  }
  bool number_integer(std::int64_t value) override { return number(std::to_string(value)); }
  bool number_unsigned(std::uint64_t value) override { return number(std::to_string(value)); }
  bool number_float(double, const std::string& written) override { return number(written); }
  bool string(std::string& value) override {
    return builder_.scalar(ValueKind::kText, std::move(value), line());
  }
  bool binary(nlohmann::json::binary_t&) override {
    return builder_.refuse(line(), "binary data is not JSON", "write text");
  }
  bool start_object(std::size_t) override { return builder_.open(ValueKind::kMap, line()); }
  bool key(std::string& text) override { return builder_.key(std::move(text), line()); }
  bool end_object() override { return builder_.close(); }
  bool start_array(std::size_t) override { return builder_.open(ValueKind::kList, line()); }
  bool end_array() override { return builder_.close(); }
  bool parse_error(std::size_t, const std::string&,
                   const nlohmann::detail::exception& error) override {
    // "[json.exception.parse_error.101] parse error at line 1, column 2: syntax error …"
    std::string_view text = error.what();
    if (const auto at = text.find("column "); at != text.npos)
      text.remove_prefix(at);
    else if (const auto bracket = text.find("] "); bracket != text.npos)
      text.remove_prefix(bracket + 2);
    return builder_.refuse(line(), "this is not JSON: " + clip(text, 200), "correct the syntax");
  }

 private:
  int line() const { return position_.line; }
  bool number(std::string text) {
    return builder_.scalar(ValueKind::kNumber, std::move(text),
                           line() - (position_.after_newline ? 1 : 0));
  }

  TreeBuilder& builder_;
  const Position& position_;
};

}  // namespace

base::Result<Value> parse_json(std::string_view text, const std::string& source, Limits limits) {
  const auto checked = checked_text(text, source, limits);
  if (!checked) return std::unexpected(checked.error());
  Position position;
  TreeBuilder builder(source, limits.depth);
  JsonEvents events(builder, position);
  const char* const begin = checked->data();
  const bool whole =
      nlohmann::json::sax_parse(CountingIterator(begin, &position),
                                CountingIterator(begin + checked->size(), &position), &events);
  if (builder.error()) return std::unexpected(*builder.error());
  if (!whole)
    return base::fail(base::Reason::kInvalidDocument, "this is not JSON",
                      place_of(source, position.line), "correct the syntax");
  return builder.take();
}

}  // namespace tessera::wire
