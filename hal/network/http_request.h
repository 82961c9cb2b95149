// One HTTP request as a server wants it: the HTTP library reads the head, the body stays as it
// came.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace qama::network {

struct HttpRequest {
  std::string method, path;           ///< the path without its query, decoded
  std::string content_type;           ///< without parameters
  std::string inference_header;       ///< Inference-Header-Content-Length; empty without it
  std::string sample_index, timeout;  ///< of the query; empty without it
  std::string body;
  bool closes = false;  ///< the client wants no other answer on this connection
};

/// Reads HTTP requests. One thread at a time.
class HttpReader {
 public:
  HttpReader();
  ~HttpReader();
  HttpReader(const HttpReader&) = delete;
  HttpReader& operator=(const HttpReader&) = delete;

  /// `head` is the head with its empty line (http_head.h). Nothing if it is no HTTP/1.0 or 1.1.
  [[nodiscard]] std::optional<HttpRequest> read(std::string_view head, std::string_view body);

 private:
  class Router;
  std::unique_ptr<Router> router_;
};

}  // namespace qama::network
