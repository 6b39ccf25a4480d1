#pragma once

#include <cstdint>

/// One clock for several threads of several processes, which stands still while any of them runs:
/// they run one at a time, and when all sleep the clock goes on to whoever wakes first. So what is
/// measured does not depend on how busy the machine is, is the same every time, and takes no longer
/// than the computing takes.
///
/// While a thread takes part, its clock_gettime(), nanosleep() and futex waits are this clock's:
/// virtual_time.cpp defines them for the whole program and the libraries that it loads. Waits of
/// other kinds count as running.
///
/// Made before the fork by whoever starts the others; the memory is shared with its children.
namespace tessera::guard::test {

class VirtualTime {
 public:
  using Nanoseconds = std::uint64_t;
  static constexpr unsigned kMost = 8;

  /// The clock starts when this many have joined.
  explicit VirtualTime(unsigned members);
  ~VirtualTime();
  VirtualTime(const VirtualTime&) = delete;
  VirtualTime& operator=(const VirtualTime&) = delete;

  /// The calling thread takes part from now on, as number `place`, and returns when it is its
  /// turn to run. Of those that wake at the same time the lower number runs first.
  void join(unsigned place);
  void leave();

  Nanoseconds begin() const;
  /// How many take part now.
  unsigned members() const;

  struct Page;

 private:
  Page* page_;
};

}  // namespace tessera::guard::test
