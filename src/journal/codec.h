#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "catalog/gpu_model.h"
#include "control/event.h"

namespace tessera::control {
class State;
}

/// Records and snapshots as bytes (the form is described in journal/binary.h).
///
/// Decoding takes any bytes: it returns an error for what is not a record or a snapshot. Applying a
/// record, and rebuilding a state, trust that well-formed bytes are ours: that is what the
/// journal's checksums, its lock and the permissions of its file are for.
namespace tessera::journal {

/// The largest record or snapshot that is written or read.
inline constexpr std::size_t kLargestRecord = 64 << 20;
inline constexpr std::size_t kLargestSnapshot = 900 << 20;

std::string encode(const control::Record& record);
/// Errors: kInternal (not a record: what, at which field and byte), kTooLarge.
base::Result<control::Record> decode_record(std::string_view bytes);

/// Everything State::fields visits.
std::string encode(const control::State& state);
/// The state that was encoded, with all that is derived rebuilt. Errors as above.
base::Result<std::unique_ptr<control::State>> decode_state(
    std::string_view bytes, std::shared_ptr<const catalog::Catalog> catalog);

/// SHA-256 of the snapshot, in lower-case hex: equal for equal states, on every machine.
std::string digest(const control::State& state);

/// CRC-32 (IEEE 802.3) of stored bytes: tells bytes that changed on the disk, by accident.
std::uint32_t checksum(std::string_view bytes);

}  // namespace tessera::journal
