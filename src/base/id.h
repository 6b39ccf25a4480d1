#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <limits>

namespace tessera::base {

/// A dense handle into a table that the State owns (a GPU, a node, a pool …).
/// Cheap to copy, stable for the life of the state, meaningless outside it: people see names.
template <class Tag>
class Index {
 public:
  using Rep = std::uint32_t;
  constexpr Index() = default;
  constexpr explicit Index(std::size_t value) : value_(static_cast<Rep>(value)) {}
  constexpr Rep value() const { return value_; }
  constexpr bool valid() const { return value_ != kNone; }
  friend constexpr auto operator<=>(Index, Index) = default;

 private:
  static constexpr Rep kNone = std::numeric_limits<Rep>::max();
  Rep value_ = kNone;
};

/// A number handed out once and never reused (requests, leases). 0 means none.
template <class Tag>
class Serial {
 public:
  constexpr Serial() = default;
  constexpr explicit Serial(std::uint64_t value) : value_(value) {}
  constexpr std::uint64_t value() const { return value_; }
  constexpr bool valid() const { return value_ != 0; }
  constexpr Serial next() const { return Serial(value_ + 1); }
  friend constexpr auto operator<=>(Serial, Serial) = default;

 private:
  std::uint64_t value_ = 0;
};

}  // namespace tessera::base

template <class Tag>
struct std::hash<tessera::base::Index<Tag>> {
  std::size_t operator()(tessera::base::Index<Tag> index) const noexcept {
    return std::hash<std::uint32_t>{}(index.value());
  }
};
template <class Tag>
struct std::hash<tessera::base::Serial<Tag>> {
  std::size_t operator()(tessera::base::Serial<Tag> serial) const noexcept {
    return std::hash<std::uint64_t>{}(serial.value());
  }
};
