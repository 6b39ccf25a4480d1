#include "tenancy/team.h"

namespace tessera::tenancy {

const Quota* Team::quota(std::string_view pool) const {
  const auto found = quotas.find(pool);
  return found == quotas.end() ? nullptr : &found->second;
}

}  // namespace tessera::tenancy
