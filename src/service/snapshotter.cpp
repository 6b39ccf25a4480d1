#include "service/snapshotter.h"

#include <utility>

namespace tessera::service {

Snapshotter::Snapshotter(journal::Journal& journal, std::uint64_t every, std::uint64_t last,
                         Source source)
    : journal_(journal), every_(every), source_(std::move(source)), last_(last) {
  thread_ = std::thread([this] { run(); });
}

Snapshotter::~Snapshotter() {
  stop();
}

void Snapshotter::reached(std::uint64_t revision) {
  {
    const std::lock_guard lock(mutex_);
    if (revision < last_ + every_) return;
    last_ = revision;
    due_ = true;
  }
  wake_.notify_one();
}

Snapshotter::Report Snapshotter::report() const {
  const std::lock_guard lock(mutex_);
  return report_;
}

void Snapshotter::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void Snapshotter::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stopping_ || due_; });
    if (stopping_) return;
    due_ = false;
    lock.unlock();
    const journal::Snapshot snapshot = source_();
    const auto written = journal_.write_snapshot(snapshot.revision, snapshot.bytes);
    lock.lock();
    report_.trouble = written ? std::string() : base::to_string(written.error());
    if (written) report_.revision = snapshot.revision;
  }
}

}  // namespace tessera::service
