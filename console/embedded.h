#pragma once

#include <span>
#include <string_view>

/// The web console's built files, compiled into the binary.
namespace tessera::console {

/// One file as it is served. All views point to data that lives as long as the program.
struct EmbeddedFile {
  std::string_view path;          ///< as requested, without a leading slash: "assets/app-7Q3F.js"
  std::string_view content_type;  ///< "text/javascript; charset=utf-8"
  std::string_view bytes;
};

/// All files by rising path; "index.html" is the page itself. Everything under "assets/" carries
/// its content's hash in its name and may be cached for ever. Empty when the console was left out
/// (TESSERA_CONSOLE=OFF). Thread-safe.
std::span<const EmbeddedFile> console_files();

}  // namespace tessera::console
