// cpqc-emulator for the length of a scope, and what the programs of this folder share.
#pragma once

#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "hal/base/result.h"

namespace qama::bench {

using Json = nlohmann::json;

[[noreturn]] inline void fail(const std::string& what) {
  std::fprintf(stderr, "error: %s\n", what.c_str());
  std::exit(1);
}
template <typename T>
T must(Result<T> result) {
  if (!result.ok())
    fail(std::string(error_name(result.error().code)) + ": " + result.error().message);
  return std::move(result).value();
}
inline void must(const Status& status) {
  if (!status.ok())
    fail(std::string(error_name(status.error().code)) + ": " + status.error().message);
}

/// Word `at` of the command line, a whole number of 1 to a million; `absent` if it has none.
inline int number_at(int argc, char** argv, int at, int absent, const char* usage) {
  if (argc <= at) return absent;
  char* end = nullptr;
  const long value = std::strtol(argv[at], &end, 10);
  if (end == argv[at] || *end != '\0' || value < 1 || value > 1'000'000) {
    fail(std::string("usage: ") + usage);
  }
  return static_cast<int>(value);
}

class Emulator {
 public:
  /// `configuration`: JSON of a machine, empty for the default one.
  explicit Emulator(const std::string& configuration, const std::string& arguments = "") {
    std::string command = std::string(QAMA_EMULATOR) + " " + arguments;
    char name[] = "/tmp/cim-bench-XXXXXX";
    if (!configuration.empty()) {
      const int fd = ::mkstemp(name);
      if (fd < 0) fail("no temporary file");
      ::close(fd);
      std::ofstream(name) << configuration;
      command += std::string(" --config ") + name;
    }
    pipe_ = ::popen(command.c_str(), "r");
    char line[4096] = {};
    const bool said_something = pipe_ != nullptr && std::fgets(line, sizeof line, pipe_) != nullptr;
    if (!configuration.empty()) ::unlink(name);
    const Json said = Json::parse(line, nullptr, false);
    if (!said_something || !said.is_object()) fail("the emulator did not start");
    port_ = said.value("port", 0);
    http_port_ = said.value("http_port", 0);
    pid_ = said.value("pid", 0);
  }
  ~Emulator() {
    if (pid_ > 0) ::kill(pid_, SIGTERM);
    if (pipe_ == nullptr) return;
    char report[4096];
    while (std::fgets(report, sizeof report, pipe_) != nullptr) {  // or it could not be written
    }
    ::pclose(pipe_);
  }
  Emulator(const Emulator&) = delete;
  Emulator& operator=(const Emulator&) = delete;
  [[nodiscard]] int port() const { return port_; }
  [[nodiscard]] int http_port() const { return http_port_; }
  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] std::string uri(const std::string& options) const {
    return "cim://127.0.0.1:" + std::to_string(port_) + options;
  }

 private:
  std::FILE* pipe_ = nullptr;
  pid_t pid_ = 0;
  int port_ = 0, http_port_ = 0;
};

}  // namespace qama::bench
