#pragma once

#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "app/words.h"
#include "base/time.h"
#include "wire/json.h"

namespace tessera::app {

enum class Format { kTable, kWide, kJson, kYaml, kName };

/// Tables are for people: their columns may change; programs use the others.
inline bool for_people(Format format) {
  return format == Format::kTable || format == Format::kWide;
}

/// Adds -o/--output. `format` must outlive the command.
void add_format_option(CLI::App& command, Format& format);

/// The present, for ages and what is left of a lease.
base::Instant now();

/// Prints objects of the API as they come: a list, then perhaps what changes about it. In a table
/// the title is printed once and the columns keep their widths.
class Printer {
 public:
  explicit Printer(Format format) : format_(format) {}
  void list(const wire::Json& list);
  void object(const wire::Json& object);

 private:
  void rows(const std::vector<wire::Json>& items, const std::string& kind);

  Format format_;
  std::vector<std::size_t> widths_;  ///< of the table so far; empty before its title
};

void print_object(const wire::Json& object, Format format);
void print_list(const wire::Json& list, Format format);

}  // namespace tessera::app
