#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/check.h"

namespace tessera::base {

/// Things by serial number (base/id.h), for numbers that are handed out one after the other: found
/// in one step however many there are, and visited by rising number. Serves and reads like a
/// std::map, and is stored like one (base/kinds.h).
///
/// Things live in blocks of kBlock neighbours, which do not move; a block whose things are all gone
/// is given back. Numbers may have gaps: where whole blocks are missing, finding is a binary
/// search.
template <class Id, class T>
class SerialTable {
 public:
  using key_type = Id;
  using mapped_type = T;
  using value_type = std::pair<const Id, T>;

 private:
  static constexpr std::size_t kBlock = 64;
  /// Room for things, of which only those that are there are written to: a table that grows does
  /// not pay for the room beside them.
  struct Block {
    std::uint64_t number = 0;   ///< of its first thing, divided by kBlock
    std::uint64_t present = 0;  ///< a bit for each thing that is there
    alignas(value_type) std::byte room[kBlock * sizeof(value_type)];

    explicit Block(std::uint64_t block_number) : number(block_number) {}
    Block(const Block&) = delete;
    Block& operator=(const Block&) = delete;
    ~Block() {
      for (auto left = present; left != 0; left &= left - 1)
        std::destroy_at(thing(static_cast<std::size_t>(std::countr_zero(left))));
    }
    bool has(std::size_t slot) const { return (present >> slot & 1) != 0; }
    value_type* thing(std::size_t slot) {
      return std::launder(reinterpret_cast<value_type*>(room + slot * sizeof(value_type)));
    }
    template <class... Args>
    void make(std::size_t slot, Args&&... args) {
      std::construct_at(reinterpret_cast<value_type*>(room + slot * sizeof(value_type)),
                        std::forward<Args>(args)...);
      present |= std::uint64_t{1} << slot;
    }
    void unmake(std::size_t slot) {
      std::destroy_at(thing(slot));
      present &= ~(std::uint64_t{1} << slot);
    }
  };
  using Blocks = std::vector<std::unique_ptr<Block>>;

  template <class Value>
  class Iterator {
   public:
    using difference_type = std::ptrdiff_t;
    using value_type = SerialTable::value_type;
    using pointer = Value*;
    using reference = Value&;
    using iterator_category = std::forward_iterator_tag;

    Iterator() = default;
    Iterator(const Blocks* blocks, std::size_t block, std::size_t slot)
        : blocks_(blocks), block_(block), slot_(slot) {}
    template <class Other>
    requires(!std::is_same_v<Other, Value> && std::is_convertible_v<Other*, Value*>) Iterator(
        const Iterator<Other>& other)  // NOLINT(google-explicit-constructor): as std::map's
        : blocks_(other.blocks_), block_(other.block_), slot_(other.slot_) {}

    Value& operator*() const { return *(*blocks_)[block_]->thing(slot_); }
    Value* operator->() const { return &**this; }
    Iterator& operator++() {
      const auto above = slot_ + 1 == kBlock
                             ? 0
                             : (*blocks_)[block_]->present & (~std::uint64_t{0} << (slot_ + 1));
      if (above != 0) {
        slot_ = static_cast<std::size_t>(std::countr_zero(above));
      } else {
        ++block_;
        slot_ = block_ == blocks_->size()
                    ? 0
                    : static_cast<std::size_t>(std::countr_zero((*blocks_)[block_]->present));
      }
      return *this;
    }
    Iterator operator++(int) {
      auto before = *this;
      ++*this;
      return before;
    }
    friend bool operator==(const Iterator&, const Iterator&) = default;

   private:
    friend class SerialTable;
    template <class>
    friend class Iterator;
    const Blocks* blocks_ = nullptr;
    std::size_t block_ = 0;
    std::size_t slot_ = 0;
  };

 public:
  using iterator = Iterator<value_type>;
  using const_iterator = Iterator<const value_type>;

  SerialTable() = default;
  SerialTable(SerialTable&&) noexcept = default;
  SerialTable& operator=(SerialTable&&) noexcept = default;
  SerialTable(const SerialTable& other) : size_(other.size_) {
    for (const auto& block : other.blocks_) blocks_.push_back(copy_of(*block));
  }
  SerialTable& operator=(const SerialTable& other) {
    if (this != &other) *this = SerialTable(other);
    return *this;
  }
  ~SerialTable() = default;

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  void clear() {
    blocks_.clear();
    size_ = 0;
  }
  bool contains(Id id) const { return find(id) != end(); }

