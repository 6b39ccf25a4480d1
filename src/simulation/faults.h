#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>

namespace tessera::simulation {

/// How often each kind of trouble happened, by name.
class FaultCounts {
 public:
  void count(std::string_view name) { ++counts_[std::string(name)]; }
  void add(const FaultCounts& other) {
    for (const auto& [name, times] : other.counts_) counts_[name] += times;
  }
  std::uint64_t total() const {
    std::uint64_t sum = 0;
    for (const auto& [name, times] : counts_) sum += times;
    return sum;
  }
  const std::map<std::string, std::uint64_t>& by_name() const { return counts_; }

 private:
  std::map<std::string, std::uint64_t> counts_;
};

/// A broken promise of the system under test. The text begins with the promise's name.
class Violation : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace tessera::simulation
