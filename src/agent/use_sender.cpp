#include "agent/use_sender.h"

#include <algorithm>
#include <utility>

namespace tessera::agent {

using base::Instant;

UseSender::UseSender(std::string node, Meter& meter, const UseFile& file, UseTransport& transport,
                     UseSenderOptions options)
    : node_(std::move(node)),
      meter_(&meter),
      file_(&file),
      transport_(&transport),
      options_(options) {}

Instant UseSender::turn(Instant now) {
  trouble_.reset();
  if (!next_batch_) next_batch_ = now + options_.batch;
  if (now >= *next_batch_) {
    unsaved_batch_ |= meter_->close();
    next_batch_ = now + options_.batch;
  }
  if (save(unsaved_batch_)) {
    unsaved_batch_ = false;
    if (now >= next_delivery_) deliver(now);
  }
  return now + options_.save;
}

bool UseSender::save(bool durable) {
  auto saved = file_->save(meter_->book(), durable);
  if (!saved) trouble_ = std::move(saved).error();
  return saved.has_value();
}

void UseSender::deliver(Instant now) {
  const auto book = meter_->book();
  if (book.batches().empty()) return;
  const auto receipt = transport_->deliver({node_, book.stream(), book.batches()});
  if (receipt) return meter_->acknowledge(*receipt);
  trouble_ = receipt.error();
  next_delivery_ = now + options_.retry;
}

void UseSender::finish() {
  (void)save(true);  // there is nobody left to tell
}

UseSenderThread::UseSenderThread(UseSender& sender, const base::Clock& clock)
    : sender_(&sender),
      clock_(&clock),
      thread_([this](const std::stop_token& stopping) { run(stopping); }) {}

UseSenderThread::~UseSenderThread() {
  thread_.request_stop();
  thread_.join();
  sender_->finish();
}

void UseSenderThread::run(const std::stop_token& stopping) {
  while (!stopping.stop_requested()) {
    const auto next = sender_->turn(clock_->now());
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, stopping, std::max(next - clock_->now(), base::Duration(1)),
                   [] { return false; });
  }
}

}  // namespace tessera::agent
