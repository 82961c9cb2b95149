// The command line itself: help, version, wrong usage, output that cannot be written.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/cli/command.h"
#include "runtime/cli/program.h"
#include "tests/runtime/cli/cli_files.h"
#include "tests/runtime/cli/process.h"

namespace qama::test {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

TEST(CliUsage, HelpListsEveryCommand) {
  for (const char* flag : {"--help", "-h", "help"}) {
    const Outcome help = run_qama({flag});
    EXPECT_EQ(help.status, 0);
    EXPECT_EQ(help.err, "");
    for (const char* name : {"classify", "eval", "solve", "devices", "help"}) {
      EXPECT_THAT(help.out, HasSubstr(name));
    }
  }
}

TEST(CliUsage, Version) {
  for (const char* flag : {"--version", "-V"}) {
    const Outcome version = run_qama({flag});
    EXPECT_EQ(version.status, 0);
    EXPECT_THAT(version.out, testing::MatchesRegex("qama [0-9]+\\.[0-9]+\\.[0-9]+\n"));
  }
}

TEST(CliUsage, WrongUsageIsTwo) {
  const std::vector<std::string> wrong[] = {
      {},
      {"classify"},
      {"clasify", "-m", "m", "x.png"},
      {"classify", "-m", "m"},  // neither INPUT nor --text
      {"classify", "-m", "m", "x.png", "--threads", "0"},
      {"classify", "-m", "m", "x.png", "--threads", "many"},
      {"classify", "-m", "m", "x.png", "--seed", "-1"},
      {"classify", "-m", "m", "x.png", "--fallback", "sometimes"},
      {"classify", "-m", "m", "x.png", "--deadline-us", "-5"},
      {"classify", "-m", "m", "x.png", "--unknown"},
      {"classify", "x.png"},
      {"eval", "-m", "m", "--dataset", "minst", "--data", "d"},
      {"eval", "-m", "m", "--dataset", "mnist"},
      {"eval", "-m", "m", "--dataset", "mnist", "--data", "d", "--limit", "0"},
      {"eval", "-m", "m", "--dataset", "mnist", "--data", "d", "--shard", "5/4"},
      {"eval", "-m", "m", "--dataset", "mnist", "--data", "d", "--shard", "1"},
      {"eval", "-m", "m", "--dataset", "mnist", "--data", "d", "--shard", "1/0"},
      {"eval", "-m", "m", "--dataset", "mnist", "--data", "d", "--record", "dir"},
      {"eval", "-m", "m", "--dataset", "mnist", "--data", "d", "--record", "dir", "x"},
      {"solve"},
      {"solve", "f", "--format", "sudoku"},
      {"solve", "f", "--restarts", "0"},
      {"solve", "f", "--t-start", "0"},
      {"solve", "f", "--target", "nan"},
      {"info"},
      {"verify", "m"},
      {"device"},
  };
  for (const auto& arguments : wrong) {
    const Outcome outcome = run_qama(arguments);
    EXPECT_EQ(outcome.status, 2) << testing::PrintToString(arguments) << outcome.err;
    EXPECT_EQ(outcome.out, "");
    EXPECT_THAT(outcome.err, StartsWith("qama: error: USAGE: "));
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
  }
}

TEST(CliUsage, UnknownCommandsAreNamed) {
  const std::pair<const char*, const char*> cases[] = {
      {"clasify", "unknown command 'clasify'; did you mean 'classify'?"},
      {"ifno", "unknown command 'ifno'; did you mean 'info'?"},
      {"prof", "unknown command 'prof'; did you mean 'profile'?"},
      {"xyzzy", "unknown command 'xyzzy' (see"},
      {"", "unknown command '' (see"}};
  for (const auto& [word, sentence] : cases) {
    const Outcome outcome = run_qama({word, "--json"});
    EXPECT_EQ(outcome.status, 2);
    EXPECT_THAT(outcome.err, HasSubstr(sentence));
  }
}

TEST(CliUsage, NumbersAreDecimal) {
  const TempDir directory;
  put_file(directory.file("p.qubo"), "2 2\n1 1 -1\n1 2 2\n");
  const auto solve = [&](const char* option, const char* value) {
    return run_qama({"solve", directory.file("p.qubo"), "--json", "-q", option, value});
  };
  EXPECT_EQ(solve("--restarts", "010").json()["restarts"], 10);
  EXPECT_EQ(solve("--restarts", "+7").json()["restarts"], 7);
  EXPECT_EQ(solve("--seed", "18446744073709551615").json()["seed"], 18446744073709551615U);
  EXPECT_EQ(solve("--time-limit", "+1.5e1").status, 0);
  const std::pair<const char*, const char*> refused[] = {
      {"--restarts", "0x10"},  {"--restarts", "+-1"},     {"--restarts", "1e1"},
      {"--restarts", "1'000"}, {"--restarts", ""},        {"--restarts", "99999999999999999999"},
      {"--seed", "-1"},        {"--seed", "+-1"},         {"--seed", "18446744073709551616"},
      {"--seed", "1.5"},       {"--time-limit", "nan"},   {"--time-limit", "inf"},
      {"--time-limit", "0x5"}, {"--time-limit", "1e999"}, {"--t-start", "+-1"},
      {"--t-start", "nan"},    {"--target", "inf"},       {"--threads", "0b1"}};
  for (const auto& [option, value] : refused) {
    const Outcome outcome = solve(option, value);
    EXPECT_EQ(outcome.status, 2) << option << " " << value << ": " << outcome.out;
    EXPECT_THAT(outcome.err, StartsWith("qama: error: USAGE: ")) << option << " " << value;
  }
}

TEST(CliUsage, RangesAreNamed) {
  const std::pair<std::vector<std::string>, const char*> cases[] = {
      {{"solve", "f", "--seed", "-1"},
       "--seed: '-1' is out of range, expected a whole number from 0 to 18446744073709551615"},
      {{"solve", "f", "--t-start", "0"},
       "--t-start: '0' is out of range, expected a number above 0"},
      {{"verify", "m", "g", "--nmse", "-1"},
       "--nmse: '-1' is out of range, expected a number above 0"},
      {{"verify", "m", "g", "--nmse", "nan"}, "--nmse: 'nan' is no finite decimal number"},
      {{"verify", "m", "g", "--tolerance", "0x1p-3"},
       "--tolerance: '0x1p-3' is no finite decimal number"}};
  for (const auto& [line, sentence] : cases) {
    const Outcome outcome = run_qama(line);
    EXPECT_EQ(outcome.status, 2);
    EXPECT_THAT(outcome.err, StartsWith(std::string("qama: error: USAGE: ") + sentence + " ("));
  }
}

// A variable of the shell that is not set: an option does not stand for its absence then.
TEST(CliUsage, EmptyValuesAreRefused) {
  int tried = 0;
  const cli::Program program;
  for (const CLI::App* command : program.app().get_subcommands({})) {
    for (const CLI::Option* option : command->get_options()) {
      if (option->get_lnames().empty() || option->get_items_expected_min() == 0) continue;
      if (option->get_type_name().starts_with("TEXT")) continue;
      const std::string name = "--" + option->get_lnames()[0];
      // Two words where the option takes two.
      const std::vector<std::string> rest(
          static_cast<std::size_t>(option->get_items_expected()) - 1, "1");
      std::vector<std::string> line = {command->get_name(), name + "="};
      line.insert(line.end(), rest.begin(), rest.end());
      const Outcome outcome = run_qama(line);
      EXPECT_EQ(outcome.status, 2) << line[0] << " " << line[1];
      EXPECT_THAT(outcome.err, HasSubstr(name + ": its value is empty, expected "));
      ++tried;
    }
  }
  EXPECT_GT(tried, 100);
  EXPECT_THAT(run_qama({"solve", "--out", ""}).err,
              HasSubstr("--out: its value is empty, expected FILE"));
}

// For reading, '-' is standard input; a file of that name was written.
TEST(CliUsage, ADashIsNoFileToWrite) {
  const TempDir directory;
  const std::string graph = directory.file("g.mc");
  put_file(graph, "2 1\n1 2 1\n");
  int tried = 0;
  const cli::Program program;
  for (const CLI::App* command : program.app().get_subcommands({})) {
    const auto* own = dynamic_cast<const cli::CommandApp*>(command);
    if (own == nullptr) continue;
    for (const CLI::Option* option : own->outputs) {
      const std::string name = "--" + option->get_lnames()[0];
      const Outcome outcome = run_qama({command->get_name(), name, "-"});
      EXPECT_EQ(outcome.status, 2) << command->get_name() << " " << name;
      EXPECT_THAT(outcome.err, HasSubstr("'-' is no file"));
      ++tried;
    }
  }
  EXPECT_GT(tried, 10);
  EXPECT_EQ(run_qama({"solve", "-q", graph, "--out", directory.file("-")}).status, 0);
}

TEST(CliUsage, NoWordIsTheValueOfAnOptionThatEndsInAnEqualsSign) {
  const TempDir directory;
  const std::string first = directory.file("1.mc"), second = directory.file("2.mc");
  put_file(first, "2 1\n1 2 1\n");
  put_file(second, "2 1\n1 2 1\n");
  EXPECT_EQ(run_qama({"cim-check", "--html=", first, second}).status, 2);
  EXPECT_EQ(run_qama({"solve", "-q", first}).status, 0);
  EXPECT_EQ(run_qama({"cim-check", "--html=" + directory.file("a="), first}).status, 0);
  EXPECT_EQ(run_qama({"cim-check", "--", "--html="}).status, 1);  // a file of that name
  EXPECT_EQ(run_qama({"solve", "--json=", first}).status, 0);     // a flag
}

TEST(CliUsage, LibrariesDoNotPrintIntoTheResult) {
  const TempDir directory;
  const std::string model = put_model(directory, "m", small_vit(weights::AttentionKind::softmax));
  put_file(directory.file("a.png"), png_file(28, 28, 1, sample_pixels(28, 28, 1)));
  RunSetup loud;
  for (const char* name : {"ONEDNN_VERBOSE", "DNNL_VERBOSE"}) {
    loud.environment.push_back(std::string(name) + "=1");
  }
  const Outcome outcome =
      run_qama({"classify", "--json", "-q", "-m", model, directory.file("a.png")}, loud);
  EXPECT_EQ(outcome.status, 0);
  EXPECT_TRUE(outcome.json().contains("label")) << outcome.out;
}

TEST(CliUsage, OutputThatCannotBeWrittenIsAnError) {
  RunSetup full;
  full.output = "/dev/full";
  RunSetup closed;
  closed.output = "-";
  for (const RunSetup& setup : {full, closed}) {
    for (const std::vector<std::string>& arguments :
         {std::vector<std::string>{"devices"}, {"--version"}, {"device", "cpu:", "--json"}}) {
      const Outcome outcome = run_qama(arguments, setup);
      EXPECT_EQ(outcome.status, 1) << outcome.err;
      EXPECT_THAT(outcome.err, StartsWith("qama: error: IO_ERROR: standard output"));
    }
  }
}

TEST(CliUsage, ReaderThatWentAwayEndsTheProgramQuietly) {
  const TempDir directory;
  // A FIFO whose reader closes at once, behind more output than a pipe holds.
  const std::string model = put_model(directory, "m", small_vit(weights::AttentionKind::softmax));
  put_file(directory.file("a.png"), png_file(28, 28, 1, sample_pixels(28, 28, 1)));
  std::string inputs;
  for (int i = 0; i < 600; ++i) inputs += " " + directory.file("a.png");
  const std::string emulator = std::string(QAMA_EMULATOR).empty() ? "" : QAMA_EMULATOR " ";
  const std::string command = "{ " + emulator + QAMA_PROGRAM + " classify --json -q -m " + model +
                              inputs + "; echo $? > " + directory.file("status") + "; } 2> " +
                              directory.file("err") + " | true";
  ASSERT_EQ(std::system(("bash -c '" + command + "'").c_str()), 0);
  const auto status = read_file(directory.file("status"));
  const auto err = read_file(directory.file("err"));
  // As of any other program that a signal ends: 128 + SIGPIPE.
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(status.data()), status.size()), "141\n");
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(err.data()), err.size()), "");
}

