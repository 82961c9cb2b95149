// libcurl, loaded when the first vendor's terminal is opened. It brings some twenty libraries
// along, whose loading took 3.3 of the 11 ms from a program's start to the first answer of a model
// that never asks a terminal. Another function of libcurl is a member here and a line in
// curl_library.cpp.
#pragma once

#include <curl/curl.h>

namespace qama::hal::cim {

struct CurlLibrary {
  decltype(&::curl_global_init) global_init;
  decltype(&::curl_easy_init) easy_init;
  decltype(&::curl_easy_cleanup) easy_cleanup;
  decltype(&::curl_easy_reset) easy_reset;
  decltype(&::curl_easy_setopt) easy_setopt;
  decltype(&::curl_easy_perform) easy_perform;
  decltype(&::curl_easy_getinfo) easy_getinfo;
  decltype(&::curl_easy_strerror) easy_strerror;
  decltype(&::curl_slist_append) slist_append;
  decltype(&::curl_slist_free_all) slist_free_all;
  decltype(&::curl_mime_init) mime_init;
  decltype(&::curl_mime_addpart) mime_addpart;
  decltype(&::curl_mime_name) mime_name;
  decltype(&::curl_mime_filename) mime_filename;
  decltype(&::curl_mime_type) mime_type;
  decltype(&::curl_mime_data) mime_data;
  decltype(&::curl_mime_free) mime_free;
};

/// The library, loaded and started by the first call and never unloaded; nullptr if it is not there
/// or does not start. May be called by any number of threads.
[[nodiscard]] const CurlLibrary* curl_library();

}  // namespace qama::hal::cim
