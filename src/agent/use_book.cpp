#include "agent/use_book.h"

#include <charconv>
#include <optional>
#include <utility>

namespace tessera::agent {
namespace {

using fleet::LeaseId;
using fleet::Use;

constexpr std::string_view kFirstLine = "tessera use 1";
constexpr std::string_view kLastLine = "end";

void put(std::string& text, std::string_view word, LeaseId lease, const Use& use) {
  text += word;
  for (const std::int64_t number :
       {static_cast<std::int64_t>(lease.value()), use.busy.count(), use.memory.count(),
        use.energy.count(), static_cast<std::int64_t>(use.measured.count())})
    text += " " + std::to_string(number);
  text += "\n";
}

/// One line after the other, word by word; the first thing that is wrong is remembered.
class Lines {
 public:
  explicit Lines(std::string_view text) : rest_(text) {}

  /// False at the end, or after an error.
  bool next() {
    if (problem_ != nullptr || rest_.empty()) return false;
    ++number_;
    const auto end = rest_.find('\n');
    if (end == std::string_view::npos) return fail("a line is cut short");
    line_ = rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
    return true;
  }
  std::string_view line() const { return line_; }
  std::string_view word() {
    const auto end = std::min(line_.find(' '), line_.size());
    const auto word = line_.substr(0, end);
    line_.remove_prefix(std::min(end + 1, line_.size()));
    return word;
  }
  std::int64_t number() {
    const auto text = word();
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || value < 0 || value > Use::kMost)
      fail("not a number");
    return value;
  }
  std::pair<LeaseId, Use> use() {
    const LeaseId lease(static_cast<std::uint64_t>(number()));
    Use use;
    use.busy = fleet::BusyTime(number());
    use.memory = fleet::MemoryTime(number());
    use.energy = fleet::Energy(number());
    use.measured = base::Duration(number());
    if (!lease.valid()) fail("not a lease");
    return {lease, use};
  }
  bool fail(const char* problem) {
    if (problem_ == nullptr) problem_ = problem;
    return false;
  }
  std::optional<base::Error> error() const {
    if (problem_ == nullptr) return std::nullopt;
    return base::Error{base::Reason::kInternal, problem_, "line " + std::to_string(number_), {}};
  }

 private:
  std::string_view rest_, line_;
  int number_ = 0;
  const char* problem_ = nullptr;
};

}  // namespace

UseBook::UseBook(std::string stream) : stream_(std::move(stream)) {}

void UseBook::add(LeaseId lease, const Use& use) {
  if (use == Use{}) return;
  open_[lease] += use;
  totals_[lease] += use;
}

bool UseBook::close() {
  if (open_.empty() || batches_.size() >= kMostBatches) return false;
  fleet::UseBatch batch{next_++, {}};
  for (const auto& [lease, use] : open_) batch.leases.push_back({lease, use});
  open_.clear();
  batches_.push_back(std::move(batch));
  return true;
}

void UseBook::acknowledge(const fleet::UseReceipt& receipt) {
  if (receipt.stream != stream_) return;
  std::erase_if(batches_, [&](const auto& batch) { return batch.sequence <= receipt.sequence; });
}

std::string UseBook::text() const {
  std::string text =
      std::string(kFirstLine) + "\nstream " + stream_ + " " + std::to_string(next_) + "\n";
  for (const auto& [lease, use] : totals_) put(text, "total", lease, use);
  for (const auto& batch : batches_) {
    text += "batch " + std::to_string(batch.sequence) + "\n";
    for (const auto& each : batch.leases) put(text, "use", each.lease, each.use);
  }
  for (const auto& [lease, use] : open_) put(text, "open", lease, use);
  return text + std::string(kLastLine) + "\n";
}

base::Result<UseBook> UseBook::parse(std::string_view text) {
  Lines lines(text);
  UseBook book{std::string()};
  if (!lines.next() || lines.line() != kFirstLine) lines.fail("not a book of use");
  if (!lines.next() || lines.word() != "stream") lines.fail("no stream");
  book.stream_ = lines.word();
  book.next_ = static_cast<std::uint64_t>(lines.number());
  if (book.stream_.empty() || book.next_ == 0) lines.fail("no stream");
  bool whole = false;
  while (!whole && lines.next()) {
    const auto word = lines.word();
    if (word == "total") {
      book.totals_.insert(lines.use());
    } else if (word == "open") {
      book.open_.insert(lines.use());
    } else if (word == "batch") {
      const auto sequence = static_cast<std::uint64_t>(lines.number());
      if (!book.batches_.empty() && sequence != book.batches_.back().sequence + 1)
        lines.fail("a gap between batches");
      book.batches_.push_back({sequence, {}});
    } else if (word == "use" && !book.batches_.empty()) {
      const auto [lease, use] = lines.use();
      book.batches_.back().leases.push_back({lease, use});
    } else {
      whole = word == kLastLine;
      if (!whole) lines.fail("not a line of a book");
    }
  }
  if (!whole) lines.fail("the end is missing");
  if (!book.batches_.empty() && book.batches_.back().sequence + 1 != book.next_)
    lines.fail("batches that do not fit their stream");
  if (auto error = lines.error()) return std::unexpected(std::move(*error));
  return book;
}

}  // namespace tessera::agent
