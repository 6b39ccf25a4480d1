#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "control/capacity_sizing.h"

/// The answer to a capacity question: how many GPUs a demand takes, what of it the fleet at hand
/// serves, what buying more changes, and what it takes with each technique alone.
///
/// What is asked for comes beside the leases there are. A line with arrivals is turned into slots
/// by Erlang's loss formula, each line by itself; sharing slots between lines would need fewer.
namespace tessera::control {

/// GPUs of a model that might be bought: `--add H100-80GB-SXM5=8`.
struct Addition {
  catalog::ModelIndex model;
  std::int64_t count = 0;
};

/// One slice: the largest that fits.
struct LargestSlice {
  std::string name;  ///< empty: none fits
  base::MiB memory;
  base::Sms sms;
  std::string pool;
};

struct LineAnswer {
  std::string tier;
  std::string need;  ///< "18GiB, 30 SMs"
  catalog::Isolation isolation{};
  std::int64_t slots = 0;
  std::optional<planning::Arrivals> arrivals;
  std::int64_t level = 0;
  std::int64_t value = 0;
};

struct ModelSizing {
  std::string model;
  std::optional<Cents> cost;  ///< of one GPU, a year
  Sizing alone;               ///< with GPUs of this model only
  Sizing beside;              ///< to buy beside the fleet at hand
};

/// A tier's largest slice now, and after a plan.
struct TierRoom {
  std::string tier;
  LargestSlice now;
  LargestSlice planned;
};

/// What one technique does for the demand on GPUs of one model.
struct TechniqueSizing {
  Technology technology{};
  std::string model;
  std::vector<std::string> refused;  ///< by line: why it is not served; empty where it is
  std::int64_t slots = 0;            ///< of the lines that it serves
  Sizing alone;                      ///< for those
  Sizing whole;  ///< for all, the others by whichever techniques keep their isolation
};

struct CapacityAnswer {
  std::vector<LineAnswer> lines;
  std::vector<ModelSizing> models;
  std::optional<Sizing> cheapest;  ///< over all models, where each has a price
  std::int64_t gpus = 0;           ///< of the fleet at hand, open ones
  std::int64_t closed = 0;
  Serving now;
  std::optional<Serving> planned;  ///< where there is a lease that may move
  std::vector<Addition> additions;
  std::optional<Serving> added;  ///< with what --add says
  std::vector<TierRoom> rooms;
  std::vector<TechniqueSizing> techniques;
  std::vector<std::string> notes;
};

/// Errors name the line's place: kUnknownObject (tier), kNoTier (an isolation that the tier never
/// gives), kNeverFits (a need that neither the fleet nor a model that could be bought can ever
/// serve), kInvalidQuantity (more slots than can be counted), kTooLarge.
base::Result<CapacityAnswer> answer_capacity(const catalog::Catalog& catalog,
                                             const FleetAtHand& fleet, const CapacityDemand& demand,
                                             const std::vector<Addition>& additions,
                                             const planning::SolverFactory& solver,
                                             const planning::Patience& patience);

}  // namespace tessera::control
