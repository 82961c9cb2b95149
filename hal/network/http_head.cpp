#include "hal/network/http_head.h"

#include <algorithm>
#include <cctype>
#include <charconv>

namespace qama::network {

bool same_word(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](unsigned char x, unsigned char y) {
    return std::tolower(x) == std::tolower(y);
  });
}

std::optional<HttpHead> read_head(std::string_view in) {
  const std::size_t end = in.substr(0, kMaxHeadBytes).find("\r\n\r\n");
  if (end == std::string_view::npos) return std::nullopt;
  HttpHead out;
  out.bytes = end + 4;
  std::string_view lines = in.substr(0, end + 2);
  while (!lines.empty()) {
    const std::string_view line = lines.substr(0, lines.find("\r\n"));
    lines.remove_prefix(line.size() + 2);
    const std::size_t colon = std::min(line.find(':'), line.size());
    const std::string_view name = line.substr(0, colon);
    std::string_view value = line.substr(std::min(colon + 1, line.size()));
    // Readers differ in what these say, and so in where the request ends.
    constexpr std::string_view kBlanks = " \t";
    if (line.find_first_of("\r\n") != std::string_view::npos || name.empty() ||
        kBlanks.find(name.front()) != std::string_view::npos ||
        kBlanks.find(name.back()) != std::string_view::npos) {
      out.bad = true;
    }
    while (!value.empty() && value.front() == ' ') value.remove_prefix(1);
    while (!value.empty() && value.back() == ' ') value.remove_suffix(1);
    if (same_word(name, "content-length")) {
      const auto read = std::from_chars(value.data(), value.data() + value.size(), out.body);
      out.bad = out.bad || out.sized || read.ec != std::errc{} || read.ptr != value.end();
      out.sized = true;
    } else if (same_word(name, "transfer-encoding")) {
      out.bad = true;
    } else if (same_word(name, "content-encoding")) {
      out.encoded = !same_word(value, "identity");
    } else if (same_word(name, "expect")) {
      out.expects = true;
    } else if (same_word(name, "authorization")) {
      out.authorization = value;
    }
  }
  return out;
}

}  // namespace qama::network
