#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/quantity.h"
#include "base/result.h"
#include "base/time.h"
#include "wire/text.h"
#include "wire/value.h"

/// Strict reading of values into fields.
///
/// The first refusal is kept and everything after it is skipped, so that code which reads a struct
/// is a plain list of its fields, and asks once at the end whether all went well.
namespace tessera::wire {

/// Where a value stands in its document: "spec.layout.instances[1]".
using Path = std::string;
Path member_path(const Path& parent, std::string_view key);
Path item_path(const Path& parent, std::size_t index);

/// Collects the first refusal and reads single scalars. A reader that refuses leaves its target
/// alone. Value type of one decoding; one thread.
class Decoder {
 public:
  /// `source` names the file; empty for a body, whose errors then say the path alone.
  explicit Decoder(std::string source) : source_(std::move(source)) {}

  bool ok() const { return !error_; }
  /// The first refusal; only when !ok().
  std::unexpected<base::Error> error() const { return std::unexpected(*error_); }

  void refuse(int line, const Path& path, std::string what, std::string todo,
              base::Reason reason = base::Reason::kInvalidDocument);
  /// As above with an error that does not know where it happened.
  void refuse(int line, const Path& path, const base::Error& error);

  void text(const Value& value, const Path& path, std::string& out);
  /// A name as in valid_name().
  void name(const Value& value, const Path& path, std::string& out);
  void flag(const Value& value, const Path& path, bool& out);
  void whole(const Value& value, const Path& path, std::int64_t least, std::int64_t most,
             std::int64_t& out);
  void memory(const Value& value, const Path& path, base::MiB& out);
  void cpu(const Value& value, const Path& path, base::MilliCpu& out);
  void duration(const Value& value, const Path& path, base::Duration& out);
  /// A count with at most `decimals` decimals, in units of 10^-decimals, at most `most` of them.
  void decimal(const Value& value, const Path& path, int decimals, std::int64_t most,
               std::int64_t& out);
  bool expect(const Value& value, const Path& path, ValueKind kind);

 private:
  template <class T, class Parse>
  void quantity(const Value& value, const Path& path, T& out, Parse parse);

  std::string source_;
  std::optional<base::Error> error_;
};

enum class Presence : std::uint8_t { kOptional, kRequired };

/// One map being read. Every key that was asked for is known; finish() refuses all others and then
/// what is missing, so that a misspelt key is reported as such. Borrows the value and the decoder.
class Fields {
 public:
  /// A value that is not a map is refused and read as an empty one.
  Fields(const Value& value, Path path, Decoder& decoder);

  /// The value of `key`, or nullptr when absent. A key without a value is refused.
  const Value* take(std::string_view key, Presence presence = Presence::kOptional);
  bool has(std::string_view key) const { return value_.find(key) != nullptr; }
  Path path_of(std::string_view key) const { return member_path(path_, key); }
  const Path& path() const { return path_; }
  int line() const { return value_.line; }
  Decoder& decoder() { return decoder_; }

  // Each reads one optional or required key; an absent one leaves `out` as it is.
  void text(std::string_view key, std::string& out, Presence presence = Presence::kOptional);
  void name(std::string_view key, std::string& out, Presence presence = Presence::kOptional);
  /// A name, or "" for none.
  void name_or_empty(std::string_view key, std::string& out);
  void memory(std::string_view key, base::MiB& out, Presence presence = Presence::kOptional);
  void cpu(std::string_view key, base::MilliCpu& out, Presence presence = Presence::kOptional);
  void duration(std::string_view key, base::Duration& out, Presence presence = Presence::kOptional);
  template <class Integer>
  void whole(std::string_view key, std::int64_t least, std::int64_t most, Integer& out,
             Presence presence = Presence::kOptional);
  /// One of `all`, by their to_string.
  template <class T>
  void choice(std::string_view key, std::initializer_list<T> all, T& out,
              Presence presence = Presence::kOptional);
  template <class T>
  void choices(std::string_view key, std::initializer_list<T> all, std::vector<T>& out);
  void names(std::string_view key, std::vector<std::string>& out);

  /// A key that may hold anything and means nothing here (`status` of a document read back).
  void ignore(std::string_view key) { known_.push_back(key); }
  void finish();

 private:
  const Value& value_;
  Path path_;
  Decoder& decoder_;
  std::vector<std::string_view> known_;
  std::vector<std::string_view> missing_;
};

template <class Integer>
void Fields::whole(std::string_view key, std::int64_t least, std::int64_t most, Integer& out,
                   Presence presence) {
  const Value* value = take(key, presence);
  if (value == nullptr) return;
  std::int64_t read = 0;
  decoder_.whole(*value, path_of(key), least, most, read);
  if (decoder_.ok()) out = static_cast<Integer>(read);
}

/// Reads one word of a vocabulary.
template <class T>
void read_choice(Decoder& decoder, const Value& value, const Path& path,
                 std::initializer_list<T> all, T& out) {
  std::string word;
  decoder.text(value, path, word);
  if (!decoder.ok()) return;
  std::vector<std::string_view> words;
  for (const T candidate : all) {
    if (to_string(candidate) == word) {
      out = candidate;
      return;
    }
    words.push_back(to_string(candidate));
  }
  const auto near = nearest(word, words);
  decoder.refuse(value.line, path, "\"" + clip(word) + "\" is none of " + join(words),
                 near ? "did you mean \"" + std::string(*near) + "\"?" : "write one of these");
}

template <class T>
void Fields::choice(std::string_view key, std::initializer_list<T> all, T& out, Presence presence) {
  if (const Value* value = take(key, presence))
    read_choice(decoder_, *value, path_of(key), all, out);
}

template <class T>
void Fields::choices(std::string_view key, std::initializer_list<T> all, std::vector<T>& out) {
  const Value* value = take(key);
  if (value == nullptr || !decoder_.expect(*value, path_of(key), ValueKind::kList)) return;
  out.clear();
  for (std::size_t i = 0; i < value->items.size() && decoder_.ok(); ++i) {
    const Path path = item_path(path_of(key), i);
    T item{};
    read_choice(decoder_, value->items[i], path, all, item);
    for (const T earlier : out)
      if (earlier == item)
        decoder_.refuse(value->items[i].line, path,
                        "\"" + std::string(to_string(item)) + "\" appears twice",
                        "remove one of them");
    out.push_back(item);
  }
}

}  // namespace tessera::wire
