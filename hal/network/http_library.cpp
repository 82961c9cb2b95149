#include <dlfcn.h>

#include <filesystem>
#include <string>
#include <system_error>

#include "hal/network/http_request.h"

namespace qama::network {
namespace {

using NewReader = HttpReader*();

/// Loaded once and never unloaded.
Result<NewReader*> load() {
  // An absolute name: nobody else's directory is searched.
  std::error_code unknown;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", unknown);
  const std::string file = (program.parent_path() / QAMA_HTTP_READER_FILE).lexically_normal();
  void* library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char* why = dlerror();
    return Error{ErrorCode::unsupported,
                 "the reader of HTTP cannot be loaded: " + std::string(why ? why : file)};
  }
  auto* found = reinterpret_cast<NewReader*>(dlsym(library, "qama_network_new_http_reader"));
  if (found == nullptr)
    return Error{ErrorCode::unsupported, file + ": not the reader of HTTP of this program"};
  return found;
}

}  // namespace

Result<std::unique_ptr<HttpReader>> open_http_reader() {
  static const Result<NewReader*> loaded = load();
  if (!loaded.ok()) return loaded.error();
  return std::unique_ptr<HttpReader>((*loaded)());
}

}  // namespace qama::network
