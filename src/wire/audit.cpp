#include "wire/audit.h"

#include <string>
#include <variant>

#include "base/fields.h"
#include "base/kinds.h"
#include "wire/objects.h"
#include "wire/plan_resource.h"
#include "wire/text.h"

namespace tessera::wire {
namespace {

template <class T>
Json readable(const T& value);

Json readable_quantity(base::MiB memory) {
  return base::to_string(memory);
}
Json readable_quantity(base::MilliCpu cpu) {
  return base::to_string(cpu);
}
Json readable_quantity(base::GpuFraction fraction) {
  return base::to_string(fraction);
}
template <class Tag>
Json readable_quantity(base::Quantity<Tag> quantity) {
  return quantity.count();
}

template <base::Described T>
Json readable_struct(const T& value) {
  Json object = Json::object();
  T::fields(value, [&](const char* name, const auto& field) { object[name] = readable(field); });
  return object;
}
/// A token without its digest, which is of use only to somebody who should not have it.
Json readable_struct(const tenancy::Token& token) {
  Json object = token_object(token)["spec"];
  object["name"] = token.name;
  return object;
}

Json readable_variant(const fleet::SliceShape& shape) {
  Json object = std::visit([](const auto& slice) { return readable_struct(slice); }, shape);
  object["technology"] = to_string(technology_of(shape));
  return object;
}
Json readable_variant(const control::Event& event) {
  Json object = std::visit([](const auto& happened) { return readable_struct(happened); }, event);
  object["event"] = control::name_of(event);
  return object;
}

template <class T>
Json readable_optional(const std::optional<T>& value) {
  return value ? readable(*value) : Json(nullptr);
}
template <class T>
Json readable_list(const std::vector<T>& values) {
  Json list = Json::array();
  for (const T& value : values) list.push_back(readable(value));
  return list;
}
template <class T, class Less>
Json readable_map(const std::map<std::string, T, Less>& values) {
  Json object = Json::object();
  for (const auto& [key, value] : values) object[key] = readable(value);
  return object;
}

template <class T>
Json readable(const T& value) {
  if constexpr (base::QuantityKind<T>)
    return readable_quantity(value);
  else if constexpr (base::SerialKind<T>)
    return name_of(value);
  else if constexpr (base::IndexKind<T>)
    return value.valid() ? Json(value.value()) : Json(nullptr);
  else if constexpr (base::InstantKind<T>)
    return base::to_string(value);
  else if constexpr (base::DurationKind<T>)
    return exact_text(value);
  else if constexpr (base::EnumKind<T>)
    return to_string(value);
  else if constexpr (base::OptionalKind<T>)
    return readable_optional(value);
  else if constexpr (base::BoxKind<T>)
    return readable(*value);
  else if constexpr (base::ListKind<T>)
    return readable_list(value);
  else if constexpr (base::MapKind<T>)
    return readable_map(value);
  else if constexpr (base::VariantKind<T>)
    return readable_variant(value);
  else if constexpr (std::is_class_v<T> && !base::TextKind<T>)
    return readable_struct(value);
  else
    return value;  // text, numbers, truth values
}

}  // namespace

Json audit_of(const control::Record& record) {
  return readable_struct(record);
}

}  // namespace tessera::wire
