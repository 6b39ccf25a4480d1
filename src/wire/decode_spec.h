#pragma once

#include <initializer_list>

#include "catalog/gpu_model.h"
#include "control/command.h"
#include "fleet/pool.h"
#include "tenancy/team.h"
#include "tenancy/tier.h"
#include "wire/decoder.h"

/// The `spec` of each kind of document (docs/api.md), key by key. Each reads all keys of `spec`,
/// finishes it, and refuses what contradicts itself; the result means something only when the
/// decoder is still ok().
namespace tessera::wire {

/// All that a document may name.
inline constexpr std::initializer_list<catalog::Technology> kTechnologies = {
    catalog::Technology::kTimeSlicing, catalog::Technology::kVgpu, catalog::Technology::kMig,
    catalog::Technology::kWhole};

tenancy::Tier decode_tier(Fields& spec, const std::string& name);
tenancy::Team decode_team(Fields& spec, const std::string& name);
fleet::Pool decode_pool(Fields& spec, const std::string& name, const catalog::Catalog& catalog);
control::Submit decode_submit(Fields& spec, const catalog::Catalog& catalog);

/// A Node document: `count` machines that are alike.
struct NodeSpec {
  control::PutNode node;
  std::optional<int> count;  ///< absent: one node, called as the document is
};
NodeSpec decode_node(Fields& spec, const std::string& name);

/// A model by its key or another of its names.
void read_model(Decoder& decoder, const Value& value, const Path& path,
                const catalog::Catalog& catalog, catalog::ModelIndex& out);

}  // namespace tessera::wire
