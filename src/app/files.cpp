#include "app/files.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>

namespace tessera::app {
namespace {
constexpr std::size_t kLargestDocument = 16 << 20;
}  // namespace

base::Result<std::string> read_file(const std::string& path) {
  std::ifstream file;
  if (path != "-") {
    errno = 0;
    file.open(path, std::ios::binary);
    if (!file)
      return base::fail(base::Reason::kUnavailable,
                        std::string("cannot read it: ") + std::strerror(errno), path,
                        "check the path");
  }
  std::istream& in = path == "-" ? std::cin : file;
  std::string text(kLargestDocument + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (text.size() > kLargestDocument)
    return base::fail(base::Reason::kTooLarge, "the file is larger than 16 MiB", path, "split it");
  return text;
}

base::Result<std::vector<wire::Document>> read_documents(const std::string& path,
                                                         const catalog::Catalog& catalog) {
  const auto text = read_file(path);
  if (!text) return std::unexpected(text.error());
  return wire::decode_documents(*text, path, catalog, {.bytes = kLargestDocument});
}

}  // namespace tessera::app
