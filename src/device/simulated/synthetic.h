#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/random.h"
#include "base/time.h"

/// Made-up figures that look real and depend on nothing but their arguments.
namespace tessera::device::simulated {

/// `prefix` and a random UUID of version 4, as the driver prints them.
std::string new_uuid(std::string_view prefix, base::Random& random);

/// How busy a process that averages `load_permille` is in the second of `at`, in 0 … 1000: slow
/// waves of a few minutes with some noise on them.
int synthetic_load(std::uint64_t seed, std::uint32_t pid, int load_permille, base::Instant at);

}  // namespace tessera::device::simulated
