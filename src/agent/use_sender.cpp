#include "agent/use_sender.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace tessera::agent {

using base::Instant;

namespace {

/// A message that is not too large for anybody to take: some hundred kilobytes.
constexpr std::size_t kMostEntries = 1'000;

/// Batches from position `from` on, one at least.
std::vector<fleet::UseBatch> part_of(const std::vector<fleet::UseBatch>& batches,
                                     std::size_t from) {
  std::vector<fleet::UseBatch> part;
  std::size_t entries = 0;
  for (auto i = from; i < batches.size(); ++i) {
    entries += batches[i].leases.size();
    if (!part.empty() && entries > kMostEntries) break;
    part.push_back(batches[i]);
  }
  return part;
}

}  // namespace

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
  for (std::size_t sent = 0; sent < book.batches().size();) {
    auto part = part_of(book.batches(), sent);
    sent += part.size();
    const auto receipt = transport_->deliver({node_, book.stream(), std::move(part)});
    if (!receipt) {
      trouble_ = receipt.error();
      next_delivery_ = now + options_.retry;
      return;
    }
    meter_->acknowledge(*receipt);
  }
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
