// `qama classify`: the same picture gives the same answer whatever it comes in, and every bad input
// ends in one sentence.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

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

// A softmax model needs no device. One that does not exist is an error all the same.
TEST_F(CliClassify, ADeviceThatNobodyNeedsMustBeOne) {
  const std::string picture = put("a.png", png_file(28, 28, 1, pixels_));
  for (const std::string device : {"nonsense", "cpu:abacus"}) {
    const Outcome outcome = run_qama({"classify", "-m", softmax_, picture, "--device", device});
    EXPECT_EQ(outcome.status, 1);
    EXPECT_THAT(outcome.err, testing::HasSubstr("DEVICE_UNKNOWN"));
  }
  EXPECT_EQ(run_qama({"classify", "-m", softmax_, picture, "--device", "cim://127.0.0.1:1"}).status,
            0);
}

// The CPU solved what the device cannot hold, without a word.
TEST_F(CliClassify, ADeviceThatIsTooSmallIsNamed) {
  const std::string picture = put("a.png", png_file(28, 28, 1, pixels_));
  const std::vector<std::string> words = {
      "classify", "-m",       qama_,
      picture,    "--device", "csv:" + directory_.file("machine") + "?spins=3"};
  const Outcome outcome = run_qama(words);
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.err, testing::ContainsRegex("warning: device 'csv:.*spins=3' does not take "
                                                  "this model's layers: .*the CPU solves them"));
  std::vector<std::string> never = words;
  never.insert(never.end(), {"--fallback", "never"});
  const Outcome refused = run_qama(never);
  EXPECT_EQ(refused.status, 1);
  EXPECT_THAT(refused.err, testing::HasSubstr("PROBLEM_TOO_LARGE"));
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

TEST_F(CliClassify, TextsSayWhatTheModelDidNotRead) {
  std::string long_text;
  for (int i = 0; i < 50; ++i) long_text += "w10 ";
  const Outcome outcome =
      run_qama({"classify", "--json", "-m", text_, "--text", "w10 w11 zebra", "--text", "",
                "--text", "\xF0\x9F\x98\x8D zebra", "--text", long_text});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  auto lines = outcome.json_lines();
  ASSERT_EQ(lines.size(), 4U);
  EXPECT_EQ(lines[0]["words"], 3);
  EXPECT_EQ(lines[0]["unknown_words"], 1);
  EXPECT_EQ(lines[0]["truncated"], false);
  EXPECT_FALSE(lines[0].contains("notes"));
  EXPECT_EQ(lines[1]["words"], 0);
  EXPECT_EQ(lines[1]["notes"][0], "text '--text' has no word");
  EXPECT_EQ(lines[2]["unknown_words"], 2);
  EXPECT_EQ(lines[2]["notes"][0],
            "text '--text': none of its 2 words is in the model's vocabulary");
  EXPECT_EQ(lines[3]["words"], 50);
  EXPECT_EQ(lines[3]["truncated"], true);
  EXPECT_THAT(lines[3]["notes"][0].get<std::string>(), HasSubstr("only 40 of its 50 words"));
  // A person gets the same beside the answer; an image model knows nothing of words.
  const Outcome plain = run_qama({"classify", "-m", text_, "--text", ""});
  EXPECT_EQ(plain.status, 0);
  EXPECT_THAT(plain.err, HasSubstr("note: text '--text' has no word"));
  const std::string picture = put("a.png", png_file(28, 28, 1, pixels_));
  EXPECT_FALSE(
      run_qama({"classify", "-q", "--json", "-m", qama_, picture}).json().contains("words"));
}

TEST_F(CliClassify, StrictRefusesATextThatSaysNothing) {
  expect_error(run_qama({"classify", "-q", "--strict", "-m", text_, "--text", " \xC2\xA0"}),
               "TEXT_EMPTY");
  expect_error(run_qama({"classify", "-q", "--strict", "-m", text_, "--text", "zebra"}),
               "TEXT_EMPTY");
  EXPECT_EQ(run_qama({"classify", "-q", "--strict", "-m", text_, "--text", "w10 zebra"}).status, 0);
}

