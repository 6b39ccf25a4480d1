#pragma once

#include <expected>
#include <string>
#include <utility>

#include "base/reason.h"

namespace tessera::base {

/// A refusal that a person can act on: what is wrong, where, and what to do about it.
struct Error {
  Reason reason = Reason::kInternal;
  std::string what;   ///< one sentence, no trailing full stop
  std::string where;  ///< field path, "file:line", object name; may be empty
  std::string todo;   ///< what to do; may be empty
};

template <class T>
using Result = std::expected<T, Error>;

inline std::unexpected<Error> fail(Reason reason, std::string what, std::string where = {},
                                   std::string todo = {}) {
  return std::unexpected(Error{reason, std::move(what), std::move(where), std::move(todo)});
}

/// "where: what; todo", with the absent parts left out.
inline std::string to_string(const Error& error) {
  std::string text = error.where.empty() ? error.what : error.where + ": " + error.what;
  if (!error.todo.empty()) text += "; " + error.todo;
  return text;
}

}  // namespace tessera::base