TEST(CliUsage, DevicesAreListedAndDescribed) {
  const Outcome list = run_qama({"devices", "--json"});
  EXPECT_EQ(list.status, 0) << list.err;
  const auto devices = list.json()["devices"];
  std::vector<std::string> uris;
  for (const auto& device : devices) {
    uris.push_back(device["uri"]);
    if (device["usable"] == true) {
      for (const char* field : {"name", "max_spins", "coupling_bits", "encodings", "is_emulated",
                                "state", "round_trip_us"}) {
        EXPECT_TRUE(device.contains(field)) << device << field;
      }
    }
  }
  EXPECT_THAT(uris, testing::IsSupersetOf({"cpu:scalar", "exact:"}));
  EXPECT_EQ(run_qama({"devices"}).status, 0);

  const Outcome one = run_qama({"device", "cpu:", "--json"});
  EXPECT_EQ(one.status, 0) << one.err;
  EXPECT_EQ(one.json()["state"], "available");
  EXPECT_EQ(one.json()["is_emulated"], false);
  EXPECT_THAT(run_qama({"device", "exact:"}).out, HasSubstr("max spins"));
}

TEST(CliUsage, DevicesThatDoNotExist) {
  expect_error(run_qama({"device", "gpu:"}), "DEVICE_UNKNOWN");
  expect_error(run_qama({"device", "cpu:avx1024"}), "DEVICE_UNKNOWN");
  expect_error(run_qama({"device", ""}), "DEVICE_UNKNOWN");
}

}  // namespace
}  // namespace qama::test
