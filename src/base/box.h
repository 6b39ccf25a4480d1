#pragma once

#include <concepts>
#include <memory>
#include <utility>

namespace tessera::base {

/// A large value in a place of its own, so that what holds it stays small: one rare alternative
/// does not make every element of a list of variants as large as itself. Copied and compared like
/// the value; always has one, except after it was moved from.
template <class T>
class Box {
 public:
  using value_type = T;

  Box() : value_(std::make_unique<T>()) {}
  Box(T value)  // NOLINT(google-explicit-constructor): it stands for the value
      : value_(std::make_unique<T>(std::move(value))) {}
  Box(const Box& other) : value_(other.value_ ? std::make_unique<T>(*other.value_) : nullptr) {}
  Box(Box&&) noexcept = default;
  Box& operator=(const Box& other) {
    if (this != &other) *this = Box(other);
    return *this;
  }
  Box& operator=(Box&&) noexcept = default;
  ~Box() = default;

  T& operator*() { return *value_; }
  const T& operator*() const { return *value_; }
  T* operator->() { return value_.get(); }
  const T* operator->() const { return value_.get(); }

  friend bool operator==(const Box& a, const Box& b) requires std::equality_comparable<T> {
    return *a == *b;
  }

 private:
  std::unique_ptr<T> value_;
};

}  // namespace tessera::base
