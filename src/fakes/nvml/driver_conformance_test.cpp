#include "device/conformance.h"
#include "fakes/nvml/driver_rig.h"

namespace tessera::device {
namespace {

struct HopperName {
  static constexpr const char* kModel = "H100-80GB-SXM5";
};
struct AmpereName {
  static constexpr const char* kModel = "A30-24GB";
};
struct BlackwellName {
  static constexpr const char* kModel = "RTX-PRO-6000-BSE-96GB";
};

template <class Name>
class NvmlRig final : public Rig {
 public:
  NvmlRig() { restart_driver(); }
  Driver& driver() override { return *driver_; }
  void restart_driver() override {
    driver_.reset();
    auto opened = machine_.open(machine_.options());
    if (!opened) throw std::runtime_error(base::to_string(opened.error()));
    driver_ = std::move(*opened);
  }
  const catalog::GpuModel& model() const override {
    return catalog_.model(catalog_.find(Name::kModel).value());
  }
  /// The driver lives in real time: what a test calls ten milliseconds need not be as long.
  void pass(Duration) override { std::this_thread::sleep_for(std::chrono::milliseconds(2)); }
  std::uint32_t start(const std::string& device, LeaseId tenant) override {
    return machine_.start(device, tenant);
  }
  void stop(std::uint32_t pid) override { machine_.stop(pid); }

 private:
  catalog::Catalog catalog_ = catalog::Catalog::built_in();
  fakes::PretendedMachine machine_{{.models = {Name::kModel, Name::kModel}}};
  std::unique_ptr<nvml::NvmlDriver> driver_;
};

using Rigs = testing::Types<NvmlRig<HopperName>, NvmlRig<AmpereName>, NvmlRig<BlackwellName>>;
INSTANTIATE_TYPED_TEST_SUITE_P(Nvml, DriverConformance, Rigs);

}  // namespace
}  // namespace tessera::device
