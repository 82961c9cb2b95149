// Lines of a ByteStream, with a limit on their length. Header only; for the tab-separated data
// sets.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "hal/base/quote.h"
#include "hal/base/result.h"
#include "runtime/io/byte_stream.h"
#include "runtime/io/text.h"

namespace qama::io {

/// One thread at a time.
class LineReader {
 public:
  explicit LineReader(ByteStream stream) : stream_(std::move(stream)) {}

  /// Reads the next line without its end ("\n" or "\r\n") and says whether there was one. A byte
  /// order mark before the first one is no part of it.
  /// DATASET_BAD_FORMAT: longer than kMaxTextBytes; else the errors of ByteStream.
  [[nodiscard]] Result<bool> next(std::string& line) {
    line.clear();
    while (true) {
      if (at_ == end_) {
        QAMA_ASSIGN_OR_RETURN(end_, stream_.read(buffer_));
        at_ = 0;
        if (end_ == 0) {
          return !line.empty() && counted(line);
        }
      }
      const char c = static_cast<char>(buffer_[at_++]);
      if (c == '\n') {
        if (!line.empty() && line.back() == '\r') line.pop_back();
        return counted(line);
      }
      if (line.size() == kMaxTextBytes) return error("is too long");
      line += c;
    }
  }

  Status rewind() {
    at_ = end_ = 0;
    number_ = 0;
    return stream_.rewind();
  }

  /// DATASET_BAD_FORMAT: "file 'x', line 3 <what>".
  [[nodiscard]] Error error(const std::string& what) const {
    return Error{ErrorCode::dataset_bad_format, "file " + quote(stream_.path()) + ", line " +
                                                    std::to_string(number_) + " " + what};
  }
  /// Number of the line read last, from 1.
  [[nodiscard]] std::int64_t number() const noexcept { return number_; }
  [[nodiscard]] const std::string& path() const noexcept { return stream_.path(); }

 private:
  bool counted(std::string& line) {
    if (++number_ == 1 && line.starts_with(kByteOrderMark)) line.erase(0, kByteOrderMark.size());
    return true;
  }

  ByteStream stream_;
  std::array<std::uint8_t, 1 << 14> buffer_{};
  std::size_t at_ = 0;
  std::size_t end_ = 0;
  std::int64_t number_ = 0;
};

}  // namespace qama::io
