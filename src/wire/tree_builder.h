#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "wire/value.h"

namespace tessera::wire {

/// "file.yaml:12", or "line 12" when the source has no name.
std::string place_of(const std::string& source, int line);

/// Builds one Value from the events of a parser, and holds the rules that YAML and JSON share:
/// bounded depth, no key twice, no control characters. After the first error every call answers
/// false, and the parser should stop.
class TreeBuilder {
 public:
  TreeBuilder(const std::string& source, int most_depth)
      : source_(source), most_depth_(most_depth) {}

  bool scalar(ValueKind kind, std::string text, int line);
  bool open(ValueKind kind, int line);  ///< kList or kMap
  bool close();
  bool key(std::string text, int line);
  bool refuse(int line, std::string what, std::string todo,
              base::Reason reason = base::Reason::kInvalidDocument);

  /// The next event of a well-formed text is a key.
  bool expects_key() const;
  const std::optional<base::Error>& error() const { return error_; }
  /// The finished tree; the builder is empty again.
  Value take() { return std::exchange(root_, Value{}); }

 private:
  struct Open {
    Value value;
    std::string key;  ///< of the member being read
    int key_line = 0;
    bool has_key = false;
  };

  bool acceptable(const std::string& text, int line);
  bool keys_differ(const Value& map);
  void attach(Value value);

  const std::string& source_;
  int most_depth_;
  std::vector<Open> open_;
  Value root_;
  std::optional<base::Error> error_;
};

}  // namespace tessera::wire
