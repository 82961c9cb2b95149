// Console: where the program's words go. Results to standard output, everything else to standard
// error; progress only to a terminal. Nothing else in the program writes to either.
#pragma once

#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "hal/base/result.h"

namespace qama::cli {

/// Keys keep the order in which they were set.
using Json = nlohmann::ordered_json;

class Console {
 public:
  bool json = false;   ///< results as JSON
  bool quiet = false;  ///< no logs, no progress

  /// A line of the result.
  void line(std::string_view text);
  /// Lines of the result; the last one may end or not.
  void text(std::string_view lines);
  /// A JSON object on a line of its own. Not-a-numbers become null, bytes that are no UTF-8 are
  /// replaced.
  void object(const Json& value);
  /// A sentence for people, on standard error.
  void log(std::string_view sentence) const;
  /// `qama: error: NAME: sentence`; the program will end with 1.
  void report(const Error& error);
  [[nodiscard]] bool failed() const noexcept { return failed_; }
  /// The command ended early because of this signal, and says so; the program will end with 128 +
  /// n.
  void stopped_by(int signal, std::string_view what_is_kept);
  /// That signal; 0: none.
  [[nodiscard]] int stopped() const noexcept { return stopped_; }
  /// Standard output is a pipe that nobody reads any more.
  [[nodiscard]] bool reader_left() const noexcept;
  /// Writes out what is buffered. IO_ERROR if standard output did not take all of the result.
  Status finish();

 private:
  bool failed_ = false;
  int stopped_ = 0;
  int write_error_ = 0;  ///< errno of the first write that failed
};

/// A line on the terminal that is written over, at most ten times a second; nothing when piped.
class Progress {
 public:
  Progress(const Console& console, std::string_view what, std::int64_t total);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void update(std::int64_t done);

 private:
  using Clock = std::chrono::steady_clock;
  bool visible_ = false;
  bool drawn_ = false;
  std::string what_;
  std::int64_t total_ = 0;
  Clock::time_point start_;
  Clock::time_point last_;
};

/// printf, to a string: for numbers in fixed columns, in the C locale that the program never
/// leaves.
[[nodiscard]] std::string format(const char* pattern, ...) __attribute__((format(printf, 1, 2)));

}  // namespace qama::cli
