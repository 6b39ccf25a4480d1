#include "device/driver.h"

#include <algorithm>

namespace tessera::device {
namespace {

template <class... Parts>
struct Overloaded : Parts... {
  using Parts::operator()...;
};

std::string place(const InstanceSpec& spec) {
  return "profile " + std::to_string(spec.nvml_profile) + " at " +
         std::to_string(spec.placement.start);
}

}  // namespace

std::string_view to_string(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInUse:
      return "in use";
    case ErrorCode::kNoRoom:
      return "no room";
    case ErrorCode::kInvalidPlacement:
      return "invalid placement";
    case ErrorCode::kNotPermitted:
      return "not permitted";
    case ErrorCode::kWrongOrder:
      return "wrong order";
    case ErrorCode::kNotFound:
      return "not found";
    case ErrorCode::kNotSupported:
      return "not supported";
    case ErrorCode::kGpuLost:
      return "GPU lost";
    case ErrorCode::kTimeout:
      return "timeout";
    case ErrorCode::kOverloaded:
      return "overloaded";
    case ErrorCode::kUnknown:
      return "unknown error";
  }
  return "unknown error";
}

std::string_view to_string(Condition condition) {
  switch (condition) {
    case Condition::kAnswering:
      return "answering";
    case Condition::kHung:
      return "hung";
    case Condition::kLost:
      return "lost";
  }
  return "lost";
}

GpuNumber gpu_of(const Operation& operation) {
  return std::visit([](const auto& each) { return each.gpu; }, operation);
}

std::string describe(const Operation& operation) {
  return std::visit(
      Overloaded{
          [](const SetMigMode& mode) -> std::string {
            return mode.enabled ? "turning MIG mode on" : "turning MIG mode off";
          },
          [](const CreateInstance& create) {
            return "creating an instance of " + place(create.spec);
          },
          [](const DestroyInstance& destroy) { return "destroying " + destroy.device; },
          [](const Scrub& scrub) { return "scrubbing " + scrub.device; },
          [](const ReadUse&) -> std::string { return "reading use"; },
      },
      operation);
}

bool GpuState::held(std::string_view device) const {
  return std::ranges::any_of(processes,
                             [&](const Process& process) { return process.device == device; });
}

const GpuState* Observation::find(GpuNumber number) const {
  const auto found = std::ranges::find(gpus, number, &GpuState::number);
  return found == gpus.end() ? nullptr : &*found;
}

bool Capabilities::supports(catalog::Technology technology) const {
  return std::ranges::find(technologies, technology) != technologies.end();
}

}  // namespace tessera::device
