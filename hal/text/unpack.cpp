#include "hal/text/unpack.h"

#include <zlib.h>

#include <algorithm>
#include <climits>
#include <memory>

#include "hal/base/quote.h"

namespace qama::hal {
namespace {

constexpr int kGzipWindow = 15 + 16;  ///< the largest window, a gzip header
constexpr std::size_t kChunk = std::size_t{1} << 16;

}  // namespace

bool is_packed(std::string_view bytes) noexcept {
  return bytes.starts_with("\x1F\x8B");
}

Result<std::string> unpack(std::string_view bytes, std::string_view name, std::size_t most) {
  const auto damaged = [&](const char* how) {
    return Error{ErrorCode::problem_bad_format,
                 "problem " + quote(name) + ": its gzip data " + how};
  };
  z_stream stream{};
  if (inflateInit2(&stream, kGzipWindow) != Z_OK)
    return Error{ErrorCode::out_of_memory, "not enough memory to unpack " + quote(name)};
  const std::unique_ptr<z_stream, int (*)(z_stream*)> guard(&stream, inflateEnd);
  std::string out;
  std::string chunk(kChunk, '\0');
  std::size_t fed = 0;
  while (true) {
    if (stream.avail_in == 0 && fed < bytes.size()) {
      const std::size_t part = std::min<std::size_t>(bytes.size() - fed, INT_MAX);
      // zlib does not write to its input.
      stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data() + fed));
      stream.avail_in = static_cast<uInt>(part);
      fed += part;
    }
    stream.next_out = reinterpret_cast<Bytef*>(chunk.data());
    stream.avail_out = static_cast<uInt>(chunk.size());
    const int code = inflate(&stream, Z_NO_FLUSH);
    out.append(chunk, 0, chunk.size() - stream.avail_out);
    if (out.size() > most) {
      return Error{
          ErrorCode::problem_too_large,
          "problem " + quote(name) + " unpacks to more than " + std::to_string(most) + " bytes"};
    }
    if (code == Z_STREAM_END) {
      if (stream.avail_in == 0 && fed == bytes.size()) return out;
      if (inflateReset(&stream) != Z_OK) return damaged("cannot be read");
      continue;
    }
    if (code == Z_BUF_ERROR) return damaged("end in the middle");
    if (code == Z_MEM_ERROR)
      return Error{ErrorCode::out_of_memory, "not enough memory to unpack " + quote(name)};
    if (code != Z_OK) return damaged("are damaged");
  }
}

}  // namespace qama::hal
