#include "app/device_fence.h"

#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <unistd.h>

#include <linux/bpf.h>
#include <sys/syscall.h>

namespace tessera::app {
namespace {

constexpr std::int32_t kNvidia = 195;        // major number of /dev/nvidia*
constexpr std::int32_t kFirstControl = 252;  // minors from here on are no GPUs

class Descriptor {
 public:
  explicit Descriptor(long number) : number_(static_cast<int>(number)) {}
  ~Descriptor() {
    if (number_ >= 0) close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int number() const { return number_; }

 private:
  int number_;
};

bpf_insn load(std::uint8_t to, std::size_t offset) {
  return {.code = BPF_LDX | BPF_MEM | BPF_W,
          .dst_reg = static_cast<std::uint8_t>(to & 0xF),
          .src_reg = BPF_REG_1,
          .off = static_cast<std::int16_t>(offset),
          .imm = 0};
}
bpf_insn jump(std::uint8_t condition, std::uint8_t reg, std::int32_t value, std::size_t over) {
  return {.code = static_cast<std::uint8_t>(BPF_JMP | condition | BPF_K),
          .dst_reg = static_cast<std::uint8_t>(reg & 0xF),
          .src_reg = 0,
          .off = static_cast<std::int16_t>(over),
          .imm = value};
}
bpf_insn answer(std::int32_t value) {
  return {.code = BPF_ALU64 | BPF_MOV | BPF_K,
          .dst_reg = BPF_REG_0,
          .src_reg = 0,
          .off = 0,
          .imm = value};
}
constexpr bpf_insn kExit = {
    .code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0};

/// Yes for all that is no GPU and for the GPUs named; no for other GPUs.
std::vector<bpf_insn> filter(const std::vector<unsigned>& minors) {
  const auto yes = minors.size() + 2;  // instructions from behind a test of the control nodes
  std::vector<bpf_insn> code = {
      load(BPF_REG_2, offsetof(bpf_cgroup_dev_ctx, major)),
      jump(BPF_JNE, BPF_REG_2, kNvidia, yes + 2),
      load(BPF_REG_3, offsetof(bpf_cgroup_dev_ctx, minor)),
      jump(BPF_JGE, BPF_REG_3, kFirstControl, yes),
  };
  for (std::size_t i = 0; i < minors.size(); ++i)
    code.push_back(jump(BPF_JEQ, BPF_REG_3, static_cast<std::int32_t>(minors[i]), yes - 1 - i));
  for (const auto& each : {answer(0), kExit, answer(1), kExit}) code.push_back(each);
  return code;
}

long bpf(int command, bpf_attr& attributes) {
  return syscall(SYS_bpf, command, &attributes, sizeof attributes);
}

std::string read_line(const std::string& line, std::string_view key) {
  if (!line.starts_with(key)) return {};
  const auto begin = line.find_first_not_of(" \t", key.size());
  return begin == std::string::npos ? std::string() : line.substr(begin);
}

}  // namespace

base::Result<void> fence_devices(const std::string& folder, const std::vector<unsigned>& minors) {
  const auto refused = [&](const char* what) {
    return base::fail(base::Reason::kUnavailable, std::string(what) + ": " + std::strerror(errno),
                      folder, "run it as root on a kernel with BPF for control groups");
  };
  const auto code = filter(minors);
  constexpr char kLicense[] = "Dual MIT/GPL";
  bpf_attr loaded{};
  loaded.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
  loaded.expected_attach_type = BPF_CGROUP_DEVICE;
  loaded.insns = reinterpret_cast<std::uintptr_t>(code.data());
  loaded.insn_cnt = static_cast<std::uint32_t>(code.size());
  loaded.license = reinterpret_cast<std::uintptr_t>(kLicense);
  const Descriptor program(bpf(BPF_PROG_LOAD, loaded));
  if (program.number() < 0) return refused("other GPUs cannot be fenced off");
  const Descriptor group(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (group.number() < 0) return refused("the control group cannot be opened");
  bpf_attr attached{};
  attached.target_fd = static_cast<std::uint32_t>(group.number());
  attached.attach_bpf_fd = static_cast<std::uint32_t>(program.number());
  attached.attach_type = BPF_CGROUP_DEVICE;
  attached.attach_flags = BPF_F_ALLOW_MULTI;
  if (bpf(BPF_PROG_ATTACH, attached) != 0) return refused("other GPUs cannot be fenced off");
  return {};
}

std::optional<unsigned> minor_of(const std::string& uuid, const std::string& folder) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    std::ifstream file(entry.path() / "information");
    std::string found, number;
    for (std::string line; std::getline(file, line);) {
      if (auto value = read_line(line, "GPU UUID:"); !value.empty()) found = std::move(value);
      if (auto value = read_line(line, "Device Minor:"); !value.empty()) number = std::move(value);
    }
    unsigned minor = 0;
    const auto [end, wrong] = std::from_chars(number.data(), number.data() + number.size(), minor);
    if (found == uuid && wrong == std::errc{} && end == number.data() + number.size()) return minor;
  }
  return std::nullopt;
}

}  // namespace tessera::app
