#include "wire/document.h"

#include <algorithm>
#include <array>

#include "wire/decode_spec.h"
#include "wire/decoder.h"
#include "wire/text.h"
#include "wire/tree_builder.h"

namespace tessera::wire {
namespace {

using enum Presence;

/// In the order of Declared's alternatives.
constexpr std::array<std::string_view, 5> kKinds = {"Tier", "Team", "Pool", "Node", "Request"};
constexpr std::string_view kRequestKind = kKinds[4];

/// What surrounds a spec. `apiVersion` may be left out: there is one so far.
struct Envelope {
  std::string kind;
  std::string name;
  const Value* spec = nullptr;
};

void read_metadata(Fields& document, Envelope& envelope) {
  const bool named = envelope.kind != kRequestKind;
  const Value* value = document.take("metadata", named ? kRequired : kOptional);
  if (value == nullptr) return;
  Fields metadata(*value, document.path_of("metadata"), document.decoder());
  metadata.name("name", envelope.name, named ? kRequired : kOptional);
  // Written by the system; a document that was read back may still have them.
  for (const std::string_view key : {"team", "createdAt", "createdBy"}) metadata.ignore(key);
  metadata.finish();
}

/// `usual_kind`: what the document is when it does not say; empty: it must.
Envelope read_envelope(Fields& document, std::string_view usual_kind) {
  Decoder& decoder = document.decoder();
  Envelope envelope;
  envelope.kind = usual_kind;
  std::string version(kApiVersion);
  document.text("apiVersion", version);
  document.text("kind", envelope.kind, usual_kind.empty() ? kRequired : kOptional);
  const bool known = std::ranges::find(kKinds, envelope.kind) != kKinds.end();
  if (!known && !envelope.kind.empty()) {
    const auto near = nearest(envelope.kind, kKinds);
    decoder.refuse(
        document.line(), document.path_of("kind"),
        "no kind is called \"" + clip(envelope.kind) + "\"",
        near ? "did you mean \"" + std::string(*near) + "\"?" : "known kinds are " + join(kKinds));
  }
  if (version != kApiVersion)
    decoder.refuse(document.line(), document.path_of("apiVersion"),
                   "\"" + clip(version) + "\" is not a version known here",
                   "write " + std::string(kApiVersion));
  read_metadata(document, envelope);
  envelope.spec = document.take("spec", kRequired);
  document.ignore("status");
  document.finish();
  return envelope;
}

/// Reads one document, which may stand for several objects.
class DocumentReader {
 public:
  DocumentReader(Decoder& decoder, const catalog::Catalog& catalog)
      : decoder_(decoder), catalog_(catalog) {}

  std::vector<Declared> read(const Value& value, const Path& path, std::string_view usual_kind) {
    Fields document(value, path, decoder_);
    const Envelope envelope = read_envelope(document, usual_kind);
    if (!decoder_.ok() || envelope.spec == nullptr) return {};
    Fields spec(*envelope.spec, document.path_of("spec"), decoder_);
    std::vector<Declared> objects;
    if (envelope.kind == "Tier") objects.emplace_back(decode_tier(spec, envelope.name));
    if (envelope.kind == "Team") objects.emplace_back(decode_team(spec, envelope.name));
    if (envelope.kind == "Pool") objects.emplace_back(decode_pool(spec, envelope.name, catalog_));
    if (envelope.kind == "Node") objects = nodes(spec, envelope.name);
    if (envelope.kind == kRequestKind) objects.emplace_back(decode_submit(spec, catalog_));
    return objects;
  }

 private:
  std::vector<Declared> nodes(Fields& spec, const std::string& name) {
    const NodeSpec read = decode_node(spec, name);
    if (!decoder_.ok() || !read.count) return {read.node};
    std::vector<Declared> objects;
    for (int i = 1; i <= *read.count; ++i) {
      control::PutNode node = read.node;
      node.name += "-" + std::to_string(i);
      objects.emplace_back(std::move(node));
    }
    const auto& last = std::get<control::PutNode>(objects.back());
    if (!valid_name(last.name))
      decoder_.refuse(spec.line(), spec.path_of("count"),
                      "\"" + last.name + "\" is longer than a name may be",
                      "shorten metadata.name");
    return objects;
  }

