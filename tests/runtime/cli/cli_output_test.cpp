// Files that commands write, and commands that are stopped: nothing that was there is lost.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "runtime/cli/command.h"
#include "runtime/cli/program.h"
#include "tests/runtime/cli/cli_files.h"
#include "tests/runtime/cli/process.h"

namespace qama::test {
namespace {

using testing::HasSubstr;
using testing::StartsWith;
using weights::AttentionKind;

std::string text_of(const std::string& path) {
  const auto bytes = read_file(path);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

class CliOutput : public testing::Test {
 protected:
  void SetUp() override {
    put_mnist(data, 3000);
    put_file(picture, png_file(28, 28, 1, sample_pixels(28, 28, 1)));
  }
  [[nodiscard]] std::vector<std::string> eval(std::vector<std::string> more) const {
    std::vector<std::string> out = {
        "eval", "-m", model, "--dataset", "mnist", "--data", data.path().string(), "--json"};
    out.insert(out.end(), more.begin(), more.end());
    return out;
  }
  /// A command line for every option that names a report.
  [[nodiscard]] std::vector<std::vector<std::string>> reports(const std::string& path) const {
    return {{"explain", "-q", "-m", model, picture, "--html", path},
            {"profile", "-q", "-m", model, "--runs", "2", "--html", path},
            {"profile", "-q", "-m", model, "--runs", "2", "--csv", path},
            {"profile", "-q", "-m", model, "--runs", "2", "--trace", path},
            eval({"-q", "--limit", "200", "--answers", path}),
            {"tune", "-q", "-m", model, "--dataset", "mnist", "--data", data.path().string(),
             "--samples", "4", "--share", "1", "--out", path}};
  }

  TempDir data, directory;
  std::string model = put_model(directory, "m", small_vit(AttentionKind::qama));
  std::string picture = directory.file("a.png");
};

TEST_F(CliOutput, AnInputIsNeverOverwritten) {
  std::filesystem::create_hard_link(picture, directory.file("hard"));
  std::filesystem::create_symlink(model, directory.path() / "soft");
  const std::string labels = data.file("t10k-labels-idx1-ubyte");
  const std::vector<std::vector<std::string>> lines = {
      {"explain", "-m", model, picture, "--html", picture},
      {"explain", "-m", model, picture, "--html", directory.file("hard")},
      {"explain", "-m", model, picture, "--html", model},
      {"profile", "-m", model, picture, "--csv", picture},
      {"profile", "-m", model, picture, "--html", directory.file("soft")},
      {"profile", "-m", model, "--html", directory.file("x"), "--csv", directory.file("x")},
      eval({"--answers", labels}),
      eval({"--answers", model}),
      {"tune", "-m", model, "--dataset", "mnist", "--data", data.path().string(), "--out", model}};
  const std::string before = text_of(picture) + text_of(model) + text_of(labels);
  for (const auto& arguments : lines) {
    const Outcome outcome = run_qama(arguments);
    EXPECT_EQ(outcome.status, 2) << testing::PrintToString(arguments) << outcome.err;
    EXPECT_THAT(outcome.err, StartsWith("qama: error: USAGE: --"));
  }
  EXPECT_EQ(text_of(picture) + text_of(model) + text_of(labels), before);
}

// Names that the line does not have: what a table names, and what --record makes.
TEST_F(CliOutput, NoFileThatIsReadIsOverwritten) {
  put_file(directory.file("own.csv"), "file,label\na.png,1\n");
  const std::string before = text_of(picture) + text_of(model);
  std::filesystem::create_directory(directory.file("out"));
  std::filesystem::create_symlink(model, directory.file("out/m_00000_00.txt"));
  const std::string table = directory.file("own.csv");
  const std::vector<std::vector<std::string>> lines = {
      {"eval", "-m", model, "--data", table, "--answers", picture},
      {"tune", "-m", model, "--data", table, "--samples", "4", "--out", picture},
      eval({"--limit", "1", "--record", directory.file("out"), "1"})};
  for (const auto& arguments : lines) {
    const Outcome outcome = run_qama(arguments);
    EXPECT_EQ(outcome.status, 2) << testing::PrintToString(arguments) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr("is an input, too; it is not overwritten"));
  }
  EXPECT_EQ(text_of(picture) + text_of(model), before);
}

// Every command, every file that it writes, every option of it that names a file to read.
TEST(CliOutputs, NoFileThatTheLineNamesIsOverwritten) {
  const TempDir directory;
  const std::string named = directory.file("named"), other = directory.file("other");
  put_file(named, "as it was");
  put_file(other, "");
  const auto word_for = [&](const CLI::Option& option, const std::string& path) -> std::string {
    const std::string type = option.get_type_name();
    if (option.get_name() == "--dataset") return "mnist";
    if (type == "DIR") return std::filesystem::path(path).parent_path();
    if (type == "URI") return "cim://host:7000?tls-ca=" + path + "&reads=1";
    if (type.empty() || type == "FILE" || type.ends_with("MODEL")) return path;
    return "";
  };
  int tried = 0;
  const cli::Program program;
  for (const CLI::App* app : program.app().get_subcommands({})) {
    const auto& command = dynamic_cast<const cli::CommandApp&>(*app);
    for (const CLI::Option* output : command.outputs) {
      for (const CLI::Option* input : app->get_options()) {
        if (input == output || input->get_name() == "--dataset" || input->get_items_expected() == 0)
          continue;
        const std::string word = word_for(*input, named);
        if (word.empty()) continue;
        std::vector<std::string> line = {app->get_name()};
        for (const CLI::Option* option : app->get_options()) {
          if (!option->get_required() || option == input || option == output) continue;
          if (option->get_lnames().size() + option->get_snames().size() > 0) {
            line.push_back(option->get_name());
          }
          line.push_back(word_for(*option, other));
        }
        if (input->get_lnames().size() + input->get_snames().size() > 0) {
          line.push_back(input->get_name());
        }
        line.insert(line.end(), {word, output->get_name(), named});
        const Outcome outcome = run_qama(line);
        EXPECT_EQ(outcome.status, 2) << testing::PrintToString(line) << outcome.err;
        EXPECT_THAT(outcome.err, HasSubstr(" '" + named + "' is ")) << testing::PrintToString(line);
        ++tried;
      }
    }
  }
  EXPECT_GT(tried, 30);
  EXPECT_EQ(text_of(named), "as it was");
  // Nor a key, which is read for the name of a file to write.
  put_file(directory.file("m.sig"), "key");
  const Outcome sign = run_qama({"sign", put_model(directory, "m", small_vit(AttentionKind::qama)),
                                 "--key", directory.file("m.sig")});
  EXPECT_NE(sign.status, 0);
  EXPECT_EQ(text_of(directory.file("m.sig")), "key");
}

TEST_F(CliOutput, WhatCannotBeWrittenLeavesTheOldFileAndSaysWhy) {
  std::filesystem::create_directory(directory.path() / "out");
  const std::string path = directory.file("out/report");
  put_file(path, "old");
  RunSetup small;
  small.most_file_bytes = 1000;
  for (const auto& arguments : reports(path)) {
    const Outcome outcome = run_qama(arguments, small);
    expect_error(outcome, "IO_ERROR");
    EXPECT_THAT(outcome.err, HasSubstr("File too large")) << testing::PrintToString(arguments);
    EXPECT_EQ(text_of(path), "old");
  }
  const auto out = std::filesystem::directory_iterator(directory.path() / "out");
  EXPECT_EQ(std::distance(begin(out), end(out)), 1);
  for (const auto& arguments : reports("/dev/full")) {
    const Outcome outcome = run_qama(arguments);
    expect_error(outcome, "IO_ERROR");
    EXPECT_THAT(outcome.err, HasSubstr("No space left"));
  }
  for (const auto& arguments : reports(directory.file("no/such/report"))) {
    const Outcome outcome = run_qama(arguments);
    expect_error(outcome, "IO_ERROR");
    EXPECT_THAT(outcome.err, HasSubstr("no/such' does not exist"));
  }
}

TEST_F(CliOutput, ALinkStaysAndItsTargetIsWritten) {
  std::filesystem::create_symlink("target", directory.path() / "link");
  for (const auto& arguments : reports(directory.file("link"))) {
    put_file(directory.file("target"), "old");
    const Outcome outcome = run_qama(arguments);
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_TRUE(std::filesystem::is_symlink(directory.path() / "link"));
    EXPECT_NE(text_of(directory.file("target")), "old") << testing::PrintToString(arguments);
  }
}

TEST_F(CliOutput, AStoppedEvalPrintsItsSums) {
  for (const int signal : {SIGINT, SIGTERM}) {
    RunSetup setup;
    setup.signal = signal;
    const std::string answers = directory.file("answers");
    const Outcome outcome = run_qama(eval({"--sweeps", "100000", "--answers", answers}), setup);
    EXPECT_EQ(outcome.status, 128 + signal) << outcome.err;
    const auto json = outcome.json();
    EXPECT_EQ(json["stopped"], true);
    EXPECT_GT(json["n"], 0);
    EXPECT_LT(json["n"], 3000);
    EXPECT_THAT(outcome.err, HasSubstr("qama: stopped by the user: "));
    const std::string lines = text_of(answers);
    EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), json["n"]);
  }
}

