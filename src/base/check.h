#pragma once

#include <source_location>
#include <stdexcept>
#include <string>

/// A broken promise of our own code, never of the input.
///
/// CHECK stays on in release builds. It throws, so that a simulation can name the seed that led
/// here; nothing in production catches it, so a server stops and replays its journal.
namespace tessera::base {

class CheckFailed : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

[[noreturn]] void check_failed(const char* condition, const std::string& detail,
                               std::source_location at = std::source_location::current());

}  // namespace tessera::base

#define CHECK(condition)                                             \
  do {                                                               \
    if (!(condition)) ::tessera::base::check_failed(#condition, {}); \
  } while (false)

/// As CHECK, with a text that says which thing was wrong.
#define CHECK_MSG(condition, detail)                                     \
  do {                                                                   \
    if (!(condition)) ::tessera::base::check_failed(#condition, detail); \
  } while (false)
