#pragma once

#include <chrono>
#include <future>
#include <thread>
#include <utility>

namespace tessera::device::nvml {

/// A thread that may be stuck in a vendor's library. It is waited for only so long at its end, then
/// left behind; so all it uses must belong to the function it runs.
class PatientThread {
 public:
  template <class Function>
  explicit PatientThread(Function function) {
    std::promise<void> ended;
    ended_ = ended.get_future();
    thread_ = std::thread([function = std::move(function), ended = std::move(ended)]() mutable {
      function();
      ended.set_value();
    });
  }
  PatientThread(const PatientThread&) = delete;
  PatientThread& operator=(const PatientThread&) = delete;
  ~PatientThread() {
    if (!thread_.joinable()) return;
    if (ended_.wait_for(std::chrono::seconds(2)) == std::future_status::ready)
      thread_.join();
    else
      thread_.detach();
  }

 private:
  std::future<void> ended_;
  std::thread thread_;
};

}  // namespace tessera::device::nvml
