// `qama tune`: deterministic, what it writes is a model that says so, and the schedule does what
// was asked.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <vector>

#include "tests/runtime/cli/cli_files.h"
#include "tests/runtime/cli/process.h"

namespace qama::test {
namespace {

using testing::HasSubstr;
using weights::AttentionKind;

class CliTune : public testing::Test {
 protected:
  void SetUp() override {
    model_ = put_model(directory_, "small.safetensors", small_vit(AttentionKind::qama));
    put_mnist(directory_, 12);
  }
  Outcome tune(const std::vector<std::string>& more, const std::string& model = "") {
    std::vector<std::string> arguments = {
        "tune",  "-q",     "--json",         "-m", model.empty() ? model_ : model, "--dataset",
        "mnist", "--data", directory_.path()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_qama(arguments);
  }

  /// What comes behind a file's header.
  static std::vector<std::byte> data_of(const std::string& path) {
    const auto bytes = read_file(path);
    std::uint64_t header = 0;
    std::memcpy(&header, bytes.data(), sizeof header);
    return {bytes.begin() + static_cast<std::ptrdiff_t>(sizeof header + header), bytes.end()};
  }

  TempDir directory_;
  std::string model_;
};

TEST_F(CliTune, FindsStoresAndUsesASchedule) {
  const std::string out = directory_.file("tuned.safetensors");
  const Outcome outcome = tune({"--share", "90", "--out", out, "--samples", "12"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const auto result = outcome.json();
  ASSERT_EQ(result["blocks"].size(), 2U);
  double largest = 0;
  for (const auto& block : result["blocks"]) {
    EXPECT_EQ(block["layers"], 12);
    EXPECT_TRUE(block["tuned"]["reached"]);
    EXPECT_GE(block["tuned"]["share"], 0.9);
    if (block["now"]["reached"]) {
      EXPECT_LE(block["tuned"]["cost"], block["now"]["cost"]);
    }
    largest = std::max(largest, block["tuned"]["cost"].get<double>());
  }
  // Same tensors, other schedule; what the model file says is what a session does.
  const auto before = run_qama({"info", "--json", model_}).json();
  const auto after = run_qama({"info", "--json", out}).json();
  EXPECT_NE(before["sha256"], after["sha256"]);
  EXPECT_EQ(after["sealed"], true);
  EXPECT_EQ(before["tensors"], after["tensors"]);
  EXPECT_EQ(data_of(model_), data_of(out));
  const auto eval = run_qama(
      {"eval", "-q", "--json", "-m", out, "--dataset", "mnist", "--data", directory_.path()});
  ASSERT_EQ(eval.status, 0) << eval.err;
  const auto schedules = eval.json()["schedules"];
  ASSERT_EQ(schedules.size(), 2U);
  for (std::size_t block = 0; block < 2; ++block) {
    for (const char* key : {"sweeps", "restarts", "rounds", "t_start", "t_end", "start"}) {
      EXPECT_EQ(schedules[block][key], result["blocks"][block]["tuned"][key]) << key;
    }
  }
  // An option of a command counts more.
  const auto less =
      run_qama({"eval", "-q", "--json", "-m", out, "--dataset", "mnist", "--data",
                directory_.path(), "--sweeps", "3", "--rounds", "2", "--round-sweeps", "1"});
  ASSERT_EQ(less.status, 0) << less.err;
  const auto report = less.json();
  ASSERT_EQ(report["schedules"].size(), 2U);
  for (const auto& schedule : report["schedules"]) {
    EXPECT_EQ(schedule["sweeps"], 3);
    EXPECT_EQ(schedule["rounds"], 2);
    EXPECT_EQ(schedule["round_sweeps"], 1);
  }
}

TEST_F(CliTune, ChoosesTheSameEveryTime) {
  const auto first = tune({"--seed", "5"}).json();
  const auto second = tune({"--seed", "5"}).json();
  EXPECT_EQ(first, second);
}

TEST_F(CliTune, AShareThatNothingReachesIsSaid) {
  const auto result = tune({"--gap", "0", "--share", "100", "--samples", "4"}).json();
  for (const auto& block : result["blocks"]) {
    EXPECT_EQ(block["tuned"]["reached"].get<bool>(), block["tuned"]["share"] >= 1.0);
  }
}

TEST_F(CliTune, OtherModelsAndDataAreRefused) {
  const std::string softmax =
      put_model(directory_, "softmax.safetensors", small_vit(AttentionKind::softmax));
  const Outcome kind = tune({}, softmax);
  EXPECT_EQ(kind.status, 1);
  EXPECT_THAT(kind.err, HasSubstr("MODEL_WRONG_KIND"));
  const std::string text =
      put_model(directory_, "text.safetensors", small_text(AttentionKind::qama));
  EXPECT_EQ(tune({}, text).status, 1);
  EXPECT_EQ(tune({"--share", "0"}).status, 2);
  EXPECT_EQ(tune({"--samples", "3"}).status, 2);
}

}  // namespace
}  // namespace qama::test
