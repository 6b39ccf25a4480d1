#pragma once

#include <map>
#include <optional>
#include <string>
#include <type_traits>
#include <variant>
#include <vector>

#include "base/box.h"
#include "base/id.h"
#include "base/quantity.h"
#include "base/serial_table.h"
#include "base/time.h"

/// What kind of value a described field is (see base/fields.h): the vocabulary in which a codec,
/// binary or readable, says how it writes each of them. A type of none of these kinds cannot be
/// stored, and a codec that meets one does not compile.
namespace tessera::base {

namespace detail {
template <class T, template <class...> class Template>
inline constexpr bool kMadeFrom = false;
template <template <class...> class Template, class... Args>
inline constexpr bool kMadeFrom<Template<Args...>, Template> = true;
}  // namespace detail

template <class T>
concept QuantityKind = detail::kMadeFrom<T, Quantity>;
template <class T>
concept IndexKind = detail::kMadeFrom<T, Index>;
template <class T>
concept SerialKind = detail::kMadeFrom<T, Serial>;
template <class T>
concept DurationKind = std::is_same_v<T, Duration>;
template <class T>
concept InstantKind = std::is_same_v<T, Instant>;
template <class T>
concept TextKind = std::is_same_v<T, std::string>;
template <class T>
concept OptionalKind = detail::kMadeFrom<T, std::optional>;
/// Written as the value in it.
template <class T>
concept BoxKind = detail::kMadeFrom<T, Box>;
template <class T>
concept ListKind = detail::kMadeFrom<T, std::vector>;
template <class T>
concept MapKind = detail::kMadeFrom<T, std::map> || detail::kMadeFrom<T, SerialTable>;
template <class T>
concept VariantKind = detail::kMadeFrom<T, std::variant>;
template <class T>
concept EnumKind = std::is_enum_v<T>;

}  // namespace tessera::base
