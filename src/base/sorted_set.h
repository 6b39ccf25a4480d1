#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

namespace tessera::base {

/// A set of small values in order, like std::set, in runs of neighbours: a search touches few cache
/// lines and a change moves at most kRun values, so it stays fast where a tree of a hundred
/// thousand nodes is a walk through cold memory. Changes end all iterators.
template <class T>
class SortedSet {
  using Run = std::vector<T>;
  /// A run that grows beyond this, a kilobyte, is split.
  static constexpr std::size_t kRun = std::max<std::size_t>(16, 1024 / sizeof(T));

 public:
  class const_iterator {
   public:
    using difference_type = std::ptrdiff_t;
    using value_type = T;
    using pointer = const T*;
    using reference = const T&;
    using iterator_category = std::forward_iterator_tag;

    const_iterator() = default;
    const_iterator(const std::vector<Run>* runs, std::size_t run, std::size_t at)
        : runs_(runs), run_(run), at_(at) {}
    const T& operator*() const { return (*runs_)[run_][at_]; }
    const T* operator->() const { return &**this; }
    const_iterator& operator++() {
      if (++at_ == (*runs_)[run_].size()) ++run_, at_ = 0;
      return *this;
    }
    const_iterator operator++(int) {
      auto before = *this;
      ++*this;
      return before;
    }
    friend bool operator==(const const_iterator&, const const_iterator&) = default;

   private:
    const std::vector<Run>* runs_ = nullptr;
    std::size_t run_ = 0;
    std::size_t at_ = 0;
  };
  using iterator = const_iterator;
  using value_type = T;

  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }
  void clear() {
    runs_.clear();
    lasts_.clear();
    size_ = 0;
  }
  const_iterator begin() const { return {&runs_, 0, 0}; }
  const_iterator end() const { return {&runs_, runs_.size(), 0}; }
  const T& front() const { return runs_.front().front(); }

  bool contains(const T& value) const {
    const auto run = run_of(value);
    return run < runs_.size() && std::ranges::binary_search(runs_[run], value);
  }

  /// Whether it was not there yet.
  bool insert(const T& value) {
    if (runs_.empty()) {
      runs_.push_back({value});
      lasts_.push_back(value);
      size_ = 1;
      return true;
    }
    const auto index = std::min(run_of(value), runs_.size() - 1);
    auto& run = runs_[index];
    const auto at = std::ranges::lower_bound(run, value);
    if (at != run.end() && *at == value) return false;
    run.insert(at, value);
    lasts_[index] = run.back();
    ++size_;
    if (run.size() > kRun) split(index);
    return true;
  }
  template <class... Args>
  bool emplace(Args&&... args) {
    return insert(T(std::forward<Args>(args)...));
  }

  /// Whether it was there.
  bool erase(const T& value) {
    const auto index = run_of(value);
    if (index == runs_.size()) return false;
    auto& run = runs_[index];
    const auto at = std::ranges::lower_bound(run, value);
    if (at == run.end() || *at != value) return false;
    run.erase(at);
    --size_;
    if (run.empty()) {
      runs_.erase(runs_.begin() + static_cast<std::ptrdiff_t>(index));
      lasts_.erase(lasts_.begin() + static_cast<std::ptrdiff_t>(index));
    } else {
      lasts_[index] = run.back();
    }
    return true;
  }

 private:
  std::size_t run_of(const T& value) const {
    const auto last = std::ranges::lower_bound(lasts_, value);
    return static_cast<std::size_t>(last - lasts_.begin());
  }

  void split(std::size_t index) {
    const auto after = static_cast<std::ptrdiff_t>(index) + 1;
    auto& values = runs_[index];
    const auto middle = values.begin() + kRun / 2;
    Run upper(middle, values.end());
    values.erase(middle, values.end());
    lasts_[index] = values.back();
    lasts_.insert(lasts_.begin() + after, upper.back());
    runs_.insert(runs_.begin() + after, std::move(upper));
  }

  std::vector<Run> runs_;  ///< by rising values, none empty
  std::vector<T> lasts_;   ///< of each run, beside each other for the search
  std::size_t size_ = 0;
};

}  // namespace tessera::base
