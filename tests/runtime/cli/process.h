// Runs the program `qama` as a process and keeps what it said.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace qama::test {

struct Outcome {
  int status = -1;  ///< exit status; 128 + n if signal n ended it
  std::string out;
  std::string err;

  /// Standard output as one JSON object; fails the test where it is none.
  [[nodiscard]] nlohmann::json json() const;
  /// Standard output as one JSON object a line.
  [[nodiscard]] std::vector<nlohmann::json> json_lines() const;
};

struct RunSetup {
  std::string input;                     ///< standard input
  std::string output;                    ///< path to open as standard output instead; "-": closed
  std::vector<std::string> environment;  ///< NAME=value, added
  int signal = 0;                        ///< sent a moment after the first log line
  std::size_t most_file_bytes = 0;       ///< the limit RLIMIT_FSIZE; 0: none
};

/// `qama` with these arguments; through QAMA_EMULATOR in a cross build.
[[nodiscard]] Outcome run_qama(const std::vector<std::string>& arguments,
                               const RunSetup& setup = {});

/// The outcome is exit 1, nothing on standard output, and exactly one line on standard error that
/// is "qama: error: NAME: sentence". Logs count as lines: give --quiet.
void expect_error(const Outcome& outcome, const std::string& name);

}  // namespace qama::test
