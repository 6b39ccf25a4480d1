#include <array>

#include "catalog/gpu_model.h"

namespace tessera::catalog {
namespace {

constexpr std::array<std::string_view, 4> kConfidences = {"unknown", "inferred", "single-source",
                                                          "two-sources"};

}  // namespace

std::string_view to_string(Confidence confidence) {
  return kConfidences[static_cast<std::size_t>(confidence)];
}

}  // namespace tessera::catalog
