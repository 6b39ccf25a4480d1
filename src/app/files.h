#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "catalog/gpu_model.h"
#include "wire/document.h"

namespace tessera::app {

/// The whole of a file, or of standard input for "-". Errors: kUnavailable; kTooLarge above
/// 16 MiB.
base::Result<std::string> read_file(const std::string& path);

/// The documents of a file, with errors that name file, line and field.
base::Result<std::vector<wire::Document>> read_documents(const std::string& path,
                                                         const catalog::Catalog& catalog);

}  // namespace tessera::app