TEST_F(CliClassify, ManyTexts) {
  const std::vector<std::string> texts = {"w10 w11", "w12", "", "w13 w14"};
  std::vector<std::string> arguments = {"classify", "-q", "--json", "-m", text_};
  for (const std::string& text : texts) arguments.insert(arguments.end(), {"--text", text});
  const auto expected = run_qama(arguments).json_lines();
  ASSERT_EQ(expected.size(), texts.size());
  const auto expect_answers = [&](const std::vector<std::string>& more, const std::string& name,
                                  const RunSetup& setup = {}) {
    SCOPED_TRACE(name);
    std::vector<std::string> all = {"classify", "-q", "--json", "-m", text_};
    all.insert(all.end(), more.begin(), more.end());
    const Outcome outcome = run_qama(all, setup);
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    const auto lines = outcome.json_lines();
    ASSERT_EQ(lines.size(), texts.size());
    for (std::size_t i = 0; i < lines.size(); ++i) {
      EXPECT_EQ(lines[i]["top"], expected[i]["top"]);
      EXPECT_THAT(lines[i]["input"].get<std::string>(), HasSubstr(name));
    }
    return;
  };
  const std::string many = "\xEF\xBB\xBFw10 w11\r\nw12\r\n\r\nw13 w14\r\n";
  expect_answers({"--lines", put("many", Bytes(many.begin(), many.end()))}, "many:");
  RunSetup setup;
  setup.input = many;
  expect_answers({"--lines", "-"}, "-:", setup);
  const std::string csv = "id,review\n1,w10 w11\n2,\"w12\"\n3,\n4,\"w13\nw14\"\n";
  const std::string table = put("reviews.csv", Bytes(csv.begin(), csv.end()));
  expect_answers({table, "--column", "review"}, "reviews.csv:");
  setup.input = csv;
  expect_answers({"-", "--column", "review"}, "-:", setup);
  std::filesystem::create_directory(directory_.file("texts"));
  for (std::size_t i = 0; i < texts.size(); ++i) {
    put_file(directory_.file("texts/" + std::to_string(i) + ".txt"), texts[i]);
  }
  expect_answers({directory_.file("texts")}, ".txt");

  refused(text_, table, "USAGE");  // which column?
  expect_error(run_qama({"classify", "-q", "-m", text_, table, "--column", "text"}),
               "DATASET_BAD_FORMAT");
  refused(text_, directory_.path().string() + "/texts/..", "DATASET_EMPTY");
  expect_error(run_qama({"classify", "-q", "-m", text_, "--lines", directory_.file("absent")}),
               "NOT_FOUND");
  expect_error(run_qama({"classify", "-q", "-m", text_, "--lines", "-"}), "DATASET_EMPTY");
  expect_error(run_qama({"classify", "-q", "-m", qama_, table, "--column", "review"}),
               "MODEL_WRONG_KIND");
}

TEST_F(CliClassify, ALineThatIsNoTextIsAnErrorAmongAnswers) {
  RunSetup setup;
  setup.input = "w10\ncaf\xE9\nw11\n";
  const Outcome outcome =
      run_qama({"classify", "-q", "--json", "-m", text_, "--lines", "-"}, setup);
  EXPECT_EQ(outcome.status, 1);
  EXPECT_EQ(outcome.json_lines().size(), 2U);
  EXPECT_THAT(outcome.err, HasSubstr("TEXT_BAD_ENCODING: text '-:2': byte 3"));
}

/// The faults that were found on the shipped models: the answer is that of the ASCII text.
TEST_F(CliClassify, ShippedTextModelsReadWhatPeoplePaste) {
  const std::string imdb = source_path("weights/models/imdb-qama.safetensors").string();
  const std::vector<std::string> same = {
      "Wonderful film.",
      "\xEF\xBB\xBFWonderful film.",
      "Wonderful\xC2\xA0"
      "film.",
      "Wonderful\xE2\x80\x8B"
      "film.",
      "<p>Wonderful&nbsp;<i>film</i>.</p>",
  };
  std::vector<std::string> arguments = {"classify", "-q", "--json", "-m", imdb};
  for (const std::string& text : same) arguments.insert(arguments.end(), {"--text", text});
  const auto lines = run_qama(arguments).json_lines();
  ASSERT_EQ(lines.size(), same.size());
  EXPECT_EQ(lines[0]["label"], "positive");
  for (const auto& line : lines) EXPECT_EQ(line["top"], lines[0]["top"]) << line["input"];
}

TEST_F(CliClassify, AFileWithAByteOrderMarkOfTheReports) {
  QAMA_SHARED_OR_SKIP(file, "reports/inputs/text/bom.txt");
  const std::string imdb = source_path("weights/models/imdb-qama.safetensors").string();
  EXPECT_EQ(run_qama({"classify", "-q", "--json", "-m", imdb, file}).json()["label"], "positive");
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
  refused(text_, put("utf16.txt", {0xFF, 0xFE, 'c', 0, 'a', 0}), "TEXT_BAD_ENCODING");
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
