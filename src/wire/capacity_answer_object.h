#pragma once

#include "control/capacity_answer.h"
#include "wire/json.h"

namespace tessera::wire {

/// {"kind":"CapacityAnswer", …}: docs/capacity.md says what each key means. Slots are whole or with
/// up to three decimals, money has two.
Json capacity_answer_object(const control::CapacityAnswer& answer, const catalog::Catalog& catalog);

}  // namespace tessera::wire
