// `qama verify-install`: what the release computed is computed here; a damaged model and a damaged
// list are refused, with expected against got.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "hal/device.h"
#include "runtime/cli/release/list.h"
#include "runtime/cli/release/self_test.h"
#include "tests/runtime/cli/process.h"
#include "tests/runtime/io/sample_files.h"
#include "tests/test_support.h"

namespace qama::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;

std::vector<std::string> shipped_models() {
  std::vector<std::string> out;
  for (const auto& entry : std::filesystem::directory_iterator(source_path("weights/models"))) {
    if (entry.path().extension() == ".safetensors") out.push_back(entry.path().string());
  }
  return out;
}

std::string shipped(const std::string& name) {
  return source_path("weights/models/" + name + ".safetensors").string();
}

Outcome verify(std::vector<std::string> words) {
  words.insert(words.begin(), {"verify-install", "-q"});
  return run_qama(words);
}

class CliVerifyInstall : public testing::Test {
 protected:
  /// The program's own list with `from` replaced.
  std::string put_list(const std::string& from, const std::string& to) const {
    std::string text(cli::own_release_list());
    const std::size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    text.replace(at, from.size(), to);
    put_file(directory_.file("list.txt"), text);
    return directory_.file("list.txt");
  }
  TempDir directory_;
};

TEST_F(CliVerifyInstall, EveryShippedModelAndEveryKernel) {
  const std::vector<std::string> models = shipped_models();
  ASSERT_FALSE(models.empty());
  std::vector<std::string> words = models;
  words.emplace_back("--json");
  const Outcome outcome = verify(words);
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const json report = outcome.json();
  EXPECT_EQ(report["ok"], true);
  std::size_t kernels = 0;
  for (const hal::DeviceListing& device : hal::list_devices()) {
    kernels += device.usable && device.uri.starts_with("cpu:") && device.uri != "cpu:" ? 1 : 0;
  }
  ASSERT_GE(kernels, 1U);
  EXPECT_EQ(report["checks"].size(), 2 * models.size() + kernels * cli::self_test_layers().size());
  for (const json& check : report["checks"]) EXPECT_EQ(check["ok"], true) << check;
  // A model that was taken out of the release stays in nobody's list.
  ASSERT_OK_AND_ASSIGN(const auto list, cli::parse_release_list(cli::own_release_list(), "own"));
  EXPECT_EQ(list.models.size(), models.size());
  EXPECT_EQ(list.spins.size(), cli::self_test_layers().size());
}

TEST_F(CliVerifyInstall, ALineEach) {
  const Outcome outcome = verify({shipped("mnist-qama")});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("ok  model  " + shipped("mnist-qama") + "\n"));
  EXPECT_THAT(outcome.out, HasSubstr("ok  answer " + shipped("mnist-qama") + "\n"));
  for (const std::string& layer : cli::self_test_layers())
    EXPECT_THAT(outcome.out, HasSubstr("ok  spins  " + layer + " cpu:scalar\n"));
}

TEST_F(CliVerifyInstall, TheListIsWhatThisMachineWrites) {
  std::vector<std::string> words = shipped_models();
  words.insert(words.end(), {"--write", directory_.file("new.txt")});
  const Outcome outcome = verify(words);
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const auto bytes = read_file(directory_.file("new.txt"));
  ASSERT_OK_AND_ASSIGN(
      const auto written,
      cli::parse_release_list({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, "new"));
  ASSERT_OK_AND_ASSIGN(const auto own, cli::parse_release_list(cli::own_release_list(), "own"));
  EXPECT_EQ(written.spins, own.spins);
  // Which input a model is surest of may differ in the last bits of floats.
  for (const auto& [name, model] : own.models) {
    ASSERT_TRUE(written.models.contains(name));
    EXPECT_EQ(written.models.at(name).sha256, model.sha256);
  }
}

TEST_F(CliVerifyInstall, DamagedModelsAreRefused) {
  const auto bytes = read_file(shipped("mnist-qama"));
  std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  text[text.size() / 2] ^= 1;
  put_file(directory_.file("mnist-qama.safetensors"), text);
  const Outcome outcome = verify({directory_.file("mnist-qama.safetensors")});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err, testing::StartsWith("qama: error: MODEL_CHECKSUM_MISMATCH: "));
  EXPECT_THAT(outcome.err, HasSubstr("expected"));
  EXPECT_THAT(outcome.out, HasSubstr("ok  spins ")) << "the rest is verified all the same";
}

