#include "runtime/cli/files.h"

#include <fstream>

#include "hal/base/quote.h"

namespace qama::cli {

Error unwritable(std::string_view path) {
  return {ErrorCode::io_error, "file " + quote(path) + " cannot be written"};
}

Status write_file(const std::string& path, std::string_view text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  if (!file.flush().good()) return unwritable(path);
  return {};
}

}  // namespace qama::cli
