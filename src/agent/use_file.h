#pragma once

#include <string>

#include "agent/use_book.h"
#include "base/result.h"

namespace tessera::agent {

/// A book of use on disk: replaced as a whole, so that whoever is killed leaves an old book or a
/// new one. One process writes it; one thread at a time.
class UseFile {
 public:
  /// `path` empty: nothing is kept, as for machines that are themselves simulated.
  explicit UseFile(std::string path) : path_(std::move(path)) {}

  /// The book that is there, or a new one of a random name. One that cannot be read is moved to
  /// PATH.damaged and `trouble` says why: a new stream loses what was not sent, and doubles
  /// nothing.
  UseBook load(std::string& trouble) const;

  /// `durable`: it has reached the disk when this returns; else it survives this process, not the
  /// machine. Errors (kUnavailable): what failed.
  base::Result<void> save(const UseBook& book, bool durable) const;

 private:
  std::string path_;
};

}  // namespace tessera::agent
