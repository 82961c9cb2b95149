// `qama classify`: the same picture gives the same answer whatever it comes in, and every bad input
// ends in one sentence.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/runtime/cli/cli_files.h"
#include "tests/runtime/cli/process.h"

namespace qama::test {
namespace {

using testing::HasSubstr;
using weights::AttentionKind;

class CliClassify : public testing::Test {
 protected:
  void SetUp() override {
    qama_ = put_model(directory_, "qama.safetensors", small_vit(AttentionKind::qama));
    softmax_ = put_model(directory_, "softmax.safetensors", small_vit(AttentionKind::softmax));
    text_ = put_model(directory_, "text.safetensors", small_text(AttentionKind::qama));
    pixels_ = sample_pixels(28, 28, 1);
  }
  std::string put(const std::string& name, const Bytes& bytes) {
    put_file(directory_.file(name), bytes);
    return directory_.file(name);
  }
  static std::string as_text(const Bytes& bytes) { return {bytes.begin(), bytes.end()}; }
  /// One input that must fail.
  void refused(const std::string& model, const std::string& input, const std::string& name,
               const RunSetup& setup = {}) {
    SCOPED_TRACE(input);
    expect_error(run_qama({"classify", "-q", "-m", model, input}, setup), name);
  }

  TempDir directory_;
  std::string qama_, softmax_, text_;
  Bytes pixels_;
};

TEST_F(CliClassify, SamePictureSameAnswerInEveryFormat) {
  Bytes pgm = {'P', '5', '\n', '2', '8', ' ', '2', '8', '\n', '2', '5', '5', '\n'};
  pgm.insert(pgm.end(), pixels_.begin(), pixels_.end());
  const Bytes idx = idx_file({1, 28, 28}, pixels_);
  const Bytes png = png_file(28, 28, 1, pixels_);
  Bytes rgb;
  for (const std::uint8_t pixel : pixels_) rgb.insert(rgb.end(), 3, pixel);
  RunSetup setup;
  setup.input = as_text(png);
  const Outcome outcome =
      run_qama({"classify", "--json", "-m", qama_, "--top", "10", put("a.png", png),
                put("a.pgm", pgm), put("a.idx", idx) + ":0", put("a.idx.gz", gzipped(idx)) + ":0",
                put("rgb.png", png_file(28, 28, 3, rgb)), put("no-extension", png), "-"},
               setup);
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("seed 1"));
  EXPECT_EQ(outcome.err.find('\r'), std::string::npos);
  auto lines = outcome.json_lines();
  ASSERT_EQ(lines.size(), 7U);
  for (auto& line : lines) {
    EXPECT_EQ(line["top"], lines[0]["top"]) << line["input"];
    EXPECT_EQ(line["class"], lines[0]["class"]);
    EXPECT_EQ(line["label"], std::to_string(line["class"].get<int>()));
    EXPECT_GT(line["latency_us"], 0);
    EXPECT_THAT(line["solved_by"].get<std::string>(), testing::StartsWith("cpu:"));
    double sum = 0;
    for (const auto& entry : line["top"]) sum += entry["probability"].get<double>();
    EXPECT_NEAR(sum, 1, 1e-9);
    EXPECT_EQ(line["probability"], line["top"][0]["probability"]);
  }
  EXPECT_EQ(lines[6]["input"], "-");
}

TEST_F(CliClassify, SizesAndColoursAreFitted) {
  const Outcome outcome =
      run_qama({"classify", "--json", "-m", softmax_,
                put("big.png", png_file(100, 60, 3, sample_pixels(100, 60, 3))),
                put("photo.jpg", jpeg_file(57, 91, 3, sample_pixels(57, 91, 3)))});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  const auto lines = outcome.json_lines();
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0]["solved_by"], "");  // softmax: nothing to solve
}

TEST_F(CliClassify, SeedDecidesAndIsRepeatable) {
  const std::string picture = put("a.png", png_file(28, 28, 1, pixels_));
  const auto top = [&](const std::string& seed) {
    auto line = run_qama({"classify", "--json", "-m", qama_, picture, "--seed", seed, "--sweeps",
                          "1", "--top", "10"})
                    .json();
    EXPECT_EQ(line["seed"], std::stoi(seed));
    return line["top"].dump();
  };
  EXPECT_EQ(top("5"), top("5"));
  bool any_other = false;
  for (int seed = 6; seed < 16 && !any_other; ++seed)
    any_other = top(std::to_string(seed)) != top("5");
  EXPECT_TRUE(any_other);
}

TEST_F(CliClassify, PlainOutputIsALineAnInput) {
  const std::string picture = put("a.png", png_file(28, 28, 1, pixels_));
  const Outcome outcome = run_qama({"classify", "-q", "-m", qama_, picture, picture});
  EXPECT_EQ(outcome.status, 0);
  EXPECT_EQ(outcome.err, "");
  EXPECT_EQ(std::count(outcome.out.begin(), outcome.out.end(), '\n'), 2);
  EXPECT_THAT(outcome.out, HasSubstr("a.png: "));
  EXPECT_THAT(outcome.out, HasSubstr(" %"));
}

