#include "guard/settings.h"

#include <cctype>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <unistd.h>

namespace tessera::guard {
namespace {

/// False where it is too long for its place.
template <std::size_t kSize>
bool copy(const char* name, char (&to)[kSize]) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') return true;
  if (std::strlen(value) >= kSize) return false;
  std::strcpy(to, value);
  return true;
}

bool parse_percent(const char* text, std::uint32_t& percent) {
  char* end = nullptr;
  const long value = std::strtol(text, &end, 10);
  if (end == text || *end != '\0' || value < 1 || value > 100) return false;
  percent = static_cast<std::uint32_t>(value);
  return true;
}

}  // namespace

bool parse_bytes(const char* text, std::uint64_t& bytes) {
  if (!std::isdigit(static_cast<unsigned char>(*text))) return false;
  char* unit = nullptr;
  errno = 0;
  const unsigned long long number = std::strtoull(text, &unit, 10);
  if (errno != 0) return false;
  constexpr struct {
    const char* name;
    std::uint64_t bytes;
  } kUnits[] = {{"", 1},
                {"KiB", 1ULL << 10},
                {"MiB", 1ULL << 20},
                {"GiB", 1ULL << 30},
                {"TiB", 1ULL << 40},
                {"KB", 1'000},
                {"MB", 1'000'000},
                {"GB", 1'000'000'000}};
  for (const auto& each : kUnits) {
    if (std::strcmp(unit, each.name) != 0) continue;
    if (number > (1ULL << 63) / each.bytes) return false;
    bytes = number * each.bytes;
    return true;
  }
  return false;
}

Settings read_settings() {
  Settings settings;
  if (!copy("TESSERA_GUARD_CUDA", settings.driver)) settings.wrong = "TESSERA_GUARD_CUDA";
  if (!copy("TESSERA_GUARD_SOCKET", settings.socket)) settings.wrong = "TESSERA_GUARD_SOCKET";
  if (!copy("TESSERA_GUARD_ACCOUNT", settings.account)) settings.wrong = "TESSERA_GUARD_ACCOUNT";
  const char* memory = std::getenv("TESSERA_GUARD_MEMORY");
  if (memory != nullptr && !parse_bytes(memory, settings.memory))
    settings.wrong = "TESSERA_GUARD_MEMORY";
  const char* compute = std::getenv("TESSERA_GUARD_COMPUTE");
  if (compute != nullptr && !parse_percent(compute, settings.compute_percent))
    settings.wrong = "TESSERA_GUARD_COMPUTE";
  settings.limits_anything = settings.socket[0] != '\0' || memory != nullptr || compute != nullptr;
  return settings;
}

void complain(const char* format, ...) {
  char text[512] = "tessera-guard: ";
  const auto begin = std::strlen(text);
  va_list arguments;
  va_start(arguments, format);
  const int length = std::vsnprintf(text + begin, sizeof(text) - begin - 1, format, arguments);
  va_end(arguments);
  if (length < 0) return;
  std::strcat(text, "\n");
  // Nothing can be done about a closed standard error.
  [[maybe_unused]] const auto written = write(STDERR_FILENO, text, std::strlen(text));
}

}  // namespace tessera::guard
