#include "tests/runtime/cli/process.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <thread>

#include "tests/patience.h"
#include "tests/runtime/io/sample_files.h"
#include "tests/test_support.h"

namespace qama::test {
namespace {

std::string slurp(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

/// In the child: makes `path` the descriptor.
void redirect(const std::string& path, int flags, int descriptor) {
  const int file = open(path.c_str(), flags, 0600);
  if (file < 0 || dup2(file, descriptor) < 0) _exit(126);
  close(file);
}

/// Sends `signal` once the program has logged something and had time to begin its work.
void signal_later(pid_t child, int signal, const std::string& log) {
  using std::chrono::milliseconds;
  for (int tries = 0; tries < 600 && slurp(log).empty(); ++tries) {
    std::this_thread::sleep_for(milliseconds(50));
  }
  std::this_thread::sleep_for(milliseconds(300 * kPatience));
  kill(child, signal);
}

}  // namespace

nlohmann::json Outcome::json() const {
  nlohmann::json value = nlohmann::json::parse(out, nullptr, false);
  EXPECT_TRUE(value.is_object()) << "no JSON object: " << out << err;
  EXPECT_EQ(std::count(out.begin(), out.end(), '\n'), 1) << out;
  return value.is_object() ? value : nlohmann::json::object();
}

std::vector<nlohmann::json> Outcome::json_lines() const {
  std::vector<nlohmann::json> values;
  std::istringstream lines(out);
  for (std::string line; std::getline(lines, line);) {
    values.push_back(nlohmann::json::parse(line, nullptr, false));
    EXPECT_TRUE(values.back().is_object()) << line;
  }
  return values;
}

Outcome run_qama(const std::vector<std::string>& arguments, const RunSetup& setup) {
  const TempDir directory;
  put_file(directory.file("in"), setup.input);
  const std::string output = setup.output.empty() ? directory.file("out") : setup.output;

  std::vector<std::string> words;
  std::istringstream emulator(QAMA_EMULATOR);
  for (std::string word; std::getline(emulator, word, ';');) words.push_back(word);
  words.emplace_back(QAMA_PROGRAM);
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);

  const pid_t child = fork();
  if (child == 0) {
    redirect(directory.file("in"), O_RDONLY, STDIN_FILENO);
    redirect(directory.file("err"), O_WRONLY | O_CREAT, STDERR_FILENO);
    if (output == "-") {
      close(STDOUT_FILENO);
    } else {
      redirect(output, O_WRONLY | O_CREAT, STDOUT_FILENO);
    }
    for (const std::string& variable : setup.environment) {
      const std::size_t equals = variable.find('=');
      setenv(variable.substr(0, equals).c_str(), variable.substr(equals + 1).c_str(), 1);
    }
    // Whoever runs the tests in the background may have it ignored.
    std::signal(SIGINT, SIG_DFL);
    if (setup.most_file_bytes > 0) {
      const rlimit limit{setup.most_file_bytes, setup.most_file_bytes};
      setrlimit(RLIMIT_FSIZE, &limit);
    }
    execvp(argv[0], argv.data());
    _exit(127);
  }
  Outcome outcome;
  int status = 0;
  if (child > 0 && setup.signal != 0) signal_later(child, setup.signal, directory.file("err"));
  if (child < 0 || waitpid(child, &status, 0) != child) {
    ADD_FAILURE() << "cannot run " << words[0];
    return outcome;
  }
  outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  if (setup.output.empty()) outcome.out = slurp(output);
  outcome.err = slurp(directory.file("err"));
  return outcome;
}

void expect_error(const Outcome& outcome, const std::string& name) {
  EXPECT_EQ(outcome.status, 1) << outcome.out << outcome.err;
  EXPECT_EQ(outcome.out, "");
  const std::string prefix = "qama: error: " + name + ": ";
  EXPECT_EQ(outcome.err.substr(0, prefix.size()), prefix) << outcome.err;
  EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
  EXPECT_GT(outcome.err.size(), prefix.size() + 10) << outcome.err;
}

}  // namespace qama::test
