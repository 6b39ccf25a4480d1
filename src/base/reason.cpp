#include "base/reason.h"

#include <array>
#include <utility>

namespace tessera::base {
namespace {

constexpr std::array kReasons = {
#define X(name, text) std::pair{Reason::name, std::string_view(text)},
    TESSERA_REASONS(X)
#undef X
};

}  // namespace

std::string_view to_string(Reason reason) {
  return kReasons[static_cast<std::size_t>(reason)].second;
}

std::optional<Reason> reason_from(std::string_view text) {
  for (const auto& [reason, name] : kReasons)
    if (name == text) return reason;
  return std::nullopt;
}

}  // namespace tessera::base
