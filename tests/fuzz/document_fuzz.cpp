#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "wire/agent_protocol.h"
#include "wire/bodies.h"
#include "wire/document.h"
#include "wire/problem.h"
#include "wire/spec.h"

/// Everything that reads text from outside, fed with anything at all. Besides not crashing, what is
/// accepted must be stable: encoding and decoding it again gives the same.
namespace tessera::wire {
namespace {

const catalog::Catalog& built_in() {
  static const catalog::Catalog catalog = catalog::Catalog::built_in();
  return catalog;
}

void check_documents(std::string_view text) {
  const auto documents = decode_documents(text, "fuzz.yaml", built_in());
  if (!documents) {
    CHECK(!documents.error().what.empty() && documents.error().where.starts_with("fuzz.yaml"));
    return;
  }
  // Thousands of equal nodes have nothing to add.
  for (std::size_t i = 0; i < documents->size() && i < 16; ++i) {
    const Json written = document_of((*documents)[i].object, built_in());
    const auto again = decode_document(written.dump(), built_in());
    CHECK_MSG(again.has_value(), again ? "" : to_string(again.error()));
    CHECK(document_of(*again, built_in()) == written);
  }
}

void check_agent_messages(std::string_view text) {
  if (const auto report = decode_report(text)) {
    const auto again = decode_report(encode(*report).dump());
    CHECK_MSG(again.has_value(), again ? "" : to_string(again.error()));
  }
  if (const auto target = decode_target(text)) {
    const Json written = encode(*target);
    const auto again = decode_target(written.dump());
    CHECK_MSG(again.has_value(), again ? "" : to_string(again.error()));
    CHECK(encode(*again) == written);
  }
}

}  // namespace
}  // namespace tessera::wire

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tessera::wire;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_documents(text);
  check_agent_messages(text);
  (void)decode_request(text, built_in());
  (void)decode_renewal(text);
  (void)decode_rejection(text);
  (void)decode_token_wish(text);
  (void)error_from(500, text);
  return 0;
}
