#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include "base/fields.h"
#include "base/kinds.h"
#include "base/result.h"

/// The stored form of described values (base/fields.h).
///
///   unsigned, Index, Serial, enum   varint: 7 bits a byte, least first, high bit = more follow
///   signed, Quantity, times         varint of the zigzag form (0, -1, 1, -2 …)
///   bool                            one byte, 0 or 1
///   string                          length, bytes
///   optional                        0, or 1 and the value
///   vector                          count, values
///   map                             count, (key, value) by strictly rising key
///   struct                          length of the body in bytes, then its fields in order
///   variant                         number of the alternative (a struct), then the struct
///
/// One value has exactly one form, so equal states have equal bytes. A body that ends early leaves
/// the fields behind it at their defaults (it was written before they were added); a body that goes
/// on is skipped to its end (it was written by a newer program).
namespace tessera::journal {

/// Builds the stored form. Value type, one thread.
class Writer {
 public:
  template <class T>
  void put(const T& value);

  const std::string& bytes() const { return bytes_; }
  std::string take() { return std::move(bytes_); }

 private:
  void put_varint(std::uint64_t value);
  void put_signed(std::int64_t value) {
    const auto bits = static_cast<std::uint64_t>(value);
    put_varint((bits << 1) ^ (value < 0 ? ~std::uint64_t{0} : 0));
  }
  template <class T>
  void put_struct(const T& value);
  /// Writes the length of everything after `start` in front of it.
  void prefix_length(std::size_t start);

  std::string bytes_;
};

/// Reads the stored form out of bytes that may be anything at all: it never reads outside them,
/// and allocates at most in proportion to them. After the first error every further read leaves
/// its target alone; ask `error()` once at the end. Borrows the bytes; one thread.
class Reader {
 public:
  explicit Reader(std::string_view bytes)
      : begin_(bytes.data()), next_(begin_), end_(begin_ + bytes.size()) {}

  template <class T>
  void get(T& value);

  bool failed() const { return problem_ != nullptr; }
  /// Nothing is left over and nothing was wrong. kInternal error: what, and at which field and
  /// byte.
  base::Result<void> finish();

 private:
  std::size_t left() const { return static_cast<std::size_t>(end_ - next_); }
  void fail(const char* problem);
  std::uint64_t get_varint();
  std::int64_t get_signed() {
    const std::uint64_t bits = get_varint();
    return static_cast<std::int64_t>((bits >> 1) ^ (~(bits & 1) + 1));
  }
  template <class Integer>
  void get_integer(Integer& value);
  /// A count of things of which each takes at least one byte, or a length in bytes.
  std::size_t get_count();
  void get_flag(bool& value);
  void get_text(std::string& value);
  template <class T>
  void get_struct(T& value);
  template <class T>
  void get_map(T& value);
  template <class T>
  void get_variant(T& value);

