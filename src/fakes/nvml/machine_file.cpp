#include "fakes/nvml/machine_file.h"

#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <type_traits>
#include <unistd.h>
#include <utility>

#include <sys/file.h>

#include "fakes/cuda/area.h"

namespace tessera::fakes {
namespace {

constexpr std::uint64_t kMagic = 0x7e55'e2a0'f4ce'0003;  // the last digits number the format

static_assert(std::is_trivially_copyable_v<MachineHeader>);
static_assert(std::is_trivially_copyable_v<GpuRecord>);

/// Where one GPU's records lie: which copy is in force, then the two.
struct Slot {
  std::uint64_t in_force;
  GpuRecord copies[2];
};

off_t slot_at(unsigned gpu) {
  return static_cast<off_t>(sizeof(MachineHeader) + gpu * sizeof(Slot));
}
off_t copy_at(unsigned gpu, std::uint64_t copy) {
  return slot_at(gpu) + static_cast<off_t>(sizeof(std::uint64_t) + copy * sizeof(GpuRecord));
}

template <class T>
bool get(int file, off_t at, T& value) {
  return pread(file, &value, sizeof(T), at) == static_cast<ssize_t>(sizeof(T));
}
template <class T>
bool put(int file, off_t at, const T& value) {
  return pwrite(file, &value, sizeof(T), at) == static_cast<ssize_t>(sizeof(T));
}

bool lock(int file, int how) {
  while (flock(file, how) != 0)
    if (errno != EINTR) return false;
  return true;
}

}  // namespace

std::uint64_t cuda_area_at() {
  constexpr std::uint64_t kPage = 4096;
  return (static_cast<std::uint64_t>(slot_at(kMostGpus)) + kPage - 1) / kPage * kPage;
}

MachineFile::MachineFile(MachineFile&& other) noexcept
    : file_(std::exchange(other.file_, -1)), header_(other.header_) {}

MachineFile::~MachineFile() {
  if (file_ >= 0) close(file_);
}

std::expected<MachineFile, abi::Return> MachineFile::open(const std::string& path, Access access) {
  const bool change = access == Access::kChange;
  const int file = ::open(path.c_str(), (change ? O_RDWR : O_RDONLY) | O_CLOEXEC);
  if (file < 0)
    return std::unexpected(errno == EACCES ? abi::kNoPermission : abi::kDriverNotLoaded);
  MachineFile machine(file);
  if (!lock(file, change ? LOCK_EX : LOCK_SH) || !get(file, 0, machine.header_) ||
      machine.header_.magic != kMagic || machine.header_.gpus > kMostGpus)
    return std::unexpected(abi::kOperatingSystem);
  return machine;
}

bool MachineFile::create(const std::string& path, const MachineHeader& header,
                         const GpuRecord* gpus) {
  const std::string draft = path + ".draft";
  const int file = ::open(draft.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (file < 0) return false;
  MachineHeader marked = header;
  marked.magic = kMagic;
  bool done = put(file, 0, marked);
  for (unsigned i = 0; i < header.gpus && done; ++i)
    done = put(file, slot_at(i), Slot{0, {gpus[i], gpus[i]}});
  done = close(file) == 0 && done;
  return done && rename(draft.c_str(), path.c_str()) == 0;
}

bool MachineFile::read(unsigned gpu, GpuRecord& record) const {
  std::uint64_t in_force = 0;
  if (!get(file_, slot_at(gpu), in_force) || !get(file_, copy_at(gpu, in_force & 1), record))
    return false;
  show_cuda_processes(file_, gpu, record);
  return true;
}

bool MachineFile::write(unsigned gpu, const GpuRecord& record) const {
  std::uint64_t in_force = 0;
  if (!get(file_, slot_at(gpu), in_force)) return false;
  const std::uint64_t other = (in_force & 1) ^ 1;
  return put(file_, copy_at(gpu, other), record) && put(file_, slot_at(gpu), other);
}

bool MachineFile::write_header(const MachineHeader& header) const {
  return put(file_, 0, header);
}

}  // namespace tessera::fakes
