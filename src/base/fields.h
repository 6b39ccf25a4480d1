#pragma once

#include <concepts>
#include <type_traits>

/// One list of fields per struct, used by every codec: the journal's binary form, its readable
/// form, and the digest. A struct describes itself with
///
///     static void fields(auto& self, auto&& visit) {
///       visit("lease", self.lease);
///       visit("until", self.until);
///     }
///
/// where `self` is `T&` or `const T&`. The names and their order are the stored format: fields may
/// be added at the end (readers of older records leave them at their default), never removed,
/// renamed or reordered.
namespace tessera::base {

namespace detail {
struct NullVisitor {
  void operator()(const char*, auto&&) const {}
};
}  // namespace detail

template <class T>
concept Described = std::is_class_v<T> && requires(T& value) {
  T::fields(value, detail::NullVisitor{});
};

}  // namespace tessera::base
