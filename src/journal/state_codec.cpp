#include <array>

#include <openssl/evp.h>

#include "base/check.h"
#include "control/state.h"
#include "journal/binary.h"
#include "journal/codec.h"

namespace tessera::journal {

std::string encode(const control::State& state) {
  Writer writer;
  writer.put(state);
  return writer.take();
}

base::Result<std::unique_ptr<control::State>> decode_state(
    std::string_view bytes, std::shared_ptr<const catalog::Catalog> catalog) {
  if (bytes.size() > kLargestSnapshot) {
    return base::fail(base::Reason::kTooLarge, "a snapshot of " + std::to_string(bytes.size()) +
                                                   " bytes is not one of ours");
  }
  Reader reader(bytes);
  auto state = std::make_unique<control::State>(std::move(catalog));
  reader.get(*state);
  if (auto whole = reader.finish(); !whole) return std::unexpected(std::move(whole.error()));
  state->rebuild();
  return state;
}

std::string digest(const control::State& state) {
  const std::string bytes = encode(state);
  std::array<unsigned char, EVP_MAX_MD_SIZE> hash{};
  unsigned int size = 0;
  CHECK(EVP_Digest(bytes.data(), bytes.size(), hash.data(), &size, EVP_sha256(), nullptr) == 1);
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string text;
  text.reserve(2 * size);
  for (unsigned int i = 0; i < size; ++i) {
    text += kHex[hash[i] >> 4];
    text += kHex[hash[i] & 15];
  }
  return text;
}

}  // namespace tessera::journal
