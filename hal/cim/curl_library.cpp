#include "hal/cim/curl_library.h"

#include <dlfcn.h>

#include <optional>

namespace qama::hal::cim {
namespace {

// The name of its interface, which has been the same since 2006.
constexpr const char* kFile = "libcurl.so.4";

template <typename Function>
bool find(void* library, const char* name, Function& to) {
  to = reinterpret_cast<Function>(dlsym(library, name));
  return to != nullptr;
}

std::optional<CurlLibrary> load() {
  void* library = dlopen(kFile, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return std::nullopt;
  CurlLibrary c{};
  const bool complete = find(library, "curl_global_init", c.global_init) &&
                        find(library, "curl_easy_init", c.easy_init) &&
                        find(library, "curl_easy_cleanup", c.easy_cleanup) &&
                        find(library, "curl_easy_reset", c.easy_reset) &&
                        find(library, "curl_easy_setopt", c.easy_setopt) &&
                        find(library, "curl_easy_perform", c.easy_perform) &&
                        find(library, "curl_easy_getinfo", c.easy_getinfo) &&
                        find(library, "curl_easy_strerror", c.easy_strerror) &&
                        find(library, "curl_slist_append", c.slist_append) &&
                        find(library, "curl_slist_free_all", c.slist_free_all) &&
                        find(library, "curl_mime_init", c.mime_init) &&
                        find(library, "curl_mime_addpart", c.mime_addpart) &&
                        find(library, "curl_mime_name", c.mime_name) &&
                        find(library, "curl_mime_filename", c.mime_filename) &&
                        find(library, "curl_mime_type", c.mime_type) &&
                        find(library, "curl_mime_data", c.mime_data) &&
                        find(library, "curl_mime_free", c.mime_free);
  if (!complete || c.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
    dlclose(library);
    return std::nullopt;
  }
  return c;
}

}  // namespace

const CurlLibrary* curl_library() {
  static const std::optional<CurlLibrary> library = load();
  return library ? &*library : nullptr;
}

}  // namespace qama::hal::cim
