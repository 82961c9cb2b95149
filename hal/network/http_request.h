// One HTTP request as a server wants it: the HTTP library reads the head, the body stays as it
// came.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "hal/base/result.h"

namespace qama::network {

struct HttpRequest {
  std::string method, path;           ///< the path without its query, decoded
  std::string content_type;           ///< in lower case, without parameters
  std::string inference_header;       ///< Inference-Header-Content-Length; empty without it
  std::string sample_index, timeout;  ///< of the query; empty without it
  std::string body;
  bool closes = false;  ///< the client wants no other answer on this connection
};

/// Reads HTTP requests. One thread at a time.
class HttpReader {
 public:
  HttpReader() = default;
  virtual ~HttpReader() = default;
  HttpReader(const HttpReader&) = delete;
  HttpReader& operator=(const HttpReader&) = delete;

  /// `head` is the head with its empty line (http_head.h). Nothing if it is no HTTP/1.0 or 1.1.
  [[nodiscard]] virtual std::optional<HttpRequest> read(std::string_view head,
                                                        std::string_view body) = 0;
};

/// The reader of http_request.cpp, which is a shared object of its own. The first call loads it:
/// the HTTP library and what it brings along are a tenth of the time in which the program starts,
/// and most commands read no HTTP. UNSUPPORTED where it cannot be loaded.
[[nodiscard]] Result<std::unique_ptr<HttpReader>> open_http_reader();

}  // namespace qama::network
