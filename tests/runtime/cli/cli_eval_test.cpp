// `qama eval`: its counts add up, do not depend on threads or shards, and its answers are
// classify's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/runtime/cli/cli_files.h"
#include "tests/runtime/cli/process.h"

namespace qama::test {
namespace {

using testing::HasSubstr;
using weights::AttentionKind;

constexpr int kCount = 23;

class CliEval : public testing::Test {
 protected:
  void SetUp() override {
    qama_ = put_model(directory_, "small qama.safetensors", small_vit(AttentionKind::qama));
    text_ = put_model(directory_, "text.safetensors", small_text(AttentionKind::qama));
    put_mnist(directory_, kCount);
  }
  Outcome eval(const std::vector<std::string>& more, const std::string& model = "") {
    std::vector<std::string> arguments = {
        "eval",  "-q",     "--json",         "-m", model.empty() ? qama_ : model, "--dataset",
        "mnist", "--data", directory_.path()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_qama(arguments);
  }

  TempDir directory_;
  std::string qama_, text_;
};

TEST_F(CliEval, FieldsAndSums) {
  const Outcome outcome = eval({});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  auto result = outcome.json();
  EXPECT_EQ(result["dataset"], "mnist");
  EXPECT_EQ(result["split"], "test");
  EXPECT_EQ(result["n"], kCount);
  EXPECT_EQ(result["model"], qama_);
  EXPECT_THAT(result["device"].get<std::string>(), testing::StartsWith("cpu:"));
  EXPECT_EQ(result["seed"], 1);
  EXPECT_EQ(result["checksum"].get<std::string>().size(), 64U);
  EXPECT_GT(result["images_per_s"], 0);
  EXPECT_GT(result["mean_label_probability"], 0);
  EXPECT_LE(result["latency_us"]["p50"], result["latency_us"]["p90"]);
  EXPECT_LE(result["latency_us"]["p90"], result["latency_us"]["p99"]);
  int sum = 0;
  int diagonal = 0;
  for (std::size_t row = 0; row < 10; ++row) {
    for (std::size_t column = 0; column < 10; ++column)
      sum += result["confusion"][row][column].get<int>();
    diagonal += result["confusion"][row][row].get<int>();
  }
  EXPECT_EQ(sum, kCount);
  EXPECT_EQ(result["correct"], diagonal);
  EXPECT_DOUBLE_EQ(result["accuracy"], diagonal / static_cast<double>(kCount));
  int solves = 0;
  for (const auto& [name, count] : result["solved_by"].items()) solves += count.get<int>();
  EXPECT_EQ(solves, 2 * kCount);  // two layers
}

TEST_F(CliEval, ThreadsChangeNothingButTime) {
  const auto one = eval({}).json();
  const auto three = eval({"--threads", "3"}).json();
  EXPECT_EQ(one["checksum"], three["checksum"]);
  EXPECT_EQ(one["confusion"], three["confusion"]);
  EXPECT_EQ(one["mean_label_probability"], three["mean_label_probability"]);
}

TEST_F(CliEval, ShardsAddUpToTheWhole) {
  auto whole = eval({}).json();
  for (const std::vector<std::string>& parts :
       {std::vector<std::string>{"0/3", "1/3", "2/3"}, {"1/3", "2/3", "3/3"}}) {
    int samples = 0;
    int correct = 0;
    for (const std::string& part : parts) {
      auto shard = eval({"--shard", part}).json();
      samples += shard["n"].get<int>();
      correct += shard["correct"].get<int>();
    }
    EXPECT_EQ(samples, kCount);
    EXPECT_EQ(correct, whole["correct"]);
  }
  expect_error(eval({"--limit", "2", "--shard", "3/5"}), "DATASET_EMPTY");
}

TEST_F(CliEval, OwnPicturesAreClassifysAnswers) {
  // Of another size: they are made to fit, as classify does.
  int right = 0;
  std::string table = "file,label\n";
  for (int i = 0; i < 6; ++i) {
    const std::string folder = directory_.file("own/" + std::to_string(i % 3));
    std::filesystem::create_directories(folder);
    const std::string file = folder + "/" + std::to_string(i) + ".png";
    put_file(file, png_file(20 + i, 31, 3, sample_pixels(20 + i, 31, 3)));
    table += file + "," + std::to_string(i % 3) + "\n";
    const std::string softmax = directory_.file("softmax");
    if (i == 0) put_model(directory_, "softmax", small_vit(AttentionKind::softmax));
    right += run_qama({"classify", "-q", "--json", "-m", softmax, file}).json()["class"] == i % 3;
  }
  put_file(directory_.file("own.csv"), table);
  for (const std::string& data : {directory_.file("own"), directory_.file("own.csv")}) {
    const auto result =
        run_qama({"eval", "-q", "--json", "-m", directory_.file("softmax"), "--data", data}).json();
    EXPECT_EQ(result["n"], 6);
    EXPECT_EQ(result["correct"], right);
    EXPECT_EQ(result["unread"], 0);
  }
}

TEST_F(CliEval, WhatCannotBeReadIsListedAndCounted) {
  for (const char* label : {"1", "7"}) {
    std::filesystem::create_directories(directory_.file(std::string("own/") + label));
  }
  put_file(directory_.file("own/1/a.png"), png_file(28, 28, 1, sample_pixels(28, 28, 1)));
  put_file(directory_.file("own/7/b.png"), "no picture");
  put_file(directory_.file("own/notes"), "no folder");
  const Outcome outcome =
      run_qama({"eval", "--json", "-m", qama_, "--data", directory_.file("own")});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_EQ(outcome.json()["n"], 1);
  EXPECT_EQ(outcome.json()["unread"], 1);
  EXPECT_THAT(outcome.err, HasSubstr("IMAGE_BAD_FORMAT: image '" + directory_.file("own/7/b.png")));
  EXPECT_THAT(outcome.err, HasSubstr("own/notes' is left out"));
  std::filesystem::remove(directory_.file("own/1/a.png"));
  EXPECT_THAT(run_qama({"eval", "-q", "-m", qama_, "--data", directory_.file("own")}).err,
              HasSubstr("DATASET_EMPTY: none of 1 samples can be read"));
  std::filesystem::create_directory(directory_.file("own/seven"));
  expect_error(run_qama({"eval", "-q", "-m", qama_, "--data", directory_.file("own")}),
               "DATASET_BAD_FORMAT");
}

TEST_F(CliEval, OwnTexts) {
  put_file(directory_.file("own.tsv"), "text\tlabel\nw10 w11\t0\nw12\t1\n\"w13 w14\"\t0\n");
  const auto result =
      run_qama({"eval", "-q", "--json", "-m", text_, "--data", directory_.file("own.tsv")}).json();
  EXPECT_EQ(result["n"], 3);
  EXPECT_EQ(result["dataset"], "table");
  const auto tuned = run_qama({"tune", "-q", "--json", "-m", text_, "--data",
                               directory_.file("own.tsv"), "--samples", "4"});
  EXPECT_EQ(tuned.status, 0) << tuned.err;
  EXPECT_EQ(tuned.json()["dataset"], directory_.file("own.tsv"));
}

TEST_F(CliEval, LimitTakesTheFirst) {
  auto result = eval({"--limit", "5"}).json();
  EXPECT_EQ(result["n"], 5);
  EXPECT_EQ(eval({"--limit", "1000"}).json()["n"], kCount);
}

TEST_F(CliEval, AnswersAreThoseOfClassify) {
  auto result = eval({"--limit", "6"}).json();
  std::vector<std::string> arguments = {"classify", "-q", "--json", "-m", qama_};
  for (int i = 0; i < 6; ++i) {
    arguments.push_back(directory_.file("t10k-images-idx3-ubyte.gz") + ":" + std::to_string(i));
  }
  const auto lines = run_qama(arguments).json_lines();
  ASSERT_EQ(lines.size(), 6U);
  std::vector<std::vector<int>> confusion(10, std::vector<int>(10));
  for (int i = 0; i < 6; ++i) ++confusion[i * 7 % 10][lines[i]["class"].get<int>()];
  EXPECT_EQ(result["confusion"], nlohmann::json(confusion));
}

TEST_F(CliEval, AnswersAreWrittenALineASample) {
  const std::string path = directory_.file("answers.tsv");
  auto result = eval({"--limit", "7", "--shard", "1/2", "--answers", path}).json();
  std::ifstream file(path);
  int lines = 0;
  int correct = 0;
  int index = 0;
  int label = 0;
  int answer = 0;
  double probability = 0;
  for (; file >> index >> label >> answer >> probability; ++lines) {
    EXPECT_EQ(index, 2 * lines + 1);
    EXPECT_EQ(label, index * 7 % 10);
    EXPECT_GE(probability, 0.1);
    correct += label == answer ? 1 : 0;
  }
  EXPECT_EQ(lines, 3);
  EXPECT_EQ(result["n"], lines);
  EXPECT_EQ(result["correct"], correct);
  expect_error(eval({"--limit", "1", "--answers", directory_.file("no/where")}), "IO_ERROR");
}

TEST_F(CliEval, RecordedProblemsAreTheOnesThatWereSolved) {
  const std::string out = directory_.file("problems");
  const Outcome outcome = eval({"--record", out, "5", "--limit", "4"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(out)) files.push_back(entry.path());
  ASSERT_EQ(files.size(), 5U);
  for (const std::string& file : files) {
    EXPECT_EQ(file.find(' '), std::string::npos) << file;
    auto solved = run_qama({"solve", "-q", "--json", file}).json();
    EXPECT_EQ(solved["kind"], "qama");
    EXPECT_EQ(solved["n"], 4 * 49);
    EXPECT_EQ(solved["heads"], 4);
    EXPECT_LT(solved["energy"], 0);
  }
  EXPECT_EQ(outcome.json()["checksum"], eval({"--limit", "4"}).json()["checksum"]);
}

// First-version QAMA has no factors: its layers are quadratic forms of 4 heads x 49 tokens x 3
// bits.
TEST_F(CliEval, LayersOfFirstVersionQamaAreRecordedAsQuadraticForms) {
  const std::string model = put_model(directory_, "v1", small_vit(weights::AttentionKind::qama_v1));
  const std::string out = directory_.file("problems");
  EXPECT_EQ(run_qama({"eval", "-q", "-m", model, "--dataset", "mnist", "--data",
                      directory_.path().string(), "--limit", "1", "--record", out, "5"})
                .status,
            0);
  const auto explained = run_qama({"explain", "-q", "--json", "-m", model,
                                   directory_.file("t10k-images-idx3-ubyte.gz") + ":0"})
                             .json();
  for (std::size_t block = 0; block < 2; ++block) {
    const auto solved = run_qama({"solve", "-q", "--json", "--sweeps", "300", "--restarts", "8",
                                  out + "/v1_00000_0" + std::to_string(block) + ".qubo"})
                            .json();
    EXPECT_EQ(solved["kind"], "qubo");
    EXPECT_EQ(solved["n"], 4 * 49 * 3);
    // Found in the file by long annealing, found by the engine in the model: the same minimum.
    const double energy = explained["energy"][block].get<double>();
    EXPECT_NEAR(solved["energy"].get<double>(), energy, 1e-3 * std::fabs(energy));
  }
}

// A recorded layer is solved in the form that the model solves it in, on either side of the
// threshold.
TEST_F(CliEval, RecordedLayersAreSolvedInTheFormOfTheModel) {
  put_file(directory_.file("dev.tsv"), "sentence\tlabel\nw10 w11 w12 w13\t1\n");
  for (const auto& [dim_head, form] : {std::pair{64, "factors"}, {16, "dense"}}) {
    weights::Architecture architecture = small_text(AttentionKind::qama);
    architecture.dim_head = dim_head;
    const std::string name = "head" + std::to_string(dim_head);
    const std::string model = put_model(directory_, name, architecture);
    const std::string out = directory_.file(name + "-problems");
    ASSERT_EQ(run_qama({"eval", "-q", "-m", model, "--dataset", "sst2", "--data",
                        directory_.path().string(), "--record", out, "1"})
                  .status,
              0);
    const auto classified =
        run_qama({"classify", "-q", "--json", "-m", model, "--text", "w10 w11 w12 w13"}).json();
    const auto solved =
        run_qama({"solve", "-q", "--json", out + "/" + name + "_00000_00.txt"}).json();
    EXPECT_EQ(solved["form"], form);
    EXPECT_EQ(solved["kernel"], classified["solved_by"]);
  }
}

TEST_F(CliEval, PlainOutputHasNoProgressWhenPiped) {
  const Outcome outcome =
      run_qama({"eval", "-m", qama_, "--dataset", "mnist", "--data", directory_.path()});
  EXPECT_EQ(outcome.status, 0);
  EXPECT_THAT(outcome.out, HasSubstr("accuracy"));
  EXPECT_THAT(outcome.out, HasSubstr("confusion"));
  EXPECT_EQ(outcome.err.find('\r'), std::string::npos);
  EXPECT_THAT(outcome.err, HasSubstr("seed 1"));
}

TEST_F(CliEval, TextData) {
  put_file(directory_.file("dev.tsv"), "sentence\tlabel\nw10 w11 \t1\nw12\t0\nw13 !\t1\n");
  const Outcome outcome = run_qama({"eval", "-q", "--json", "-m", text_, "--dataset", "sst2",
                                    "--data", directory_.path(), "--split", "test"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(outcome.json()["n"], 3);
  EXPECT_EQ(outcome.json()["split"], "dev");
}

TEST_F(CliEval, WrongKindsAndBadData) {
  expect_error(eval({}, text_), "MODEL_WRONG_KIND");
  put_file(directory_.file("test_batch.bin"), Bytes(3073));
  put_file(directory_.file("dev.tsv"), "sentence\tlabel\ngood\t1\n");
  for (const char* dataset : {"cifar10", "sst2"}) {
    expect_error(
        run_qama({"eval", "-q", "-m", qama_, "--dataset", dataset, "--data", directory_.path()}),
        "MODEL_WRONG_KIND");
  }
  expect_error(
      run_qama({"eval", "-q", "-m", qama_, "--dataset", "imdb", "--data", directory_.path()}),
      "NOT_FOUND");
  expect_error(run_qama({"eval", "-q", "-m", qama_, "--dataset", "mnist", "--data",
                         directory_.file("absent")}),
               "NOT_FOUND");
  expect_error(run_qama({"eval", "-q", "-m", qama_, "--dataset", "mnist", "--split", "dev",
                         "--data", directory_.path()}),
               "INVALID_ARGUMENT");
  expect_error(eval({"--record", "/proc/none/x", "3"}), "IO_ERROR");
  put_file(directory_.file("t10k-labels-idx1-ubyte"), idx_file({2}, {1, 2}));
  expect_error(eval({}), "DATASET_BAD_FORMAT");
  put_file(directory_.file("t10k-labels-idx1-ubyte"), Bytes());
  expect_error(eval({}), "DATASET_EMPTY");
}

}  // namespace
}  // namespace qama::test
