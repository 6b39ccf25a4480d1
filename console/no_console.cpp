#include "console/embedded.h"

namespace tessera::console {

std::span<const EmbeddedFile> console_files() {
  return {};
}

}  // namespace tessera::console
