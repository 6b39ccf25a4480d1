#include "tenancy/price.h"
#include "wire/document.h"
#include "wire/objects.h"
#include "wire/slice_json.h"
#include "wire/spec.h"

namespace tessera::wire {
namespace {

using placement::Alternative;
using placement::Blocker;
using placement::Spot;

Json blocker_json(const Blocker& blocker) {
  return {{"pool", blocker.pool},
          {"technology", to_string(blocker.technology)},
          {"profile", blocker.profile},
          {"reason", to_string(blocker.reason)},
          {"gpus", blocker.gpus},
          {"full", blocker.full},
          {"wrongLayout", blocker.wrong_layout},
          {"scrubbing", blocker.scrubbing},
          {"away", blocker.away},
          {"host", blocker.host},
          {"fitting", blocker.fitting},
          {"detail", blocker.detail}};
}

Json alternative_json(const Alternative& alternative) {
  const bool later = alternative.kind == Alternative::Kind::kLater;
  return {{"kind", to_string(alternative.kind)},
          {"text", alternative.text},
          {"profile", text_or_null(alternative.profile)},
          {"spec", later ? Json(nullptr) : spec_of(alternative.need)},
          {"at", later ? Json(base::to_string(alternative.at)) : Json(nullptr)},
          {"after", text_or_null(name_of(alternative.after))}};
}

Json spot_json(const control::State& state, const Spot& spot) {
  const auto& fleet = state.fleet();
  const auto& pool = fleet.pool(spot.pool);
  Json slices = Json::array();
  for (const auto& grant : spot.grants) {
    Json slice = slice_json(grant.shape, state.catalog().model(pool.model));
    slice["gpu"] = fleet.gpu_name(grant.gpu);
    slice["creates"] = grant.reuses == 0;
    slices.push_back(std::move(slice));
  }
  const auto* tier = state.find_tier(spot.tier);
  return {{"tier", spot.tier},
          {"pool", pool.name},
          {"node", fleet.node(spot.node).name},
          {"slices", std::move(slices)},
          {"pricePerHour",
           tier != nullptr ? Json(tenancy::money_text(tenancy::price_per_hour(spot.cost, *tier)))
                           : Json(nullptr)}};
}

}  // namespace

Json explanation_object(const control::State& state, const placement::Explanation& explanation,
                        const Outlook& outlook) {
  const bool fits = explanation.spot.has_value();
  Json blockers = Json::array();
  for (const Blocker& blocker : explanation.blockers) blockers.push_back(blocker_json(blocker));
  Json alternatives = Json::array();
  for (const Alternative& alternative : explanation.alternatives)
    alternatives.push_back(alternative_json(alternative));
  return {{"apiVersion", kApiVersion},
          {"kind", "Explanation"},
          {"fitsNow", fits},
          {"tier", text_or_null(explanation.tier)},
          {"reason", fits ? Json(nullptr) : Json(to_string(explanation.reason))},
          {"message", explanation.message},
          {"spot", fits ? spot_json(state, *explanation.spot) : Json(nullptr)},
          {"blockers", std::move(blockers)},
          {"alternatives", std::move(alternatives)},
          {"hints", explanation.hints},
          {"position", outlook.position},
          {"eta", outlook.eta ? Json(base::to_string(*outlook.eta)) : Json(nullptr)}};
}

}  // namespace tessera::wire
