#include "app/child.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

#include <sys/resource.h>
#include <sys/wait.h>

namespace tessera::app {
namespace {

constexpr std::array kPassedOn = {SIGHUP,  SIGINT,  SIGQUIT,  SIGTERM,
                                  SIGUSR1, SIGUSR2, SIGWINCH, SIGCONT};

/// What the child tells when it cannot become the program.
struct Failure {
  int error = 0;
  bool at_door = false;
};

sigset_t watched_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int each : kPassedOn) sigaddset(&signals, each);
  sigaddset(&signals, SIGCHLD);
  return signals;
}

bool enter(const std::string& door) {
  const int file = open(door.c_str(), O_WRONLY | O_CLOEXEC);
  if (file < 0) return false;
  const bool in = write(file, "0", 1) == 1;
  close(file);
  return in;
}

/// In the child: only what is safe between fork and exec of a single-threaded process.
[[noreturn]] void become(const ChildOptions& options, const sigset_t& mask, int tell) {
  Failure failure;
  if (!options.door.empty() && !enter(options.door)) {
    failure = {errno, true};
  } else {
    for (const auto& [name, value] : options.environment) setenv(name.c_str(), value.c_str(), 1);
    std::vector<char*> words;
    for (const auto& word : options.command) words.push_back(const_cast<char*>(word.c_str()));
    words.push_back(nullptr);
    sigprocmask(SIG_SETMASK, &mask, nullptr);
    execvp(words[0], words.data());
    failure = {errno, false};
  }
  const auto told = write(tell, &failure, sizeof failure);
  _exit(told == sizeof failure ? 127 : 126);
}

/// Passes signals on until the child has ended; its wait status.
int attend(pid_t child, const sigset_t& signals) {
  for (;;) {
    int status = 0;
    const auto ended = waitpid(child, &status, WNOHANG);
    if (ended == child || (ended < 0 && errno != EINTR)) return status;
    siginfo_t info{};
    const int signal = sigwaitinfo(&signals, &info);
    // What the terminal or the kernel raised was raised in the child as well.
    if (signal > 0 && signal != SIGCHLD && info.si_code <= 0) kill(child, signal);
  }
}

}  // namespace

Ending run_child(const ChildOptions& options) {
  std::array<int, 2> pipe{};
  if (pipe2(pipe.data(), O_CLOEXEC) != 0) return {126, 0, std::strerror(errno)};
  const auto signals = watched_signals();
  sigset_t before;
  sigprocmask(SIG_BLOCK, &signals, &before);
  const auto child = fork();
  if (child == 0) become(options, before, pipe[1]);
  close(pipe[1]);
  Ending ending;
  Failure failure;
  if (child < 0) {
    ending = {126, 0, std::strerror(errno)};
  } else {
    const bool failed = read(pipe[0], &failure, sizeof failure) == sizeof failure;
    const int status = attend(child, signals);
    if (failed && failure.at_door)
      ending = {
          126, 0,
          "its control group cannot be entered: " + std::string(std::strerror(failure.error))};
    else if (failed)
      ending = {failure.error == ENOENT ? 127 : 126, 0,
                options.command.front() + ": " + std::strerror(failure.error)};
    else if (WIFSIGNALED(status))
      ending.signal = WTERMSIG(status);
    else
      ending.code = WEXITSTATUS(status);
  }
  close(pipe[0]);
  sigprocmask(SIG_SETMASK, &before, nullptr);
  return ending;
}

int end_like(const Ending& ending) {
  if (ending.signal == 0) return ending.code;
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);  // the core that matters is the other one's
  signal(ending.signal, SIG_DFL);
  sigset_t one;
  sigemptyset(&one);
  sigaddset(&one, ending.signal);
  sigprocmask(SIG_UNBLOCK, &one, nullptr);
  raise(ending.signal);
  return 128 + ending.signal;
}

}  // namespace tessera::app
