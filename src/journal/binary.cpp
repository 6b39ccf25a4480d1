#include "journal/binary.h"

namespace tessera::journal {

void Writer::put_varint(std::uint64_t value) {
  while (value >= 0x80) {
    bytes_.push_back(static_cast<char>((value & 0x7f) | 0x80));
    value >>= 7;
  }
  bytes_.push_back(static_cast<char>(value));
}

void Writer::prefix_length(std::size_t start) {
  // The length is known only now. Most bodies are short, so moving them costs less than measuring
  // every value beforehand.
  Writer prefix;
  prefix.put_varint(bytes_.size() - start);
  bytes_.insert(start, prefix.bytes_);
}

void Reader::fail(const char* problem) {
  if (problem_ == nullptr) problem_ = problem;
}

std::uint64_t Reader::get_varint() {
  std::uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (next_ == end_) return fail("the bytes end inside a number"), 0;
    const auto byte = static_cast<std::uint8_t>(*next_++);
    // The tenth byte has room for one bit, and a trailing zero byte would be a second form.
    if ((shift == 63 && byte > 1) || (byte == 0 && shift > 0)) break;
    value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
  fail("a number that is not in its stored form");
  return 0;
}

std::size_t Reader::get_count() {
  const std::uint64_t count = get_varint();
  if (failed()) return 0;
  if (count > left()) return fail("a length beyond the end of the bytes"), 0;
  return static_cast<std::size_t>(count);
}

void Reader::get_flag(bool& value) {
  if (next_ == end_) return fail("the bytes end before a flag");
  const char byte = *next_++;
  if (byte != '\0' && byte != '\1') return fail("a flag that is neither 0 nor 1");
  value = byte == '\1';
}

void Reader::get_text(std::string& value) {
  const std::size_t length = get_count();
  if (failed()) return;
  value.assign(next_, length);
  next_ += length;
}

base::Result<void> Reader::finish() {
  if (!failed() && next_ != end_) fail("bytes are left over");
  if (!failed()) return {};
  std::string where = "byte " + std::to_string(next_ - begin_);
  if (*field_ != '\0') where += std::string(", field ") + field_;
  return base::fail(base::Reason::kInternal, problem_, std::move(where));
}

}  // namespace tessera::journal
