#pragma once

#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "base/time.h"
#include "wire/json.h"

namespace tessera::app {

enum class Format { kTable, kWide, kJson, kYaml, kName };

/// Adds -o/--output. `format` must outlive the command.
void add_format_option(CLI::App& command, Format& format);

/// Prints one object, or a list's items, of the API. Tables are for people: their columns may
/// change; programs use json or yaml.
void print_object(const wire::Json& object, Format format);
void print_list(const wire::Json& list, Format format);

/// A value at "status.tier", or `otherwise` where it is absent or null.
std::string text_at(const wire::Json& object, std::string_view path,
                    std::string_view otherwise = "");

/// "5m", "3h", "2d": how long ago, or until, to the largest unit.
std::string age_of(std::string_view instant, base::Instant now);

}  // namespace tessera::app
