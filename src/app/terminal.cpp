#include "app/terminal.h"

#include <cstdlib>
#include <unistd.h>

#include <fmt/core.h>
#include <sys/ioctl.h>

namespace tessera::app {

bool watched() {
  return ::isatty(STDOUT_FILENO) == 1;
}

std::size_t text_width() {
  if (!watched()) return 0;
  winsize size{};
  // A terminal that does not tell its size is taken for the usual one.
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

bool colourful() {
  const char* off = std::getenv("NO_COLOR");
  return watched() && (off == nullptr || *off == '\0');
}

std::string paint(std::string_view text, Colour colour) {
  const char* code = nullptr;
  switch (colour) {
    case Colour::kNone:
      break;
    case Colour::kGreen:
      code = "32";
      break;
    case Colour::kYellow:
      code = "33";
      break;
    case Colour::kRed:
      code = "31";
      break;
    case Colour::kDim:
      code = "2";
      break;
  }
  if (code == nullptr || !colourful()) return std::string(text);
  return fmt::format("\033[{}m{}\033[0m", code, text);
}

Colour colour_of_state(std::string_view state) {
  if (state == "active" || state == "ready" || state == "in-use") return Colour::kGreen;
  if (state == "queued" || state == "pending-approval" || state == "expiring" ||
      state == "provisioning" || state == "cordoned")
    return Colour::kYellow;
  if (state == "rejected" || state == "failed" || state == "away" || state == "lost" ||
      state == "quarantined")
    return Colour::kRed;
  if (state == "released" || state == "ended" || state == "cancelled") return Colour::kDim;
  return Colour::kNone;
}

void print_error(const base::Error& error) {
  const auto where = error.where.empty() ? "" : error.where + ": ";
  fmt::print(stderr, "error: {}{} ({})\n", where, error.what, base::to_string(error.reason));
  // The API's advice is for those who send headers; here the token comes from a context.
  const bool by_token =
      error.reason == base::Reason::kUnauthenticated && error.where == "Authorization";
  const std::string todo = by_token ? "the context's token is wrong or has expired: an admin makes "
                                      "another with `tessera token`"
                                    : error.todo;
  if (!todo.empty()) fmt::print(stderr, "  {}\n", todo);
}

int refuse(const base::Error& error, int code) {
  print_error(error);
  return code;
}

void print_hint(std::string_view text) {
  if (watched()) fmt::print("{}\n", paint(text, Colour::kDim));
}

void print_note(std::string_view text) {
  // What was printed before comes before, where both go to the same terminal or file.
  std::fflush(stdout);
  fmt::print(stderr, "{}\n", text);
}

}  // namespace tessera::app
