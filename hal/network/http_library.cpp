#include <dlfcn.h>

#include <filesystem>
#include <string>
#include <system_error>

#include "hal/network/http_request.h"

namespace qama::network {
namespace {

/// The library's function, which is loaded once and never unloaded.
struct Library {
  HttpReader* (*new_reader)();
};

Result<Library> load() {
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
  Library out{};
  out.new_reader =
      reinterpret_cast<decltype(out.new_reader)>(dlsym(library, "qama_network_new_http_reader"));
  if (out.new_reader == nullptr)
    return Error{ErrorCode::unsupported, file + ": not the reader of HTTP of this program"};
  return out;
}

}  // namespace

Result<std::unique_ptr<HttpReader>> open_http_reader() {
  static const Result<Library> loaded = load();
  if (!loaded.ok()) return loaded.error();
  return std::unique_ptr<HttpReader>(loaded->new_reader());
}

}  // namespace qama::network
