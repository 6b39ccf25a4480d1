#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/id.h"
#include "base/quantity.h"
#include "catalog/layout.h"

/// What hardware can do, as attested by public sources (see data/README.md for each figure's).
namespace tessera::catalog {

using base::MiB;
using base::Sms;

using ModelIndex = base::Index<struct ModelTag>;

/// How well a figure is supported. Weaker figures are still used, and shown with their mark.
enum class Confidence : std::uint8_t { kUnknown, kInferred, kSingleSource, kTwoSources };
std::string_view to_string(Confidence confidence);

/// Copy engines, decoders, encoders, JPEG and optical-flow engines of one instance. Absent where
/// nobody published the number.
struct Engines {
  std::optional<int> copy, decoder, encoder, jpeg, optical_flow;
};

/// One MIG profile of one model, e.g. 1g.10gb of an H100.
struct MigProfile {
  std::string name;       ///< "1g.10gb"; drifts between drivers, never used as a key
  std::string kind;       ///< size class shared by all models: "1g", "1g.2x", "3g", "1g+me" …
  int nvml_profile = -1;  ///< argument of nvmlDeviceGetGpuInstanceProfileInfo
  int driver_profile_id = -1;  ///< nvmlGpuInstanceProfileInfo_t.id; not stable across products
  int compute_slices = 0;
  int memory_slices = 0;
  std::optional<MiB> memory;  ///< usable by the tenant; absent where nobody published it
  std::optional<Sms> sms;
  int max_instances = 0;
  Engines engines;
  std::vector<Placement> placements;
  Confidence memory_confidence = Confidence::kUnknown;
  Confidence sms_confidence = Confidence::kUnknown;
  Confidence placement_confidence = Confidence::kUnknown;

  /// Plain profiles are chosen for needs; media ("+me"), graphics ("+gfx") and "-me" variants of
  /// the same size only where they already exist.
  bool plain() const { return kind.find_first_of("+-") == std::string::npos; }
};

/// One vGPU type that divides a GPU's time among VMs, e.g. A100-10C. All vGPUs of one GPU have
/// the same type.
struct VgpuType {
  std::string name;
  MiB framebuffer;  ///< nominal, as the guest is told; max_per_gpu of them may exceed the GPU's
                    ///< usable memory a little, because the vendor counts the reserve in
  int max_per_gpu = 0;
  Confidence confidence = Confidence::kUnknown;
};

/// One GPU product. Immutable once in a Catalog.
struct GpuModel {
  std::string key;                 ///< "H100-80GB-SXM5": our name, used in documents
  std::string product;             ///< vendor's name, for people
  std::vector<std::string> names;  ///< other names that mean this model alone, as NVML prints them
  std::string architecture;
  std::vector<std::uint32_t> pci_ids;  ///< device and vendor id as NVML reports it: 0x233010DE
  MiB memory;  ///< usable by one tenant holding the whole GPU; 0 where unknown
  Sms sms;     ///< 0 where unknown
  Confidence memory_confidence = Confidence::kUnknown;
  Confidence sms_confidence = Confidence::kUnknown;
  int memory_slices = 0;  ///< length of the placement axis; 0: no MIG
  int compute_slices = 0;
  std::vector<MigProfile> profiles;
  std::vector<VgpuType> vgpu_types;
  LayoutTable layouts;  ///< of `profiles`; empty without MIG
  /// The plain profiles that have places, from the least of compute and memory together upwards;
  /// equals in the order of `profiles`.
  std::vector<std::uint16_t> plain_by_size;

  bool mig_capable() const { return !profiles.empty(); }
  const MigProfile& profile_of(InstanceIndex instance) const {
    return profiles[layouts.instance(instance).profile];
  }
  std::optional<std::size_t> find_profile(std::string_view name) const;
  /// The instance that `profile` makes at `start`, if the model allows one there.
  std::optional<InstanceIndex> find_instance(std::string_view profile, int start) const;
};

/// All models known. Immutable after construction, freely shared between threads.
class Catalog {
 public:
  /// Takes models whose `layouts` and `plain_by_size` are still empty and builds those. Keys, names
  /// and PCI ids must be unique, and every placement must lie on its model's axis (CHECK).
  explicit Catalog(std::vector<GpuModel> models);

  /// The models of data/gpu_models.json, compiled in.
  static Catalog built_in();

  const GpuModel& model(ModelIndex index) const { return models_[index.value()]; }
  const std::vector<GpuModel>& models() const { return models_; }
  /// By key or by one of the model's other names.
  std::optional<ModelIndex> find(std::string_view name) const;
  std::optional<ModelIndex> find_pci(std::uint32_t pci_id) const;

 private:
  std::vector<GpuModel> models_;
};

}  // namespace tessera::catalog
