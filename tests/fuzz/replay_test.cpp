#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/random.h"

/// The fuzz target without a fuzzer: every kept input, and each of them damaged in a thousand ways.
/// Inputs that once broke something belong into corpus/.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace tessera {
namespace {

void feed(const std::string& text) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
}

std::vector<std::filesystem::path> inputs() {
  std::vector<std::filesystem::path> paths;
  for (const char* folder : {TESSERA_CORPUS, TESSERA_EXAMPLES})
    for (const auto& entry : std::filesystem::directory_iterator(folder))
      if (entry.is_regular_file()) paths.push_back(entry.path());
  std::ranges::sort(paths);
  return paths;
}

std::string content(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string damaged(std::string text, base::SeededRandom& random) {
  for (auto blows = 1 + random.below(6); blows > 0 && !text.empty(); --blows) {
    const auto at = random.below(text.size());
    const auto length = 1 + random.below(12);
    switch (random.below(4)) {
      case 0:
        text[at] = static_cast<char>(random.below(256));
        break;
      case 1:
        text.erase(at, length);
        break;
      case 2:
        text.insert(at, text.substr(random.below(text.size()), length));
        break;
      default:
        text.resize(at);
        break;
    }
  }
  return text;
}

TEST(Replay, EveryKeptInput) {
  ASSERT_GE(inputs().size(), 10u);
  for (const auto& path : inputs()) {
    SCOPED_TRACE(path);
    EXPECT_NO_THROW(feed(content(path)));
  }
}

TEST(Replay, EveryKeptInputDamaged) {
  base::SeededRandom random(20261122);
  for (const auto& path : inputs()) {
    const std::string whole = content(path);
    // Large inputs cost more; each gets about the same time.
    const auto rounds = 2000 / (1 + whole.size() / 500);
    for (std::size_t i = 0; i < rounds; ++i) {
      const std::string text = damaged(whole, random);
      EXPECT_NO_THROW(feed(text)) << path << "\n" << text;
    }
  }
}

}  // namespace
}  // namespace tessera