TEST_F(CliOutput, AStoppedClassifyHasPrintedWholeLines) {
  RunSetup setup;
  setup.signal = SIGINT;
  std::vector<std::string> line = {"classify", "-m", model, "--sweeps", "1000", "--json"};
  line.insert(line.end(), 3000, picture);
  const Outcome outcome = run_qama(line, setup);
  EXPECT_EQ(outcome.status, 130) << outcome.err;
  EXPECT_THAT(outcome.out, testing::EndsWith("}\n"));
}

TEST_F(CliOutput, AStoppedSolvePrintsItsBestAnswer) {
  put_file(directory.file("p.mc"), "5 5\n1 2 1\n2 3 1\n3 4 1\n4 5 1\n1 5 1\n");
  RunSetup setup;
  setup.signal = SIGINT;
  const Outcome outcome = run_qama(
      {"solve", directory.file("p.mc"), "--device", "cpu:", "--time-limit", "100000", "--json"},
      setup);
  EXPECT_EQ(outcome.status, 130) << outcome.err;
  const auto json = outcome.json();
  EXPECT_EQ(json["cut"], 4);
  EXPECT_EQ(json["stopped"], true);
  EXPECT_THAT(outcome.err, HasSubstr("qama: stopped by the user: "));
}

TEST_F(CliOutput, AStoppedTuneSaysHowFarItCame) {
  RunSetup setup;
  setup.signal = SIGINT;
  const Outcome outcome =
      run_qama({"tune", "-m", model, "--dataset", "mnist", "--data", data.path().string(),
                "--samples", "3000", "--out", directory.file("new"), "--json"},
               setup);
  EXPECT_EQ(outcome.status, 130) << outcome.err;
  EXPECT_EQ(outcome.json()["stopped"], true);
  EXPECT_THAT(outcome.err, HasSubstr("of 2 blocks are tuned, no model is written"));
  EXPECT_FALSE(std::filesystem::exists(directory.file("new")));
}