TEST_F(CliClassify, Texts) {
  const std::string file = put("review.txt", {'w', '1', '0', ' ', 'w', '1', '1', '\n'});
  RunSetup setup;
  setup.input = "w10 w11";
  const Outcome outcome = run_qama(
      {"classify", "--json", "-m", text_, file, "-", "--text", "w10 w11", "--text", ""}, setup);
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  auto lines = outcome.json_lines();
  ASSERT_EQ(lines.size(), 4U);
  EXPECT_EQ(lines[0]["top"], lines[1]["top"]);
  EXPECT_EQ(lines[0]["top"], lines[2]["top"]);
}

TEST_F(CliClassify, BadInputsEndInOneSentence) {
  const Bytes idx = idx_file({2, 28, 28}, sample_pixels(28, 56, 1));
  refused(qama_, put("note.png", {'h', 'e', 'l', 'l', 'o', '\n'}), "IMAGE_BAD_FORMAT");
  refused(qama_, put("empty.png", {}), "IMAGE_BAD_FORMAT");
  Bytes cut = png_file(28, 28, 1, pixels_);
  cut.resize(cut.size() / 2);
  refused(qama_, put("cut.png", cut), "IMAGE_BAD_FORMAT");
  refused(qama_, directory_.file("absent.png"), "NOT_FOUND");
  refused(qama_, directory_.path().string(), "IO_ERROR");
  refused(qama_, put("two.idx", idx) + ":2", "INDEX_OUT_OF_RANGE");
  refused(qama_, put("two.idx", idx) + ":-1", "INDEX_OUT_OF_RANGE");
  refused(qama_, put("two.idx", idx) + ":99999999999999999999", "INDEX_OUT_OF_RANGE");
  refused(qama_, put("two.idx", idx), "IMAGE_BAD_FORMAT");  // no :INDEX
  refused(qama_, put("none.idx", {}) + ":0", "DATASET_EMPTY");
  refused(qama_, put("zero.idx", idx_file({0, 28, 28}, {})) + ":0", "DATASET_EMPTY");
  refused(qama_, put("labels.idx", idx_file({3}, {1, 2, 3})) + ":0", "DATASET_BAD_FORMAT");
  Bytes short_idx = idx;
  short_idx.pop_back();
  refused(qama_, put("short.idx", short_idx) + ":0", "DATASET_TRUNCATED");
  refused(qama_,
          put("large.pgm", {'P', '5', ' ', '9', '9', '9', '9', '9', ' ', '1', ' ', '9', '\n'}),
          "IMAGE_TOO_LARGE");
  refused(qama_, "-", "IMAGE_BAD_FORMAT");  // standard input is empty
}

TEST_F(CliClassify, ModelsOfTheWrongKind) {
  refused(text_, put("one.idx", idx_file({1, 28, 28}, pixels_)) + ":0", "MODEL_WRONG_KIND");
  refused(text_, put("a.png", png_file(28, 28, 1, pixels_)), "TEXT_BAD_ENCODING");
  refused(text_, put("latin1.txt", {'c', 'a', 'f', 0xE9}), "TEXT_BAD_ENCODING");
  expect_error(run_qama({"classify", "-q", "-m", qama_, "--text", "hello"}), "MODEL_WRONG_KIND");
}

TEST_F(CliClassify, DevicesAndModelsThatAreNot) {
  const std::string picture = put("a.png", png_file(28, 28, 1, pixels_));
  expect_error(run_qama({"classify", "-q", "-m", qama_, picture, "--device", "gpu:"}),
               "DEVICE_UNKNOWN");
  expect_error(run_qama({"classify", "-q", "-m", directory_.file("absent"), picture}), "NOT_FOUND");
  expect_error(run_qama({"classify", "-q", "-m", picture, picture}), "MODEL_HEADER_TOO_LARGE");
}

TEST_F(CliClassify, GoodInputsAreAnsweredBesideABadOne) {
  const std::string good = put("a.png", png_file(28, 28, 1, pixels_));
  const std::string bad = put("bad.png", {'x'});
  const Outcome outcome = run_qama({"classify", "-q", "--json", "-m", qama_, good, bad, good});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_EQ(outcome.json_lines().size(), 2U);
  EXPECT_THAT(outcome.err, HasSubstr("qama: error: IMAGE_BAD_FORMAT: image '" + bad + "'"));
}

TEST_F(CliClassify, NumbersDoNotDependOnTheLocale) {
  const std::string picture = put("a.png", png_file(28, 28, 1, pixels_));
  RunSetup german;
  german.environment = {"LC_ALL=de_DE.UTF-8", "LANG=de_DE.UTF-8"};
  const auto line = run_qama({"classify", "-q", "--json", "-m", qama_, picture}, german).json();
  EXPECT_TRUE(line["probability"].is_number_float());
}

}  // namespace
}  // namespace qama::test
