#pragma once

#include <map>
#include <string>
#include <vector>

namespace tessera::app {

/// How a program ended.
struct Ending {
  int code = 0;         ///< what it exited with; 126 and 127 also where it could not be started
  int signal = 0;       ///< what it was ended by; 0: it exited
  std::string trouble;  ///< why it could not be started
};

struct ChildOptions {
  std::vector<std::string> command;  ///< the program, looked for in PATH, and its arguments
  std::map<std::string, std::string> environment;  ///< added to this program's own
  std::string door;  ///< cgroup.procs of the group it shall be in; empty: none
};

/// Runs a program and waits for it. Signals that are sent to this process are passed on to it;
/// those of the terminal reach it anyway, and only it is ended by them.
///
/// The calling thread must be the only one.
Ending run_child(const ChildOptions& options);

/// Ends this process as the other one ended, so that whoever waits sees the same.
int end_like(const Ending& ending);

}  // namespace tessera::app
