#pragma once

#include <cstdint>

#include "guard/region.h"

/// What the environment says. The guard runs in programs that nobody here wrote, before their
/// main(): it reads, keeps copies, and never ends the program over a mistake.
///
///   TESSERA_GUARD_SOCKET   the agent's socket: limits and accounts come from there
///   TESSERA_GUARD_MEMORY   without an agent: bytes per GPU, as 10GiB, 512MiB or 1048576; 0 allows
///   none TESSERA_GUARD_COMPUTE  without an agent: the most of a GPU's time, 1 to 100 per cent
///   TESSERA_GUARD_ACCOUNT  without an agent: a file in which several programs share one account
///   TESSERA_GUARD_CUDA     the real driver; libcuda.so.1 where it is not set
namespace tessera::guard {

struct Settings {
  char driver[1024] = "libcuda.so.1";
  char socket[108] = "";
  char account[1024] = "";
  std::uint64_t memory = kNoLimit;
  std::uint32_t compute_percent = 100;
  bool limits_anything = false;  ///< false: pass everything through
  const char* wrong = nullptr;   ///< the variable that cannot be read: refuse everything
};

Settings read_settings();
/// "10GiB" and the like; false where it is none, or more than 2^63.
bool parse_bytes(const char* text, std::uint64_t& bytes);

/// One line on standard error, beginning "tessera-guard: ".
__attribute__((format(printf, 1, 2))) void complain(const char* format, ...);

}  // namespace tessera::guard
