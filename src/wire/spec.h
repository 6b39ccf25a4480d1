#pragma once

#include <string_view>

#include "catalog/gpu_model.h"
#include "control/command.h"
#include "fleet/pool.h"
#include "request/need.h"
#include "tenancy/team.h"
#include "tenancy/tier.h"
#include "wire/document.h"
#include "wire/json.h"

/// Core objects back to the `spec` that declares them: decoding what these return gives the object
/// again (document_property_test). Every field is written, defaults too, so that two specs can be
/// compared key by key.
namespace tessera::wire {

Json spec_of(const tenancy::Tier& tier);
Json spec_of(const tenancy::Team& team);
Json spec_of(const fleet::Pool& pool, const catalog::Catalog& catalog);
Json spec_of(const control::PutNode& node);
/// The need alone, as in an Explanation's alternatives.
Json spec_of(const request::Need& need);
/// The need with `team` and `purpose`: a Request's spec.
Json request_spec(std::string_view team, std::string_view purpose, const request::Need& need);

/// {"apiVersion","kind","metadata":{"name"},"spec"}: the document that declares `object`.
Json document_of(const Declared& object, const catalog::Catalog& catalog);

}  // namespace tessera::wire
