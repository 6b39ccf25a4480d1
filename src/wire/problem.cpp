#include "wire/problem.h"

#include <cctype>

#include "wire/parse.h"
#include "wire/text.h"

namespace tessera::wire {
namespace {

constexpr std::string_view kTypePrefix = "https://tessera.dev/problems/";

/// "NeverFits" -> "Never fits".
std::string title_of(base::Reason reason) {
  std::string title;
  for (const char letter : to_string(reason)) {
    const bool upper = std::isupper(static_cast<unsigned char>(letter)) != 0;
    if (upper && !title.empty()) title += ' ';
    title += upper && !title.empty()
                 ? static_cast<char>(std::tolower(static_cast<unsigned char>(letter)))
                 : letter;
  }
  return title;
}

/// What a status alone says, when a proxy or a dying server answers in its own words.
base::Reason reason_of(int status) {
  using enum base::Reason;
  switch (status) {
    case 400:
      return kInvalidDocument;
    case 401:
      return kUnauthenticated;
    case 403:
      return kForbidden;
    case 404:
      return kUnknownObject;
    case 409:
    case 412:
      return kConflict;
    case 410:
      return kTooOld;
    case 413:
      return kTooLarge;
    case 429:
    case 502:
    case 503:
    case 504:
      return kUnavailable;
    default:
      return kInternal;
  }
}

std::string text_of(const Value& problem, std::string_view key) {
  const Value* value = problem.find(key);
  return value != nullptr && value->kind == ValueKind::kText ? value->text : std::string();
}

}  // namespace

int http_status(base::Reason reason) {
  using enum base::Reason;
  switch (reason) {
    case kInvalidDocument:
    case kInvalidQuantity:
    case kInvalidLayout:
      return 400;
    case kUnauthenticated:
      return 401;
    case kForbidden:
      return 403;
    case kUnknownObject:
      return 404;
    case kTooOld:
      return 410;
    case kTooLarge:
      return 413;
    case kNeverFits:
    case kNoTier:
    case kAboveLimit:
      return 422;
    case kQueueFull:
      return 429;
    case kInternal:
      return 500;
    case kUnavailable:
      return 503;
    // The object's present state stands against it; the reasons why a request waits or a lease
    // ended say the same when they are the answer to a command.
    default:
      return 409;
  }
}

Json problem_of(const base::Error& error) {
  return problem_of(error, http_status(error.reason));
}

Json problem_of(const base::Error& error, int status) {
  const std::string_view reason = to_string(error.reason);
  Json problem = {{"type", std::string(kTypePrefix) + std::string(reason)},
                  {"title", title_of(error.reason)},
                  {"status", status},
                  {"reason", reason},
                  {"detail", error.what}};
  if (!error.where.empty()) problem["field"] = error.where;
  if (!error.todo.empty()) problem["hint"] = error.todo;
  return problem;
}

base::Error error_from(int status, std::string_view body) {
  const auto problem = parse_json(body, {});
  if (problem) {
    if (const auto reason = base::reason_from(text_of(*problem, "reason")))
      return {*reason, text_of(*problem, "detail"), text_of(*problem, "field"),
              text_of(*problem, "hint")};
  }
  // Not our document, and not necessarily text: quote only what can be shown.
  std::string what = "the server answered with status " + std::to_string(status);
  const bool shown = !body.empty() && !first_not_utf8(body) && !first_control(body);
  if (shown) what += ": " + clip(body, 200);
  return {reason_of(status), std::move(what), {}, {}};
}

}  // namespace tessera::wire
