// Models of features: what every command makes of a .npy file.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "tests/runtime/cli/cli_files.h"
#include "tests/runtime/cli/process.h"

namespace qama::test {
namespace {

using testing::HasSubstr;
using weights::AttentionKind;

constexpr std::size_t kNumbers = 30 * 6;

class CliFeatures : public testing::Test {
 protected:
  void SetUp() override {
    model_ = put_model(directory_, "features.safetensors", small_features(AttentionKind::qama));
    vit_ = put_model(directory_, "vit.safetensors", small_vit(AttentionKind::qama));
    for (std::size_t i = 0; i < 3 * kNumbers; ++i) {
      all_.push_back(static_cast<float>(i * i % 251) / 125.0F - 1.0F);
    }
    put("all.npy", npy_file("3, 30, 6", all_));
    for (int i = 0; i < 3; ++i) put(std::to_string(i) + ".npy", npy_file("30, 6", sample(i)));
  }
  std::vector<float> sample(int i) const {
    const auto begin = all_.begin() + static_cast<std::ptrdiff_t>(kNumbers) * i;
    return {begin, begin + static_cast<std::ptrdiff_t>(kNumbers)};
  }
  std::string put(const std::string& name, const Bytes& bytes) {
    put_file(directory_.file(name), bytes);
    return directory_.file(name);
  }
  std::string file(const std::string& name) const { return directory_.file(name); }
  Outcome run(std::vector<std::string> words) const {
    words.insert(words.begin() + 1, "-q");
    words.push_back("--json");
    return run_qama(words);
  }