TEST_F(CliOutput, ErrorsOfModelsNameTheFile) {
  put_file(directory.file("pointer"),
           "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n");
  put_file(directory.file("bad"), std::string(100, 'x'));
  const Outcome pointer = run_qama({"info", directory.file("pointer")});
  expect_error(pointer, "MODEL_TRUNCATED");
  EXPECT_THAT(pointer.err, HasSubstr("pointer': the file is a pointer of Git LFS"));
  const Outcome bad = run_qama({"classify", "-m", directory.file("bad"), picture});
  expect_error(bad, "MODEL_HEADER_TOO_LARGE");
  EXPECT_THAT(bad.err, HasSubstr("bad': header: "));
}

TEST_F(CliOutput, ADeviceThatCannotBeIsAnError) {
  const auto classify = [&](const std::string& device) {
    return run_qama({"classify", "-m", model, picture, "--device", device});
  };
  // In a build without the link, or because no such name exists.
  for (const char* device : {"cim://no-such-host.invalid:7010", "cim://localhost:x"}) {
    EXPECT_EQ(classify(device).status, 1) << device;
  }
  const Outcome twice = classify("cim://127.0.0.1:1?reads=1&reads=2");
  EXPECT_EQ(twice.status, 1);
  EXPECT_EQ(twice.out, "");
}

}  // namespace
}  // namespace qama::test
