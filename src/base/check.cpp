#include "base/check.h"

namespace tessera::base {

void check_failed(const char* condition, const std::string& detail, std::source_location at) {
  std::string text = std::string(at.file_name()) + ":" + std::to_string(at.line()) +
                     ": CHECK failed: " + condition;
  if (!detail.empty()) text += " (" + detail + ")";
  throw CheckFailed(text);
}

}  // namespace tessera::base