  TempDir directory_;
  std::string model_, vit_;
  std::vector<float> all_;
};

TEST_F(CliFeatures, OneOfSeveralIsTheOneAlone) {
  const Outcome several = run({"classify", "-m", model_, file("all.npy") + ":0", file("0.npy"),
                               put("0.npy.gz", gzipped(npy_file("30, 6", sample(0))))});
  EXPECT_EQ(several.status, 0) << several.err;
  auto lines = several.json_lines();
  ASSERT_EQ(lines.size(), 3U);
  for (auto& line : lines) {
    line.erase("input");
    line.erase("latency_us");
    EXPECT_EQ(line, lines[0]);
    EXPECT_FALSE(line.contains("words"));
    EXPECT_FALSE(line.contains("blank"));
  }
  RunSetup setup;
  const Bytes bytes = npy_file("30, 6", sample(0));
  setup.input = std::string(bytes.begin(), bytes.end());
  const Outcome piped = run_qama({"classify", "-q", "--json", "-m", model_, "-"}, setup);
  EXPECT_EQ(piped.json()["probability"], lines[0]["probability"]);
}

TEST_F(CliFeatures, BadInputsEndInOneSentence) {
  const auto refused = [&](const std::string& input, const std::string& name) {
    SCOPED_TRACE(input);
    expect_error(run_qama({"classify", "-q", "-m", model_, input}), name);
  };
  refused(file("all.npy"), "DATASET_BAD_FORMAT");
  refused(file("all.npy") + ":3", "INDEX_OUT_OF_RANGE");
  refused(file("all.npy") + ":-1", "INDEX_OUT_OF_RANGE");
  refused(file("none.npy"), "NOT_FOUND");
  refused(put("wide.npy", npy_file("6, 30", sample(0))), "DATASET_BAD_FORMAT");
  refused(put("a.png", png_file(28, 28, 1, sample_pixels(28, 28, 1))), "DATASET_BAD_FORMAT");
  std::vector<float> odd = sample(1);
  odd[9] = NAN;
  refused(put("nan.npy", npy_file("30, 6", odd)), "PROBLEM_BAD_VALUE");
  expect_error(run_qama({"classify", "-q", "-m", model_, "--text", "words"}), "MODEL_WRONG_KIND");
  expect_error(run_qama({"classify", "-q", "-m", vit_, file("0.npy")}), "IMAGE_BAD_FORMAT");
  EXPECT_THAT(run_qama({"classify", "-q", "-m", model_, "--text", "words"}).err,
              HasSubstr("classifies features of 30 x 6, not texts"));
}

TEST_F(CliFeatures, EvalAndTuneTakeTablesAndFolders) {
  std::string rows = "file,label\n";
  for (int i = 0; i < 3; ++i) {
    const Outcome one = run({"classify", "-m", model_, file("all.npy") + ":" + std::to_string(i)});
    const auto label = one.json()["label"].get<std::string>();
    rows += "all.npy:" + std::to_string(i) + "," + label + "\n";
    std::filesystem::create_directories(file("own/" + label));
    put("own/" + label + "/" + std::to_string(i) + ".npy", npy_file("30, 6", sample(i)));
  }
  put_file(file("rows.csv"), rows);
  const Outcome table = run({"eval", "-m", model_, "--data", file("rows.csv")});
  EXPECT_EQ(table.json()["n"], 3) << table.err;
  EXPECT_EQ(table.json()["accuracy"], 1.0);  // the labels are its own answers
  const Outcome threads = run({"eval", "-m", model_, "--data", file("rows.csv"), "--threads", "2"});
  EXPECT_EQ(threads.json()["checksum"], table.json()["checksum"]);
  EXPECT_EQ(run({"eval", "-m", model_, "--data", file("own")}).json()["n"], 3);

  const Outcome tuned = run({"tune", "-m", model_, "--data", file("rows.csv"), "--samples", "4"});
  EXPECT_EQ(tuned.status, 0) << tuned.err;

  // What cannot be read is listed and counted.
  std::vector<float> odd = sample(1);
  odd[9] = HUGE_VALF;
  put("odd.npy", npy_file("30, 6", odd));
  put_file(file("rows.csv"), rows + "all.npy:7,0\nodd.npy,0\n");
  const Outcome some = run({"eval", "-m", model_, "--data", file("rows.csv")});
  EXPECT_EQ(some.json()["n"], 3) << some.err;
  EXPECT_THAT(some.err, HasSubstr("INDEX_OUT_OF_RANGE: index 7"));
  EXPECT_THAT(some.err, HasSubstr("PROBLEM_BAD_VALUE: npy file"));

  put_mnist(directory_, 2);
  for (const char* command : {"eval", "tune"}) {
    expect_error(
        run_qama({command, "-q", "-m", model_, "--dataset", "mnist", "--data", directory_.path()}),
        "MODEL_WRONG_KIND");
  }
}

TEST_F(CliFeatures, ExplainNamesTokensByTheirNumbers) {
  const Outcome json = run({"explain", "-m", model_, file("0.npy")});
  ASSERT_EQ(json.status, 0) << json.err;
  EXPECT_FALSE(json.json().contains("words"));
  const auto mask = json.json()["masks"][0][0];
  ASSERT_EQ(mask.size(), 30U);
  std::string numbers;
  int count = 0;
  for (std::size_t i = 0; i < mask.size(); ++i) {
    if (mask[i] == 0) continue;
    numbers += " " + std::to_string(i);
    ++count;
  }
  ASSERT_GT(count, 0);
  const Outcome text =
      run_qama({"explain", "-q", "-m", model_, file("0.npy"), "--html", file("page.html")});
  EXPECT_THAT(text.out, HasSubstr("head 0 selected " + std::to_string(count) +
                                  " of 30:" + numbers.substr(0, 40)));
  EXPECT_TRUE(std::filesystem::exists(file("page.html")));
}

TEST_F(CliFeatures, TheOtherCommands) {
  const Outcome info = run({"info", model_});
  EXPECT_EQ(info.json()["architecture"]["features"]["width"], 6) << info.err;
  EXPECT_EQ(info.json()["preprocess"]["kind"], "features");
  EXPECT_EQ(info.json()["steps"][0]["name"], "embed.features");
  const std::string golden = put_golden(directory_, "golden", model_, 2);
  EXPECT_EQ(run({"verify", model_, golden}).json()["logits_max_abs"], 0.0);
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"profile", "-m", model_, "--runs", "2", "--batch", "4"},
        {"profile", "-m", model_, "--runs", "2", file("all.npy") + ":1"},
        {"cim-check", "-m", model_, file("0.npy")}}) {
    const Outcome outcome = run(words);
    EXPECT_EQ(outcome.status, 0) << outcome.err;
  }
}

}  // namespace
}  // namespace qama::test
