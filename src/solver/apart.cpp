#include "solver/apart.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

namespace tessera::solver {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int kAnswer = 3;  ///< in the fork: where the answer goes

bool write_all(int file, const void* data, std::size_t size) {
  const auto* at = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t written = write(file, at, size);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    at += written;
    size -= static_cast<std::size_t>(written);
  }
  return true;
}

/// In the fork: alone, mute, and gone when the caller is.
void withdraw(int answer) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const rlimit no_core{};
  setrlimit(RLIMIT_CORE, &no_core);
  dup2(answer, kAnswer);
  close_range(kAnswer + 1, ~0U, 0);
  const int nothing = open("/dev/null", O_RDWR);
  for (int standard = 0; standard <= 2; ++standard) dup2(nothing, standard);
}

[[noreturn]] void work_and_exit(const std::function<std::vector<double>()>& work, int answer) {
  withdraw(answer);
  try {
    const std::vector<double> result = work();
    const std::uint64_t count = result.size();
    const bool said = write_all(kAnswer, &count, sizeof count) &&
                      write_all(kAnswer, result.data(), count * sizeof(double));
    _exit(said ? 0 : 1);
  } catch (...) {
    _exit(1);
  }
}

/// Everything that comes until the other side closes; less where `deadline` comes first.
std::vector<char> read_until(int file, Clock::time_point deadline) {
  std::vector<char> read_so_far;
  char part[4096];
  while (true) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd waiting{file, POLLIN, 0};
    const int ready = poll(&waiting, 1, static_cast<int>(std::clamp<long>(left, 0, 60'000)));
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0 && left > 0) continue;
    if (ready <= 0) return read_so_far;
    const ssize_t size = read(file, part, sizeof part);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return read_so_far;
    read_so_far.insert(read_so_far.end(), part, part + size);
  }
}

std::optional<std::vector<double>> decoded(const std::vector<char>& bytes) {
  std::uint64_t count = 0;
  if (bytes.size() < sizeof count) return std::nullopt;
  std::memcpy(&count, bytes.data(), sizeof count);
  if (bytes.size() - sizeof count != count * sizeof(double)) return std::nullopt;
  std::vector<double> result(count);
  if (count > 0) std::memcpy(result.data(), bytes.data() + sizeof count, count * sizeof(double));
  return result;
}

}  // namespace

std::optional<std::vector<double>> apart(const std::function<std::vector<double>()>& work,
                                         base::Duration limit) {
  const auto deadline = Clock::now() + limit;
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return std::nullopt;
  const pid_t child = fork();
  if (child == 0) work_and_exit(work, ends[1]);
  close(ends[1]);
  std::vector<char> bytes;
  if (child > 0) {
    bytes = read_until(ends[0], deadline);
    kill(child, SIGKILL);
    while (waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  close(ends[0]);
  return decoded(bytes);
}

}  // namespace tessera::solver
