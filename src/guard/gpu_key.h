#pragma once

#include <cstdint>
#include <cstdio>
#include <cstring>

#include "guard/cuda_abi.h"

/// One number for a GPU, the same in every process and for the node: of its UUID.
namespace tessera::guard {

/// Never 0.
constexpr std::uint64_t key_of_uuid(const cuda::Uuid& uuid) {
  std::uint64_t key = 0xcbf2'9ce4'8422'2325ULL;
  for (const auto byte : uuid.bytes) key = (key ^ byte) * 0x0000'0100'0000'01b3ULL;
  return key | 1;
}

/// "GPU-01234567-89ab-…" as the driver's 16 bytes; false where it is none.
inline bool parse_uuid(const char* text, cuda::Uuid& uuid) {
  if (std::strncmp(text, "GPU-", 4) != 0) return false;
  text += 4;
  for (auto& byte : uuid.bytes) {
    if (*text == '-') ++text;
    unsigned value = 0;
    if (std::sscanf(text, "%2x", &value) != 1) return false;
    byte = static_cast<unsigned char>(value);
    text += 2;
  }
  return true;
}

}  // namespace tessera::guard