TEST_F(CliVerifyInstall, WholeModelsOfAnotherReleaseAreRefused) {
  // A good file under the name of another.
  std::filesystem::copy_file(shipped("mnist-softmax"), directory_.file("mnist-qama.safetensors"));
  const Outcome other = verify({directory_.file("mnist-qama.safetensors")});
  EXPECT_EQ(other.status, 1);
  EXPECT_THAT(other.err, HasSubstr("MODEL_CHECKSUM_MISMATCH: model of '"));
  std::filesystem::copy_file(shipped("mnist-qama"), directory_.file("mine.safetensors"));
  const Outcome unknown = verify({directory_.file("mine.safetensors")});
  EXPECT_EQ(unknown.status, 1);
  EXPECT_THAT(unknown.err, HasSubstr("NOT_FOUND: model '"));
  EXPECT_THAT(unknown.err, HasSubstr("expected a file named like one of cifar10-"));
  // A file that is not there is not "not in the list".
  for (const std::string name : {"none.safetensors", "mnist-qama-int8.safetensors"}) {
    const Outcome missing = verify({directory_.file(name)});
    EXPECT_EQ(missing.status, 1);
    EXPECT_THAT(missing.err, HasSubstr("NOT_FOUND: "));
    EXPECT_THAT(missing.err, testing::Not(HasSubstr("in the list")));
  }
}

TEST_F(CliVerifyInstall, DamagedListsAreRefused) {
  ASSERT_OK_AND_ASSIGN(const auto own, cli::parse_release_list(cli::own_release_list(), "own"));
  // Another checksum: every kernel is wrong.
  const std::string layer = cli::self_test_layers()[0];
  const std::string zeros(64, '0');
  const Outcome spins = verify({"--list", put_list(own.spins.at(layer), zeros)});
  EXPECT_EQ(spins.status, 1);
  EXPECT_THAT(spins.err,
              HasSubstr("qama: error: GOLDEN_MISMATCH: spins of '" + layer + " cpu:scalar' is " +
                        own.spins.at(layer) + ", expected " + zeros + "\n"));
  // Another model, another answer.
  const cli::ReleaseModel& model = own.models.at("mnist-qama");
  const Outcome seal = verify({shipped("mnist-qama"), "--list", put_list(model.sha256, zeros)});
  EXPECT_EQ(seal.status, 1);
  EXPECT_THAT(seal.err, HasSubstr("' is " + model.sha256 + ", expected " + zeros));
  const std::string line = "model mnist-qama " + model.sha256 + " " + std::to_string(model.input);
  const std::string wrong = std::to_string((model.answer + 1) % 10);
  const Outcome answer =
      verify({shipped("mnist-qama"), "--list",
              put_list(line + " " + std::to_string(model.answer), line + " " + wrong)});
  EXPECT_EQ(answer.status, 1);
  EXPECT_THAT(answer.err, HasSubstr("GOLDEN_MISMATCH: answer of '"));
  EXPECT_THAT(answer.err, HasSubstr("is " + std::to_string(model.answer) + ", expected " + wrong));
  // No list at all.
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
           {"qama release list 1", "qama release list 2"},
           {own.spins.at(layer), "12"},
           {"spins " + layer, "spin " + layer},
           {line, "model mnist-qama " + model.sha256 + " -1"},
           {line, line + " 7"},
           {"spins " + layer + " ", "spins " + layer + " " + zeros + "\nspins " + layer + " "}}) {
    const Outcome outcome = verify({"--list", put_list(from, to)});
    expect_error(outcome, "REPORT_BAD_FORMAT");
    EXPECT_THAT(outcome.err, HasSubstr(", line ")) << from;
  }
  put_file(directory_.file("empty.txt"), std::string_view());
  expect_error(verify({"--list", directory_.file("empty.txt")}), "REPORT_BAD_FORMAT");
  expect_error(verify({"--list", directory_.file("none.txt")}), "NOT_FOUND");
  // An input that no model has.
  const Outcome input =
      verify({shipped("mnist-qama"), "--list",
              put_list(line + " ", "model mnist-qama " + model.sha256 + " 999 ")});
  EXPECT_EQ(input.status, 1);
  EXPECT_THAT(input.err, HasSubstr("qama: error: INDEX_OUT_OF_RANGE: input 999 of model '"));
}

}  // namespace
}  // namespace qama::test
