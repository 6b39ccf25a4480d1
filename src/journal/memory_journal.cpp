#include "journal/memory_journal.h"

#include <array>

#include "base/check.h"
#include "base/fields.h"
#include "journal/binary.h"
#include "journal/codec.h"

namespace tessera::journal {
namespace {

using base::Reason;

constexpr std::size_t kWord = 4;
constexpr std::size_t kHeader = 3 * kWord;  // length, checksum of the body, checksum of both

/// What one append stores.
struct Body {
  std::uint64_t first = 0;
  std::vector<std::string> records;
  static void fields(auto& self, auto&& visit) {
    visit("first", self.first);
    visit("records", self.records);
  }
};

void put_word(std::string& bytes, std::uint32_t word) {
  for (std::size_t i = 0; i < kWord; ++i) bytes += static_cast<char>(word >> (8 * i));
}

std::uint32_t word_at(std::string_view bytes, std::size_t at) {
  std::uint32_t word = 0;
  for (std::size_t i = 0; i < kWord; ++i) {
    word |= std::uint32_t{static_cast<std::uint8_t>(bytes[at + i])} << (8 * i);
  }
  return word;
}

std::string frame_of(std::span<const control::Record> records) {
  Body body{records.front().revision, {}};
  for (const auto& record : records) body.records.push_back(encode(record));
  Writer writer;
  writer.put(body);
  std::string frame;
  put_word(frame, static_cast<std::uint32_t>(writer.bytes().size()));
  put_word(frame, checksum(writer.bytes()));
  put_word(frame, checksum(frame));
  return frame + writer.bytes();
}

base::Result<Body> body_of(std::string_view bytes) {
  Reader reader(bytes);
  Body body;
  reader.get(body);
  if (auto whole = reader.finish(); !whole) return std::unexpected(whole.error());
  return body;
}

std::unexpected<base::Error> damaged(std::uint64_t after, std::string what) {
  return base::fail(Reason::kInternal, std::move(what),
                    "journal in memory, after revision " + std::to_string(after),
                    "the records up to there are intact; restore the rest from a backup");
}

}  // namespace

void MemoryJournal::fail_next_append(Fault fault) {
  const std::lock_guard lock(mutex_);
  fault_ = fault;
}

void MemoryJournal::set_capacity(std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  capacity_ = bytes;
}

void MemoryJournal::set_away(bool away) {
  const std::lock_guard lock(mutex_);
  away_ = away;
}

std::string MemoryJournal::log() const {
  const std::lock_guard lock(mutex_);
  return log_;
}

void MemoryJournal::set_log(std::string log) {
  const std::lock_guard lock(mutex_);
  log_ = std::move(log);
  batches_.clear();
  scanned_ = 0;
}

void MemoryJournal::set_snapshot(Snapshot snapshot, std::uint32_t crc) {
  const std::lock_guard lock(mutex_);
  snapshots_[snapshot.revision] = Kept{std::move(snapshot.bytes), crc};
}

base::Result<void> MemoryJournal::check_reachable() const {
  if (!away_) return {};
  return base::fail(Reason::kUnavailable, "the disk does not answer", "journal in memory",
                    "bring the disk back");
}

base::Result<void> MemoryJournal::recover() {
  while (scanned_ < log_.size()) {
    const std::string_view rest = std::string_view(log_).substr(scanned_);
    if (rest.size() < kHeader) break;
    if (checksum(rest.substr(0, 2 * kWord)) != word_at(rest, 2 * kWord)) {
      return damaged(last(), "the checksum of a batch's header does not fit");
    }
    const std::size_t length = word_at(rest, 0);
    if (length > rest.size() - kHeader) break;
    const std::string_view bytes = rest.substr(kHeader, length);
    if (checksum(bytes) != word_at(rest, kWord)) {
      if (length == rest.size() - kHeader) break;
      return damaged(last(), "the checksum of a batch of records does not fit");
    }
    auto body = body_of(bytes);
    if (!body) return damaged(last(), base::to_string(body.error()));
    if (body->first != last() + 1) {
      return damaged(last(), "the next record has revision " + std::to_string(body->first));
    }
    batches_.push_back({body->first, body->first + body->records.size() - 1, scanned_ + kHeader,
                        scanned_ + kHeader + length});
    scanned_ = batches_.back().end;
  }
  log_.resize(scanned_);
  return {};
}

base::Result<void> MemoryJournal::append(std::span<const control::Record> records) {
  if (records.empty()) return {};
  const std::lock_guard lock(mutex_);
  if (auto reached = check_reachable(); !reached) return reached;
  if (auto sound = recover(); !sound) return sound;
  CHECK_MSG(records.front().revision == last() + 1, "append of revision " +
                                                        std::to_string(records.front().revision) +
                                                        " after " + std::to_string(last()));
  const std::string frame = frame_of(records);
  const Fault fault = std::exchange(fault_, Fault::kNone);
  const auto failed =
      base::fail(Reason::kUnavailable, "write error", "journal in memory", "try again");
  if (fault == Fault::kRefused) return failed;
  if (frame.size() > capacity_ - std::min(capacity_, log_.size())) {
    return base::fail(Reason::kUnavailable, "the disk is full", "journal in memory",
                      "make room; nothing that was acknowledged is lost");
  }
  if (fault == Fault::kTorn) {
    log_ += frame.substr(0, frame.size() / 2);
    return failed;
  }
  log_ += frame;
  if (fault == Fault::kUnheard) return failed;
  return {};
}

base::Result<std::uint64_t> MemoryJournal::last_revision() {
  const std::lock_guard lock(mutex_);
  if (auto reached = check_reachable(); !reached) return std::unexpected(reached.error());
  if (auto sound = recover(); !sound) return std::unexpected(sound.error());
  return last();
}

base::Result<void> MemoryJournal::read(std::uint64_t from, const RecordReader& reader) {
  std::vector<Batch> batches;
  {
    const std::lock_guard lock(mutex_);
    if (auto reached = check_reachable(); !reached) return reached;
    if (auto sound = recover(); !sound) return sound;
    for (const auto& batch : batches_) {
      if (batch.last >= from) batches.push_back(batch);
    }
  }
  for (const auto& batch : batches) {
    std::string bytes;
    {
      const std::lock_guard lock(mutex_);
      bytes = log_.substr(batch.begin, batch.end - batch.begin);
    }
    auto body = body_of(bytes);
    if (!body) return damaged(batch.first - 1, base::to_string(body.error()));
    for (const auto& stored : body->records) {
      auto record = decode_record(stored);
      if (!record) return damaged(batch.first - 1, base::to_string(record.error()));
      if (record->revision < from) continue;
      if (auto taken = reader(std::move(*record)); !taken) return taken;
    }
  }
  return {};
}

base::Result<std::optional<Snapshot>> MemoryJournal::latest_snapshot() {
  const std::lock_guard lock(mutex_);
  if (auto reached = check_reachable(); !reached) return std::unexpected(reached.error());
  for (auto kept = snapshots_.rbegin(); kept != snapshots_.rend(); ++kept) {
    if (checksum(kept->second.bytes) == kept->second.crc) {
      return Snapshot{kept->first, kept->second.bytes};
    }
  }
  return std::nullopt;
}

base::Result<void> MemoryJournal::write_snapshot(std::uint64_t revision, std::string_view bytes) {
  const std::lock_guard lock(mutex_);
  if (auto reached = check_reachable(); !reached) return reached;
  snapshots_[revision] = Kept{std::string(bytes), checksum(bytes)};
  while (snapshots_.size() > kSnapshotsKept) snapshots_.erase(snapshots_.begin());
  return {};
}

}  // namespace tessera::journal