  Decoder& decoder_;
  const catalog::Catalog& catalog_;
};

/// A document and where it stands.
struct Found {
  const Value* value;
  Path path;
};

/// The documents inside what was parsed: each on its own, in a list, or under `documents`.
std::vector<Found> documents_in(const std::vector<Value>& values, Decoder& decoder) {
  std::vector<Found> found;
  for (const Value& value : values) {
    const Value* list = value.find("documents");
    if (list != nullptr && value.members.size() > 1) {
      Fields envelope(value, {}, decoder);
      envelope.ignore("documents");
      envelope.finish();
    }
    if (list != nullptr && !decoder.expect(*list, "documents", ValueKind::kList)) return {};
    if (value.kind == ValueKind::kList) list = &value;
    if (list == nullptr) {
      found.push_back({&value, {}});
      continue;
    }
    const Path path = list == &value ? "" : "documents";
    for (std::size_t i = 0; i < list->items.size(); ++i)
      found.push_back({&list->items[i], item_path(path, i)});
  }
  return found;
}

template <class T>
base::Result<T> decode_one(std::string_view json, const catalog::Catalog& catalog, Limits limits,
                           std::string_view usual_kind, std::string_view wanted) {
  const auto value = parse_json(json, {}, limits);
  if (!value) return std::unexpected(value.error());
  Decoder decoder{std::string()};
  auto objects = DocumentReader(decoder, catalog).read(*value, {}, usual_kind);
  if (decoder.ok() && objects.size() != 1)
    decoder.refuse(value->line, "spec.count", "one object is expected here, not several",
                   "use POST /v1/apply for a count of nodes");
  if constexpr (!std::is_same_v<T, Declared>) {
    if (decoder.ok() && !std::holds_alternative<T>(objects.front()))
      decoder.refuse(value->line, "kind",
                     "this is a " + std::string(kind_of(objects.front())) + ", expected a " +
                         std::string(wanted),
                     "send a " + std::string(wanted));
    if (!decoder.ok()) return decoder.error();
    return std::get<T>(std::move(objects.front()));
  } else {
    if (!decoder.ok()) return decoder.error();
    return std::move(objects.front());
  }
}

struct NameOf {
  std::string_view operator()(const control::Submit&) const { return {}; }
  std::string_view operator()(const auto& object) const { return object.name; }
};

struct CommandOf {
  control::Command operator()(tenancy::Tier&& tier) const {
    return control::PutTier{std::move(tier)};
  }
  control::Command operator()(tenancy::Team&& team) const {
    return control::PutTeam{std::move(team)};
  }
  control::Command operator()(fleet::Pool&& pool) const {
    return control::PutPool{std::move(pool)};
  }
  control::Command operator()(control::PutNode&& node) const { return std::move(node); }
  control::Command operator()(control::Submit&& submit) const { return std::move(submit); }
};

}  // namespace

std::string_view kind_of(const Declared& object) {
  return kKinds[object.index()];
}
std::string_view name_of(const Declared& object) {
  return std::visit(NameOf{}, object);
}
control::Command command_of(Declared object) {
  return std::visit(CommandOf{}, std::move(object));
}

base::Result<std::vector<Document>> decode_documents(std::string_view text,
                                                     const std::string& source,
                                                     const catalog::Catalog& catalog,
                                                     Limits limits) {
  const auto values = parse(text, source, limits);
  if (!values) return std::unexpected(values.error());
  Decoder decoder(source);
  std::vector<Document> documents;
  for (const Found& found : documents_in(*values, decoder)) {
    if (!decoder.ok()) break;
    for (Declared& object : DocumentReader(decoder, catalog).read(*found.value, found.path, {})) {
      const std::string where = source.empty() ? found.path : place_of(source, found.value->line);
      documents.push_back(Document{std::move(object), where});
    }
    if (documents.size() > kMostDocuments)
      decoder.refuse(found.value->line, found.path,
                     "there are more than " + std::to_string(kMostDocuments) + " objects",
                     "split the text into several", base::Reason::kTooLarge);
  }
  if (!decoder.ok()) return decoder.error();
  return documents;
}

base::Result<Declared> decode_document(std::string_view json, const catalog::Catalog& catalog,
                                       Limits limits) {
  return decode_one<Declared>(json, catalog, limits, {}, {});
}

base::Result<control::Submit> decode_request(std::string_view json, const catalog::Catalog& catalog,
                                             Limits limits) {
  return decode_one<control::Submit>(json, catalog, limits, kRequestKind, kRequestKind);
}

bool valid_name(std::string_view name) {
  constexpr std::string_view kInner = "abcdefghijklmnopqrstuvwxyz0123456789-.";
  constexpr std::string_view kOuter = kInner.substr(0, 36);
  return !name.empty() && name.size() <= 63 && name.find_first_not_of(kInner) == name.npos &&
         kOuter.find(name.front()) != kOuter.npos && kOuter.find(name.back()) != kOuter.npos;
}

}  // namespace tessera::wire
