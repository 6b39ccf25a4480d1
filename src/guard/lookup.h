#pragma once

#include "guard/driver.h"

/// How programs ask the driver for its functions. The driver decides which function a name, a
/// version and flags mean; what it gives out is then exchanged for that very function's wrapper. So
/// a request for the per-thread form never gets the wrapper of the other.
namespace tessera::guard {

cuda::Result get_proc_address(const char* name, void** function, int version, std::uint64_t flags);
cuda::Result get_proc_address_v2(const char* name, void** function, int version,
                                 std::uint64_t flags, std::int32_t* status);

}  // namespace tessera::guard