  const char* begin_;
  const char* next_;
  const char* end_;
  const char* field_ = "";  ///< the one being read, for errors
  const char* problem_ = nullptr;
};

// -- implementation ----------------------------------------------------------------------------

template <class T>
void Writer::put_struct(const T& value) {
  const std::size_t start = bytes_.size();
  T::fields(value, [this](const char*, const auto& field) { put(field); });
  prefix_length(start);
}

template <class T>
void Writer::put(const T& value) {
  if constexpr (std::is_same_v<T, bool>) {
    bytes_.push_back(value ? '\1' : '\0');
  } else if constexpr (std::is_unsigned_v<T>) {
    put_varint(value);
  } else if constexpr (std::is_integral_v<T>) {
    put_signed(value);
  } else if constexpr (base::EnumKind<T>) {
    put_varint(static_cast<std::make_unsigned_t<std::underlying_type_t<T>>>(value));
  } else if constexpr (base::TextKind<T>) {
    put_varint(value.size());
    bytes_.append(value);
  } else if constexpr (base::QuantityKind<T> || base::DurationKind<T>) {
    put_signed(value.count());
  } else if constexpr (base::InstantKind<T>) {
    put_signed(value.time_since_epoch().count());
  } else if constexpr (base::IndexKind<T> || base::SerialKind<T>) {
    put_varint(value.value());
  } else if constexpr (base::OptionalKind<T>) {
    put(value.has_value());
    if (value) put(*value);
  } else if constexpr (base::BoxKind<T>) {
    put(*value);
  } else if constexpr (base::ListKind<T>) {
    put_varint(value.size());
    for (const auto& element : value) put(element);
  } else if constexpr (base::MapKind<T>) {
    put_varint(value.size());
    for (const auto& [key, mapped] : value) {
      put(key);
      put(mapped);
    }
  } else if constexpr (base::VariantKind<T>) {
    put_varint(value.index());
    std::visit([this](const auto& alternative) { put_struct(alternative); }, value);
  } else {
    static_assert(base::Described<T>, "a stored type needs a list of fields");
    put_struct(value);
  }
}

template <class Integer>
void Reader::get_integer(Integer& value) {
  using Wide = std::conditional_t<std::is_signed_v<Integer>, std::int64_t, std::uint64_t>;
  Wide wide{};
  if constexpr (std::is_signed_v<Integer>) {
    wide = get_signed();
  } else {
    wide = get_varint();
  }
  if (failed()) return;
  if (!std::in_range<Integer>(wide)) return fail("a number out of its range");
  value = static_cast<Integer>(wide);
}

template <class T>
void Reader::get_struct(T& value) {
  const std::size_t length = get_count();
  if (failed()) return;
  const char* const outer_end = std::exchange(end_, next_ + length);
  T::fields(value, [this](const char* name, auto& field) {
    if (failed() || next_ == end_) return;
    field_ = name;
    get(field);
  });
  if (!failed()) next_ = end_;
  end_ = outer_end;
}

template <class T>
void Reader::get_map(T& value) {
  value.clear();
  const std::size_t count = get_count();
  const typename T::key_type* last = nullptr;
  for (std::size_t i = 0; i < count && !failed(); ++i) {
    typename T::key_type key{};
    typename T::mapped_type mapped{};
    get(key);
    get(mapped);
    if (failed()) return;
    if (last != nullptr && !(*last < key)) return fail("keys out of order");
    last = &value.emplace(std::move(key), std::move(mapped)).first->first;
  }
}

template <class T>
void Reader::get_variant(T& value) {
  const std::uint64_t number = get_varint();
  if (failed()) return;
  if (number >= std::variant_size_v<T>) return fail("an alternative this program does not know");
  [&]<std::size_t... I>(std::index_sequence<I...>) {
    (void)((I == number && (get_struct(value.template emplace<I>()), true)) || ...);
  }
  (std::make_index_sequence<std::variant_size_v<T>>{});
}

template <class T>
void Reader::get(T& value) {
  if (failed()) return;
  if constexpr (std::is_same_v<T, bool>) {
    get_flag(value);
  } else if constexpr (std::is_integral_v<T>) {
    get_integer(value);
  } else if constexpr (base::EnumKind<T>) {
    std::make_unsigned_t<std::underlying_type_t<T>> number{};
    get_integer(number);
    if (!failed()) value = static_cast<T>(number);
  } else if constexpr (base::TextKind<T>) {
    get_text(value);
  } else if constexpr (base::QuantityKind<T> || base::DurationKind<T>) {
    value = T(get_signed());
  } else if constexpr (base::InstantKind<T>) {
    value = T(base::Duration(get_signed()));
  } else if constexpr (base::IndexKind<T>) {
    std::uint32_t number{};
    get_integer(number);
    value = T(number);
  } else if constexpr (base::SerialKind<T>) {
    value = T(get_varint());
  } else if constexpr (base::OptionalKind<T>) {
    bool present = false;
    get_flag(present);
    value.reset();
    if (present) get(value.emplace());
  } else if constexpr (base::BoxKind<T>) {
    get(*value);
  } else if constexpr (base::ListKind<T>) {
    const std::size_t count = get_count();
    value.clear();
    value.reserve(count);
    for (std::size_t i = 0; i < count && !failed(); ++i) get(value.emplace_back());
  } else if constexpr (base::MapKind<T>) {
    get_map(value);
  } else if constexpr (base::VariantKind<T>) {
    get_variant(value);
  } else {
    static_assert(base::Described<T>, "a stored type needs a list of fields");
    get_struct(value);
  }
}

}  // namespace tessera::journal
