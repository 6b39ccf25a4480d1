#pragma once

#include "wire/json.h"

namespace tessera::app {

/// Prints a CapacityAnswer for a person: what is asked for, how many GPUs it takes, what the fleet
/// at hand serves, what buying more changes, and what each technique takes.
void print_capacity_answer(const wire::Json& answer);

}  // namespace tessera::app
