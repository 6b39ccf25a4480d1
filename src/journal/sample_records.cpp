#include "journal/sample_records.h"

#include <string>
#include <type_traits>
#include <utility>
#include <variant>

#include "base/fields.h"
#include "base/kinds.h"

namespace tessera::journal {
namespace {

/// Fills any stored value with random contents.
template <class T>
void fill(T& value, base::Random& random) {
  if constexpr (std::is_same_v<T, bool>) {
    value = random.chance(1, 2);
  } else if constexpr (std::is_integral_v<T>) {
    value = static_cast<T>(random.next() >> random.below(64));
  } else if constexpr (base::EnumKind<T>) {
    value = static_cast<T>(random.below(4));
  } else if constexpr (base::TextKind<T>) {
    value.resize(random.below(12));
    for (char& byte : value) byte = static_cast<char>(random.below(256));
  } else if constexpr (base::QuantityKind<T> || base::DurationKind<T>) {
    value = T(static_cast<std::int64_t>(random.next() >> random.below(64)));
  } else if constexpr (base::InstantKind<T>) {
    value = T(base::Duration(static_cast<std::int64_t>(random.next() >> random.below(64))));
  } else if constexpr (base::IndexKind<T>) {
    value = T(random.below(1'000));
  } else if constexpr (base::SerialKind<T>) {
    value = T(random.next());
  } else if constexpr (base::OptionalKind<T>) {
    if (random.chance(1, 2)) fill(value.emplace(), random);
  } else if constexpr (base::BoxKind<T>) {
    fill(*value, random);
  } else if constexpr (base::ListKind<T>) {
    value.resize(random.below(4));
    for (auto& element : value) fill(element, random);
  } else if constexpr (base::MapKind<T>) {
    for (auto left = random.below(4); left > 0; --left) {
      typename T::key_type key{};
      fill(key, random);
      fill(value[key], random);
    }
  } else if constexpr (base::VariantKind<T>) {
    const auto kind = random.below(std::variant_size_v<T>);
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      ((I == kind ? fill(value.template emplace<I>(), random) : void()), ...);
    }
    (std::make_index_sequence<std::variant_size_v<T>>{});
  } else {
    T::fields(value, [&random](const char*, auto& field) { fill(field, random); });
  }
}

}  // namespace

control::Event sample_event(std::size_t kind, base::Random& random) {
  control::Event event;
  [&]<std::size_t... I>(std::index_sequence<I...>) {
    ((I == kind ? fill(event.emplace<I>(), random) : void()), ...);
  }
  (std::make_index_sequence<std::variant_size_v<control::Event>>{});
  return event;
}

control::Record sample_record(std::uint64_t revision, base::Random& random) {
  control::Record record;
  fill(record.at, random);
  fill(record.actor, random);
  record.revision = revision;
  for (auto left = 1 + random.below(4); left > 0; --left) {
    record.events.push_back(
        sample_event(random.below(std::variant_size_v<control::Event>), random));
  }
  return record;
}

std::vector<control::Record> sample_records(std::uint64_t from, std::size_t count,
                                            std::uint64_t seed) {
  base::SeededRandom random(seed);
  std::vector<control::Record> records;
  for (std::size_t i = 0; i < count; ++i) records.push_back(sample_record(from + i, random));
  return records;
}

}  // namespace tessera::journal
