// cpqc-emulator as a process of its own, on a free port of loopback; it ends with the test.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/test_support.h"

namespace qama::test {

/// A file that its owner alone may read.
inline void write_secret(const std::string& path, const std::string& text) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  EXPECT_EQ(::write(fd, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  EXPECT_EQ(::fchmod(fd, 0600), 0);
  ::close(fd);
}

class EmulatorProcess {
 public:
  explicit EmulatorProcess(std::vector<std::string> arguments = {})
      : arguments_(std::move(arguments)) {
    start();
  }
  ~EmulatorProcess() { kill_now(); }
  EmulatorProcess(const EmulatorProcess&) = delete;
  EmulatorProcess& operator=(const EmulatorProcess&) = delete;

  [[nodiscard]] int port() const { return port_; }
  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] int http_port() const { return http_port_; }
  [[nodiscard]] std::string uri(const std::string& options = "",
                                const std::string& scheme = "cim://") const {
    return scheme + "127.0.0.1:" + std::to_string(port_) + options;
  }

  /// As `kill -9` would.
  void kill_now() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    ::close(out_);
    pid_ = -1;
  }
  /// Ends it in good order and returns its report.
  nlohmann::json end() {
    if (pid_ <= 0) return nullptr;
    ::kill(pid_, SIGTERM);
    std::string text;
    char chunk[4096];
    ssize_t got = 0;
    while ((got = ::read(out_, chunk, sizeof chunk)) > 0)
      text.append(chunk, static_cast<std::size_t>(got));
    int status = 0;
    ::waitpid(pid_, &status, 0);
    ::close(out_);
    pid_ = -1;
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0)
        << "the emulator ended with status " << status;
    return nlohmann::json::parse(text, nullptr, false);
  }
  /// Starts it again on the same ports.
  void restart() {
    kill_now();
    start();
  }
  [[nodiscard]] bool alive() const { return pid_ > 0 && ::waitpid(pid_, nullptr, WNOHANG) == 0; }

 private:
  void start() {
    int pipe_ends[2];
    ASSERT_EQ(::pipe2(pipe_ends, O_CLOEXEC), 0);
    std::vector<std::string> words = {QAMA_EMULATOR};
    words.insert(words.end(), arguments_.begin(), arguments_.end());
    if (port_ > 0) {
      words.push_back("--port");
      words.push_back(std::to_string(port_));
    }
    if (http_port_ > 0) {
      words.push_back("--http-port");
      words.push_back(std::to_string(http_port_));
    }
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    const pid_t parent = ::getpid();
    pid_ = ::fork();
    ASSERT_GE(pid_, 0);
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (::getppid() != parent) ::_exit(126);
      ::dup2(pipe_ends[1], STDOUT_FILENO);
      ::execv(argv[0], argv.data());
      ::_exit(127);
    }
    ::close(pipe_ends[1]);
    out_ = pipe_ends[0];
    std::string line;
    char c = 0;
    while (line.size() < 65536) {
      pollfd ready{out_, POLLIN, 0};
      if (::poll(&ready, 1, 20000) <= 0 || ::read(out_, &c, 1) != 1 || c == '\n') break;
      line += c;
    }
    const auto json = nlohmann::json::parse(line, nullptr, false);
    ASSERT_TRUE(json.is_object()) << "the emulator " << QAMA_EMULATOR << " says '" << line << "'";
    EXPECT_EQ(json.value("is_emulated", false), true);
    port_ = json.value("port", 0);
    http_port_ = json.value("http_port", 0);
  }

  std::vector<std::string> arguments_;
  pid_t pid_ = -1;
  int out_ = -1;
  int port_ = 0;
  int http_port_ = 0;
};

}  // namespace qama::test
