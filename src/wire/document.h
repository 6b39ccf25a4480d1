#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "catalog/gpu_model.h"
#include "control/command.h"
#include "fleet/pool.h"
#include "tenancy/team.h"
#include "tenancy/tier.h"
#include "wire/parse.h"
#include "wire/value.h"

/// Documents: what people write, in a file or in a body of the API (docs/api.md has the schema).
///
/// Decoding is strict: an unknown key, a wrong type or unit, a number out of range, an unknown
/// model, an illegal layout is an error and never a default. Errors say where, as
/// "examples/fleet.yaml:12 spec.layout.instances[1]" (without the first part when there is no
/// file), and what to write instead; a near miss of a known word is named.
///
/// What needs the state (does that pool exist, is that tier used) is left to control::decide.
///
/// All functions are pure; Catalog is only read.
namespace tessera::wire {

inline constexpr std::string_view kApiVersion = "tessera.dev/v1alpha1";
/// Most documents in one text once `count` of Nodes is expanded.
inline constexpr int kMostDocuments = 100'000;

/// One object that a person declares, or one that a team asks for.
using Declared =
    std::variant<tenancy::Tier, tenancy::Team, fleet::Pool, control::PutNode, control::Submit>;

struct Document {
  Declared object;
  std::string where;  ///< "examples/fleet.yaml:12", or "documents[3]" in a body
};

/// "Tier", "Team", "Pool", "Node" or "Request".
std::string_view kind_of(const Declared& object);
/// metadata.name; empty for a Request, which gets its name from the system.
std::string_view name_of(const Declared& object);
/// PutTier, PutTeam, PutPool, PutNode or Submit.
control::Command command_of(Declared object);

/// Every document of a YAML or JSON text, in order; a Node with `count: 3` becomes three. A JSON
/// text may hold one document, a list of them, or {"documents": […]} as in POST /v1/apply.
/// `source` is the file's name; empty for a body.
base::Result<std::vector<Document>> decode_documents(std::string_view text,
                                                     const std::string& source,
                                                     const catalog::Catalog& catalog,
                                                     Limits limits = {});

/// The body of PUT /v1/KIND/NAME and POST /v1/requests: exactly one document.
base::Result<Declared> decode_document(std::string_view json, const catalog::Catalog& catalog,
                                       Limits limits = {});

/// The body of POST /v1/requests and /v1/explain. `apiVersion` and `kind` may be left out.
base::Result<control::Submit> decode_request(std::string_view json, const catalog::Catalog& catalog,
                                             Limits limits = {});

/// Lower-case letters, digits, "-" and ".", starting and ending with a letter or digit, at most 63.
bool valid_name(std::string_view name);

}  // namespace tessera::wire
