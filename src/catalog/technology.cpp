#include "catalog/technology.h"

#include <array>

namespace tessera::catalog {
namespace {

constexpr std::array<std::string_view, 4> kTechnologies = {"time-slicing", "vgpu", "mig", "whole"};
constexpr std::array<std::string_view, 5> kIsolations = {"shared", "limited", "virtual",
                                                         "partition", "dedicated"};

template <class Enum, std::size_t N>
std::optional<Enum> find(const std::array<std::string_view, N>& names, std::string_view text) {
  for (std::size_t i = 0; i < N; ++i)
    if (names[i] == text) return static_cast<Enum>(i);
  return std::nullopt;
}

}  // namespace

std::string_view to_string(Technology technology) {
  return kTechnologies[static_cast<std::size_t>(technology)];
}
std::string_view to_string(Isolation isolation) {
  return kIsolations[static_cast<std::size_t>(isolation)];
}
std::optional<Technology> technology_from(std::string_view text) {
  return find<Technology>(kTechnologies, text);
}
std::optional<Isolation> isolation_from(std::string_view text) {
  return find<Isolation>(kIsolations, text);
}

}  // namespace tessera::catalog
