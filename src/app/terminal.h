#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

/// The terminal: colours and hints where a person looks, plain text in a pipe.
namespace tessera::app {

/// Exit codes of every command; `diff` uses kChanges for "there are some".
enum ExitCode : int { kDone = 0, kRefused = 1, kChanges = 1, kUsage = 2 };

/// Is standard output a terminal, and colour not switched off by NO_COLOR?
bool colourful();
/// Is a person watching standard output?
bool watched();

/// How wide text for a person may be: the terminal's width, 0 (no limit) where nobody watches.
std::size_t text_width();

enum class Colour { kNone, kGreen, kYellow, kRed, kDim };
std::string paint(std::string_view text, Colour colour);
/// The colour in which a request's or lease's state is shown.
Colour colour_of_state(std::string_view state);

/// "error: where: what" and the hint, on standard error.
void print_error(const base::Error& error);
/// Prints the error and gives the exit code that goes with it.
int refuse(const base::Error& error, int code = kRefused);
/// A next step, only for a person: "why it waits: tessera explain req-1".
void print_hint(std::string_view text);
/// Something beside the answer that a person should know, on standard error.
void print_note(std::string_view text);

}  // namespace tessera::app
