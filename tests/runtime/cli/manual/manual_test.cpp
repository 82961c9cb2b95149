// Help, manual pages and completion: they name every command and every option, and the shells and
// troff that read them have nothing to say against them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <regex>

#include "runtime/cli/manual/completion.h"
#include "runtime/cli/manual/man_page.h"
#include "runtime/cli/manual/option_table.h"
#include "runtime/cli/program.h"
#include "tests/runtime/cli/process.h"
#include "tests/runtime/io/sample_files.h"
#include "tests/test_support.h"

namespace qama::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;
using testing::UnorderedElementsAre;
using testing::UnorderedElementsAreArray;

std::vector<cli::CommandTable> tables() {
  return cli::command_tables(cli::Program().app());
}

bool exists(const char* program) {
  return std::system((std::string("command -v ") + program + " >/dev/null 2>&1").c_str()) == 0;
}

std::string text_of(const std::string& path) {
  const auto bytes = read_file(path);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// What a shell command prints, on both outputs.
std::string shell(const TempDir& directory, const std::string& command) {
  const std::string out = directory.file("shell.out");
  put_file(directory.file("shell.sh"), command);
  const std::string run = "bash '" + directory.file("shell.sh") + "' >'" + out + "' 2>&1";
  EXPECT_EQ(std::system(run.c_str()), 0) << command << text_of(out);
  return text_of(out);
}

TEST(Help, IsWhatTheCommandItselfPrints) {
  EXPECT_EQ(run_qama({"help"}).out, run_qama({"--help"}).out);
  for (const cli::CommandTable& table : tables()) {
    const Outcome help = run_qama({"help", table.name});
    EXPECT_EQ(help.status, 0) << table.name;
    EXPECT_EQ(help.out, run_qama({table.name, "--help"}).out);
    EXPECT_THAT(help.out, HasSubstr("Examples:\n")) << table.name;
    for (const cli::OptionRow& row : table.options) {
      for (const std::string& name : row.names) EXPECT_THAT(help.out, HasSubstr(name));
    }
  }
}

TEST(Help, UnknownCommandIsWrongUsageWithTheList) {
  const Outcome outcome = run_qama({"help", "clasify"});
  EXPECT_EQ(outcome.status, 2);
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(outcome.err, StartsWith("qama: error: USAGE: "));
  for (const cli::CommandTable& table : tables()) EXPECT_THAT(outcome.err, HasSubstr(table.name));
}

TEST(Help, EveryTextIsASentence) {
  for (const cli::CommandTable& table : tables()) {
    EXPECT_TRUE(table.summary.ends_with('.')) << table.name;
    std::vector<cli::OptionRow> rows = table.options;
    rows.insert(rows.end(), table.arguments.begin(), table.arguments.end());
    for (const cli::OptionRow& row : rows) {
      const std::string first = cli::lines_of(row.text).front();
      EXPECT_TRUE(first.ends_with('.') || first.ends_with(':')) << table.name << ": " << row.text;
      EXPECT_TRUE(std::isupper(static_cast<unsigned char>(first[0])) != 0) << table.name << first;
    }
  }
}

TEST(ManPage, EveryCommandHasOneWithEveryOption) {
  const TempDir directory;
  ASSERT_EQ(run_qama({"man", "--all", directory.path()}).status, 0);
  const std::string program = text_of(directory.file("qama.1"));
  for (const cli::CommandTable& table : tables()) {
    const std::string title = std::regex_replace("qama-" + table.name, std::regex("-"), "\\-");
    EXPECT_THAT(program, HasSubstr(title + "\\fR(1)"));
    const std::string page = text_of(directory.file("qama-" + table.name + ".1"));
    EXPECT_EQ(run_qama({"man", table.name}).out, page);
    for (const cli::OptionRow& row : table.options) {
      for (const std::string& name : row.names) {
        std::string escaped;
        for (const char c : name) escaped += c == '-' ? std::string("\\-") : std::string(1, c);
        EXPECT_THAT(page, HasSubstr("\\fB" + escaped + "\\fR")) << table.name;
      }
    }
  }
}

TEST(ManPage, TroffHasNoWarning) {
  if (!exists("groff")) GTEST_SKIP() << "groff is not installed";
  const TempDir directory;
  ASSERT_EQ(run_qama({"man", "--all", directory.path()}).status, 0);
  for (const auto& entry : std::filesystem::directory_iterator(directory.path())) {
    if (entry.path().extension() != ".1") continue;
    const std::string page = entry.path().string();
    EXPECT_EQ(shell(directory, "groff -ww -man -Tascii -z '" + page + "'"), "");
    if (exists("mandoc")) {
      EXPECT_THAT(shell(directory, "mandoc -T lint -W error '" + page + "'"), IsEmpty());
    }
  }
}

TEST(ManPage, DirectoryThatIsNotThere) {
  expect_error(run_qama({"man", "--all", "/nonexistent/man1"}), "IO_ERROR");
}

TEST(Completion, NamesEveryCommandAndEveryOption) {
  const std::string bash = run_qama({"completion", "bash"}).out;
  const std::string zsh = run_qama({"completion", "zsh"}).out;
  const std::string fish = run_qama({"completion", "fish"}).out;
  for (const cli::CommandTable& table : tables()) {
    EXPECT_THAT(bash, HasSubstr("    " + table.name + ") echo '"));
    EXPECT_THAT(zsh, HasSubstr("      " + table.name + ")\n"));
    EXPECT_THAT(fish, HasSubstr(" -a " + table.name + " -d "));
    for (const cli::OptionRow& row : table.options) {
      for (const std::string& name : row.names) {
        EXPECT_THAT(bash, testing::ContainsRegex(table.name + ":" + name + "[|)]")) << table.name;
        if (!name.starts_with("--")) continue;
        EXPECT_THAT(zsh, HasSubstr(name + "[")) << table.name;
        EXPECT_THAT(fish,
                    HasSubstr("from " + table.name + "' " +
                              (row.names.size() > 1 ? "-s " + row.names[0].substr(1) + " " : "") +
                              "-l " + name.substr(2)));
      }
    }
  }
  EXPECT_EQ(run_qama({"completion", "tcsh"}).status, 2);
}

TEST(Completion, ShellsTakeTheScripts) {
  const TempDir directory;
  for (const char* name : {"bash", "zsh", "fish"}) {
    if (!exists(name)) continue;
    put_file(directory.file(name), run_qama({"completion", name}).out);
    const std::string check = std::string(name) + " -n '" + directory.file(name) + "'";
    EXPECT_EQ(shell(directory, check), "") << name;
  }
}

/// What bash offers for a line whose end is being typed, with a `qama` that lists two devices.
std::vector<std::string> offered(const TempDir& directory, const std::string& line) {
  const std::string out =
      shell(directory, "cd '" + directory.path().string() + "' && source completion\n" +
                           "qama() { printf 'cpu:scalar yes\\ncpu:avx2 yes\\nexact: yes\\n'; }\n" +
                           "COMP_LINE='" + line + "' COMP_POINT=" + std::to_string(line.size()) +
                           "\n_qama\nprintf '%s\\n' \"${COMPREPLY[@]}\"\n");
  std::vector<std::string> words;
  for (const std::string& word : cli::lines_of(out)) {
    if (!word.empty()) words.push_back(word);
  }
  return words;
}

TEST(Completion, BashCompletes) {
  const TempDir directory;
  put_file(directory.file("completion"), run_qama({"completion", "bash"}).out);
  put_file(directory.file("a.safetensors"), "");
  put_file(directory.file("b.png"), "");
  std::filesystem::create_directory(directory.file("data"));
  const auto offers = [&](const std::string& line) { return offered(directory, line); };
  EXPECT_THAT(offers("qama cl"), ElementsAre("classify"));
  EXPECT_THAT(offers("qama --v"), ElementsAre("--version"));
  EXPECT_THAT(offers("qama classify --de"), ElementsAre("--device", "--deadline-us"));
  EXPECT_THAT(offers("qama classify --fallback "),
              ElementsAre("never", "error", "deadline", "hedge"));
  EXPECT_THAT(offers("qama classify --fallback=h"), ElementsAre("hedge"));
  EXPECT_THAT(offers("qama eval --dataset mn"), ElementsAre("mnist"));
  EXPECT_THAT(offers("qama classify -m "), UnorderedElementsAre("a.safetensors", "data/"));
  EXPECT_THAT(offers("qama classify -m a.safetensors --json b"), ElementsAre("b.png"));
  EXPECT_THAT(offers("qama eval --data d"), ElementsAre("data/"));
  EXPECT_THAT(offers("qama eval --data b"), ElementsAre("b.png"));  // or a table
  EXPECT_THAT(offers("qama man --all "), ElementsAre("data"));
  // A build without `serve` offers nothing for it.
  std::vector<std::string> served;
  if (run_qama({"help", "serve"}).status == 0) served = {"a.safetensors", "data/"};
  EXPECT_THAT(offers("qama serve -m "), UnorderedElementsAreArray(served));
  EXPECT_THAT(offers("qama replay b"), ElementsAre("b.png"));
  EXPECT_THAT(offers("qama replay b.png b"), ElementsAre("b.png"));
  EXPECT_THAT(offers("qama info "), UnorderedElementsAre("a.safetensors", "data/"));
  EXPECT_THAT(offers("qama help ver"), ElementsAre("verify", "verify-install"));
  EXPECT_THAT(offers("qama completion "), ElementsAre("bash", "zsh", "fish"));
  // bash itself splits at the colon: only what follows it is replaced.
  EXPECT_THAT(offers("qama device cpu:a"), ElementsAre("avx2"));
  EXPECT_THAT(offers("qama classify --threads "), IsEmpty());
}

}  // namespace
}  // namespace qama::test
