#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <vector>

#include "driver_library.h"

/// Random sequences of calls to the driver, made through the guard, beside a simple model of what
/// they should come to. What the model does not know (how pools grow) it reads off the machine.
///
/// After every call: what is charged is what the machine has given out, beside contexts, and within
/// the limit; what the model counts is charged at least. A refusal comes only when there was no
/// room. At the end of a sequence everything is freed, and nothing is charged.
namespace tessera::guard::test {

/// What the account says, and what the machine has given out.
struct Books {
  std::function<std::uint64_t()> charged;
  std::function<std::uint64_t()> physical;  ///< contexts included
  std::uint64_t limit;
};

class CallModel {
 public:
  CallModel(const Library& cuda, Books books) : cuda_(cuda), books_(std::move(books)) {}

  /// One sequence, as the bytes say: two for each call.
  void run(std::span<const std::uint8_t> bytes);

 private:
  enum Kind : std::uint8_t { kLinear, kPooled, kHandle, kMapping, kArray, kMipmaps };
  struct Piece {
    Kind kind;
    std::uint64_t key;
    std::uint64_t bytes;      ///< that it takes at least
    cuda::Handle pool;        ///< of kPooled; nullptr: the device's own
    std::uint64_t of_handle;  ///< of kMapping
  };

  void call(unsigned what, unsigned how);
  void allocate(unsigned what, unsigned how);
  void free_one(unsigned how);
  void free_piece(std::size_t at);
  void use_pools(unsigned what, unsigned how);
  void use_handles(unsigned what, unsigned how);
  void look(unsigned what, unsigned how);
  void launch_graph(unsigned how);
  /// Counts a new piece; or checks that there was no room for it.
  void settle(cuda::Result result, const Piece& piece);
  std::uint64_t live() const;
  void check_books() const;
  void clean_up();

  const Library& cuda_;
  Books books_;
  std::vector<Piece> pieces_;
  std::vector<cuda::Handle> pools_;
};

}  // namespace tessera::guard::test
