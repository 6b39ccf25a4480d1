#pragma once

#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "catalog/gpu_model.h"
#include "device/driver.h"

/// One simulated GPU: what the real driver allows and refuses, without time passing.
namespace tessera::device::simulated {

/// A program that uses a GPU.
struct Program {
  std::string device;  ///< where it runs: an instance's UUID, or the GPU's
  MiB memory{};
  LeaseId tenant{};
  int load_permille = 600;  ///< how busy it keeps its slice, on average
  Duration linger{};        ///< how long it refuses to die once asked to
};

/// Invariants: the instances are a legal layout of the model; there are none with MIG mode off;
/// with MIG mode on every process is on an instance; memory of the processes fits their device.
///
/// Owned by a Machine; not thread-safe.
class Gpu {
 public:
  Gpu(GpuNumber number, const catalog::GpuModel& model, std::string uuid);

  GpuNumber number() const { return number_; }
  const std::string& uuid() const { return uuid_; }
  /// As it stands; a Driver sets kHung where one of its calls does not come back.
  GpuState state() const;

  /// Carries out one operation at once, or says why the hardware refuses it. A CreateInstance
  /// answers with the UUID, made from `random`; a ReadUse is answered by samples().
  std::expected<std::string, Error> apply(const Operation& operation, Instant at,
                                          base::Random& random);
  /// Of the time since the last call.
  std::vector<UseSample> samples(Instant at, std::uint64_t seed);

  std::optional<Error> start(const Program& program, std::uint32_t pid);
  /// False where there is no such process.
  bool stop(std::uint32_t pid);
  /// Removes processes that are dead, and left-over memory that has cleared, by `at`.
  void settle(Instant at);

  void lose() { lost_ = true; }
  void raise_xid(int code);
  /// Memory of `device` reads as used, without a process, until `until`.
  void leave_memory(std::string device, MiB amount, Instant until);
  /// The machine starts anew: instances and processes are gone, a lost GPU is back.
  void boot();

 private:
  struct Running {
    std::uint32_t pid = 0;
    Program program;
    std::optional<Instant> dies;  ///< once it was asked to
  };
  struct Residue {
    std::string device;
    MiB amount;
    Instant until{};
  };

  std::expected<std::string, Error> change(const SetMigMode& mode);
  std::expected<std::string, Error> change(const CreateInstance& create, base::Random& random);
  std::expected<std::string, Error> change(const DestroyInstance& destroy);
  std::expected<std::string, Error> change(const Scrub& scrub, Instant at);

  bool exists(const std::string& device) const;
  bool held(const std::string& device) const;
  MiB memory_of(const std::string& device) const;
  MiB used(const std::string& device) const;
  catalog::Layout layout() const;

  GpuNumber number_;
  const catalog::GpuModel* model_;
  std::string uuid_;
  bool lost_ = false;
  bool mig_current_ = false;
  bool mig_pending_ = false;
  std::vector<int> xids_;
  std::vector<InstanceState> instances_;  ///< memory_used is filled in by state()
  std::vector<Running> running_;
  std::vector<Residue> residues_;
  std::optional<Instant> sampled_;
};

}  // namespace tessera::device::simulated
