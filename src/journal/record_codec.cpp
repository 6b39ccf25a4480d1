#include <boost/crc.hpp>

#include "journal/binary.h"
#include "journal/codec.h"

namespace tessera::journal {

std::string encode(const control::Record& record) {
  Writer writer;
  writer.put(record);
  return writer.take();
}

base::Result<control::Record> decode_record(std::string_view bytes) {
  if (bytes.size() > kLargestRecord) {
    return base::fail(base::Reason::kTooLarge,
                      "a record of " + std::to_string(bytes.size()) + " bytes is not one of ours");
  }
  Reader reader(bytes);
  control::Record record;
  reader.get(record);
  if (auto whole = reader.finish(); !whole) return std::unexpected(std::move(whole.error()));
  return record;
}

std::uint32_t checksum(std::string_view bytes) {
  boost::crc_32_type crc;
  crc.process_bytes(bytes.data(), bytes.size());
  return crc.checksum();
}

}  // namespace tessera::journal
