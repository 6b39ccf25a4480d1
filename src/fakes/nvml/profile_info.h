#pragma once

#include <algorithm>
#include <optional>

#include "catalog/gpu_model.h"

/// What the structs that describe a profile have in common, of GPU instances and of compute
/// instances, in each of their versions.
namespace tessera::fakes {

/// Engines that a profile does not know count as none.
inline unsigned whole_number(const std::optional<int>& count) {
  return static_cast<unsigned>(std::max(count.value_or(0), 0));
}

template <class Info>
void set_engines(const catalog::Engines& engines, Info& info) {
  info.copy = whole_number(engines.copy);
  info.decoder = whole_number(engines.decoder);
  info.encoder = whole_number(engines.encoder);
  info.jpeg = whole_number(engines.jpeg);
  info.optical_flow = whole_number(engines.optical_flow);
}

/// From the plain struct to one of its later versions.
template <class Plain, class Later>
void copy_counts(const Plain& plain, Later& to) {
  to.id = plain.id;
  to.slices = plain.slices;
  to.instances = plain.instances;
  to.sms = plain.sms;
  to.copy = plain.copy;
  to.decoder = plain.decoder;
  to.encoder = plain.encoder;
  to.jpeg = plain.jpeg;
  to.optical_flow = plain.optical_flow;
}

}  // namespace tessera::fakes
