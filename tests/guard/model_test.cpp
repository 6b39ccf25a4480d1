// Random sequences of calls against the model of the accounts. tests/fuzz looks for more of them.

#include <random>
#include <vector>

#include "call_model.h"
#include "rig.h"

namespace tessera::guard::test {
namespace {

class Model : public Rig {};

TEST_F(Model, agrees_with_the_books) {
  run(limited("256MiB"), [&](const Library& cuda) {
    ASSERT_EQ(cuda.begin(), cuda::kSuccess);
    CallModel model(cuda, {[&] { return charge(); }, [&] { return physical(); }, 256 * kMiB});
    std::mt19937 random(5);
    for (int sequence = 0; sequence < 200; ++sequence) {
      std::vector<std::uint8_t> bytes(random() % 400);
      for (auto& each : bytes) each = static_cast<std::uint8_t>(random());
      model.run(bytes);
    }
  });
}

}  // namespace
}  // namespace tessera::guard::test
