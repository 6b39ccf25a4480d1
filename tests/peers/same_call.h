#pragma once

#include <type_traits>

/// Whether two declarations of a function in another's library mean the same call.
namespace tessera::test {

/// Ends in an array of which we declare one entry; whoever makes one has room for all.
template <class T>
inline constexpr bool kOpenEnded = false;

template <class T>
concept Complete = requires {
  sizeof(T);
};

/// Do both cross the border of the library in the same way? Where we have a void pointer we do not
/// look into what it points to, and anything may be there; nor does anybody into what has no size.
template <class Ours, class Theirs>
constexpr bool alike() {
  if constexpr (std::is_pointer_v<Ours> && std::is_pointer_v<Theirs>) {
    using Our = std::remove_cv_t<std::remove_pointer_t<Ours>>;
    using Their = std::remove_cv_t<std::remove_pointer_t<Theirs>>;
    if constexpr (std::is_void_v<Our> || std::is_void_v<Their>)
      return true;
    else if constexpr (Complete<Our> && Complete<Their>)
      return alike<Our, Their>();
    else
      return Complete<Our> == Complete<Their>;
  } else if constexpr (std::is_class_v<Ours> || std::is_class_v<Theirs>) {
    return std::is_class_v<Ours> == std::is_class_v<Theirs> && alignof(Ours) == alignof(Theirs) &&
           (sizeof(Ours) == sizeof(Theirs) || (kOpenEnded<Ours> && sizeof(Ours) < sizeof(Theirs)));
  } else if constexpr (std::is_pointer_v<Ours> || std::is_pointer_v<Theirs>) {
    return false;
  } else {
    return std::is_floating_point_v<Ours> == std::is_floating_point_v<Theirs> &&
           sizeof(Ours) == sizeof(Theirs);
  }
}

template <class Ours, class Theirs>
struct SameCall : std::false_type {};
template <class R1, class... A1, class R2, class... A2>
requires(sizeof...(A1) == sizeof...(A2)) struct SameCall<R1(A1...), R2(A2...)>
    : std::bool_constant<alike<R1, R2>() && (alike<A1, A2>() && ...)> {
};

}  // namespace tessera::test
