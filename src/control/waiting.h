#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "request/request.h"

namespace tessera::control {

using request::RequestId;

/// The queue. Requests of one team with equal needs and tier form a line: if the first of a line
/// cannot be placed, none of it can, so trying the whole queue costs as much as there are
/// different needs. Ids rise with age, and a request that had to give its slices back keeps its
/// id, so order by id is order by age. Derived from the requests in state queued.
class WaitingLines {
 public:
  void add(const request::Request& request);
  void remove(const request::Request& request);
  void clear();

  /// The oldest request of every line, oldest first.
  std::vector<RequestId> heads() const;
  /// The oldest request of the line that `request`, which may have left it, belongs to.
  std::optional<RequestId> head_of(const request::Request& request) const;
  /// All of the line that `request`, which waits, belongs to, oldest first.
  const std::set<RequestId>& line_of(const request::Request& request) const {
    return lines_.at(key_of(request));
  }
  /// Place of a waiting request among those of its tier, from 1; 0 if it does not wait.
  int position(const request::Request& request) const;
  /// The place that a request of `tier` would get if it joined now.
  int last_position(std::string_view tier) const;
  std::size_t size() const { return count_; }
  friend bool operator==(const WaitingLines&, const WaitingLines&) = default;

 private:
  using Line = std::set<RequestId>;
  /// Everything that decides where a request may go, as one comparable text.
  static std::string key_of(const request::Request& request);

  std::map<std::string, Line> lines_;
  std::map<RequestId, std::string> by_age_;  ///< oldest request of each line -> the line's key
  std::map<std::string, std::set<RequestId>, std::less<>> by_tier_;
  std::size_t count_ = 0;
};

}  // namespace tessera::control
