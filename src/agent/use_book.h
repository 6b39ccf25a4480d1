#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "fleet/use.h"

namespace tessera::agent {

/// What was measured and is not yet known to be counted, and what each lease used in all.
///
///   add() ----> open ---- close() ----> batches, numbered, never changed ---- receipt ----> gone
///
/// 1. Every added amount is in exactly one batch, sooner or later, and in the totals.
/// 2. A batch has its number and content for good: sending it again is harmless.
/// 3. There are at most kMostBatches. While nobody takes them the open one goes on growing, so that
///    however long the control plane is away nothing is lost and the book stays small.
///
/// Value type. It knows no clock and no file; text() is its form on disk.
class UseBook {
 public:
  static constexpr std::size_t kMostBatches = 16;

  /// A new stream, by a name that no other stream has.
  explicit UseBook(std::string stream);
  /// Errors (kInternal): not a whole book of ours; what and in which line.
  static base::Result<UseBook> parse(std::string_view text);
  std::string text() const;

  void add(fleet::LeaseId lease, const fleet::Use& use);
  /// True where something was closed.
  bool close();
  const std::vector<fleet::UseBatch>& batches() const { return batches_; }
  void acknowledge(const fleet::UseReceipt& receipt);

  const std::string& stream() const { return stream_; }
  /// Of every lease not forgotten, since its first sample here.
  const std::map<fleet::LeaseId, fleet::Use>& totals() const { return totals_; }
  /// The total is not wanted any more. What is not yet counted stays.
  void forget_total(fleet::LeaseId lease) { totals_.erase(lease); }

  friend bool operator==(const UseBook&, const UseBook&) = default;

 private:
  using Uses = std::map<fleet::LeaseId, fleet::Use>;

  std::string stream_;
  std::uint64_t next_ = 1;
  std::vector<fleet::UseBatch> batches_;
  Uses open_;
  Uses totals_;
};

}  // namespace tessera::agent
