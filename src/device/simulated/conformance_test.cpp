#include "device/conformance.h"

#include <memory>

#include "device/simulated/driver.h"
#include "device/simulated/hand_clock.h"

namespace tessera::device {
namespace {

struct HopperName {
  static constexpr std::string_view kModel = "H100-80GB-SXM5";
};
struct AmpereName {
  static constexpr std::string_view kModel = "A30-24GB";
};
struct BlackwellName {
  static constexpr std::string_view kModel = "RTX-PRO-6000-BSE-96GB";
};

template <class Name>
class SimulatedRig final : public Rig {
 public:
  Driver& driver() override { return *driver_; }
  void restart_driver() override {
    driver_.reset();
    driver_ = std::make_unique<simulated::SimulatedDriver>(machine_);
  }
  const catalog::GpuModel& model() const override { return catalog_->model(index_); }
  void pass(Duration span) override { clock_.pass(span); }
  std::uint32_t start(const std::string& device, LeaseId tenant) override {
    return machine_.start({.device = device, .memory = MiB(1024), .tenant = tenant}).value();
  }
  void stop(std::uint32_t pid) override { machine_.stop(pid); }

 private:
  std::shared_ptr<const catalog::Catalog> catalog_ =
      std::make_shared<const catalog::Catalog>(catalog::Catalog::built_in());
  catalog::ModelIndex index_ = catalog_->find(Name::kModel).value();
  simulated::HandClock clock_;
  simulated::Machine machine_{catalog_, clock_, {.gpus = {index_, index_}}};
  std::unique_ptr<simulated::SimulatedDriver> driver_ =
      std::make_unique<simulated::SimulatedDriver>(machine_);
};

using Rigs =
    testing::Types<SimulatedRig<HopperName>, SimulatedRig<AmpereName>, SimulatedRig<BlackwellName>>;
INSTANTIATE_TYPED_TEST_SUITE_P(Simulated, DriverConformance, Rigs);

}  // namespace
}  // namespace tessera::device
