#pragma once

#include <cstddef>
#include <string>
#include <vector>

/// Our declarations of NVML's binary interface, told to whoever wants to compare them with other
/// people's (tests/peers/nvml_peer.py does, with NVIDIA's Python bindings).
namespace tessera::fakes {

struct StructLayout {
  std::string name;  ///< as nvidia-ml-py calls it
  std::size_t size = 0;
  std::vector<std::size_t> offsets;  ///< of the fields, in the order of declaration
};
std::vector<StructLayout> struct_layouts();

struct Constant {
  std::string name;  ///< as nvidia-ml-py calls it
  unsigned long long value = 0;
};
std::vector<Constant> constants();

}  // namespace tessera::fakes
