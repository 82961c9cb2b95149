// The head of an HTTP/1.1 request as far as a port needs it to know where the request ends and
// whether to read it at all. What the rest of the head says is read by the HTTP library
// (http_exchange.h, http_request.h).
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace qama::network {

inline constexpr std::size_t kMaxHeadBytes = 8192;  ///< request line and headers

/// Letters of ASCII without their case: names of fields, and words such as "Bearer".
[[nodiscard]] bool same_word(std::string_view a, std::string_view b);

/// A request whose head is whole. The texts lie in the request.
struct HttpHead {
  std::size_t bytes = 0;           ///< up to the body
  std::size_t body = 0;            ///< bytes
  std::string_view authorization;  ///< the header's value; empty without it
  bool sized = false;              ///< it has a Content-Length
  bool expects = false;            ///< the client waits for "100 Continue"
  bool bad = false;      ///< its length is no number, twice or elsewhere, or a line is no field
  bool encoded = false;  ///< the body is packed
};

/// Nothing while the head is not whole, or where it has more than kMaxHeadBytes.
[[nodiscard]] std::optional<HttpHead> read_head(std::string_view in);

}  // namespace qama::network