  iterator begin() { return first_in<value_type>(0); }
  iterator end() { return {&blocks_, blocks_.size(), 0}; }
  const_iterator begin() const { return first_in<const value_type>(0); }
  const_iterator end() const { return {&blocks_, blocks_.size(), 0}; }
  iterator find(Id id) { return find_in<value_type>(id); }
  const_iterator find(Id id) const { return find_in<const value_type>(id); }
  /// The thing with this number, which must be there (CHECK).
  T& at(Id id) {
    const auto found = find(id);
    CHECK(found != end());
    return found->second;
  }
  /// The first thing with this number or a higher one.
  const_iterator lower_bound(Id id) const {
    const auto block = block_from(id.value() / kBlock);
    if (block == blocks_.size() || blocks_[block]->number > id.value() / kBlock)
      return first_in<const value_type>(block);
    const auto above = blocks_[block]->present & (~std::uint64_t{0} << id.value() % kBlock);
    if (above == 0) return first_in<const value_type>(block + 1);
    return {&blocks_, block, static_cast<std::size_t>(std::countr_zero(above))};
  }
  const_iterator upper_bound(Id id) const {
    auto found = lower_bound(id);
    if (found != end() && found->first == id) ++found;
    return found;
  }

  /// Adds a thing under a number that is not there yet; else leaves what is there.
  template <class... Args>
  std::pair<iterator, bool> emplace(Id id, Args&&... args) {
    const auto number = id.value() / kBlock;
    const auto slot = static_cast<std::size_t>(id.value() % kBlock);
    const auto block = block_from(number);
    if (block == blocks_.size() || blocks_[block]->number != number)
      blocks_.insert(blocks_.begin() + static_cast<std::ptrdiff_t>(block),
                     std::make_unique<Block>(number));
    auto& things = *blocks_[block];
    const bool fresh = !things.has(slot);
    if (fresh) {
      things.make(slot, std::piecewise_construct, std::forward_as_tuple(id),
                  std::forward_as_tuple(std::forward<Args>(args)...));
      ++size_;
    }
    return {iterator(&blocks_, block, slot), fresh};
  }

  void erase(iterator at) {
    auto& block = *blocks_[at.block_];
    block.unmake(at.slot_);
    --size_;
    if (block.present == 0) blocks_.erase(blocks_.begin() + static_cast<std::ptrdiff_t>(at.block_));
  }
  std::size_t erase(Id id) {
    const auto found = find(id);
    if (found == end()) return 0;
    erase(found);
    return 1;
  }

 private:
  static std::unique_ptr<Block> copy_of(Block& block) {
    auto copy = std::make_unique<Block>(block.number);
    for (auto left = block.present; left != 0; left &= left - 1) {
      const auto slot = static_cast<std::size_t>(std::countr_zero(left));
      copy->make(slot, *block.thing(slot));
    }
    return copy;
  }

  /// Position of the first block with this number or a higher one.
  std::size_t block_from(std::uint64_t number) const {
    if (blocks_.empty() || number > blocks_.back()->number) return blocks_.size();
    const auto first = blocks_.front()->number;
    if (number <= first) return 0;
    if (blocks_.back()->number - first + 1 == blocks_.size()) return number - first;  // no gap
    const auto at = std::ranges::lower_bound(blocks_, number, {},
                                             [](const auto& block) { return block->number; });
    return static_cast<std::size_t>(at - blocks_.begin());
  }

  template <class Value>
  Iterator<Value> first_in(std::size_t block) const {
    const auto slot = block == blocks_.size() ? 0 : std::countr_zero(blocks_[block]->present);
    return {&blocks_, block, static_cast<std::size_t>(slot)};
  }
  template <class Value>
  Iterator<Value> find_in(Id id) const {
    const auto block = block_from(id.value() / kBlock);
    const auto slot = static_cast<std::size_t>(id.value() % kBlock);
    const bool here = block < blocks_.size() && blocks_[block]->number == id.value() / kBlock &&
                      blocks_[block]->has(slot);
    return here ? Iterator<Value>(&blocks_, block, slot)
                : Iterator<Value>(&blocks_, blocks_.size(), 0);
  }

  Blocks blocks_;  ///< by rising number, none empty
  std::size_t size_ = 0;
};

}  // namespace tessera::base
