// `qama explain`: masks, energies and flips are those of the layer that the engine solved, computed
// here another way: from the recorded factors, every flipped state on its own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "hal/lower/decode.h"
#include "runtime/cli/recorder.h"
#include "runtime/engine/preprocess.h"
#include "runtime/engine/session.h"
#include "tests/runtime/cli/cli_files.h"
#include "tests/runtime/cli/process.h"

namespace qama::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;
using weights::AttentionKind;

/// The problems of a run, the spins that were found and the energies of the tokens, as explain must
/// report them.
class Both final : public runtime::ProblemSink, public runtime::Recorder {
 public:
  void problem(const runtime::LayerProblem& layer) override {
    problems.push_back(cli::to_factors(layer, "layer"));
  }
  void tensor(std::string_view, std::int32_t, std::span<const float>) override {}
  void energies(std::string_view, std::int32_t, std::span<const double> values) override {
    of_tokens.emplace_back(values.begin(), values.end());
  }
  void spins(std::string_view, std::int32_t, std::span<const std::uint8_t> values) override {
    found.emplace_back(values.begin(), values.end());
  }
  std::vector<hal::QamaLayer> problems;
  std::vector<std::vector<double>> of_tokens;
  std::vector<std::vector<std::uint8_t>> found;
};

void expect_same(const json& report, const Both& both, std::size_t all_tokens) {
  ASSERT_EQ(report["masks"].size(), both.problems.size());
  for (std::size_t layer = 0; layer < both.problems.size(); ++layer) {
    SCOPED_TRACE(layer);
    const hal::QamaLayer& problem = both.problems[layer];
    const auto heads = static_cast<std::size_t>(problem.heads);
    const auto tokens = static_cast<std::size_t>(problem.tokens);
    const auto words = static_cast<std::size_t>(hal::words_per_head(problem.tokens));
    std::vector<std::uint64_t> spins(words * heads);
    ASSERT_EQ(report["masks"][layer].size(), heads);
    for (std::size_t t = 0; t < heads; ++t) {
      ASSERT_EQ(report["masks"][layer][t].size(), tokens);
      for (std::size_t i = 0; i < tokens; ++i) {
        const std::uint64_t bit = both.found[layer][t * all_tokens + i];
        EXPECT_EQ(report["masks"][layer][t][i], bit);
        spins[t * words + i / 64] |= bit << (i % 64);
      }
    }
    const double energy = hal::energy_of(problem, spins);
    const double small = 1e-4 * std::fabs(energy);
    EXPECT_NEAR(report["energy"][layer].get<double>(), energy, small);
    hal::QamaLayer free = problem;
    free.lambda = 0;
    EXPECT_NEAR(report["energy_without_penalty"][layer].get<double>(), hal::energy_of(free, spins),
                small);
    for (std::size_t t = 0; t < heads; ++t) {
      for (std::size_t i = 0; i < tokens; ++i) {
        spins[t * words + i / 64] ^= std::uint64_t{1} << (i % 64);
        EXPECT_NEAR(report["flip_energies"][layer][t][i].get<double>(),
                    hal::energy_of(problem, spins), small)
            << t << ' ' << i;
        spins[t * words + i / 64] ^= std::uint64_t{1} << (i % 64);
        EXPECT_EQ(report["token_energies"][layer][t][i], both.of_tokens[layer][t * all_tokens + i]);
      }
    }
    // The answer was descended: no single flip makes it better, but for the rounding to integers.
    EXPECT_GE(report["least_flip_energy"][layer].get<double>(), energy - 2e-3 * std::fabs(energy));
  }
}

/// Runs a picture, number `index` of its set, while `seen` looks on.
template <typename Seen>
void watch(const std::string& path, std::span<const std::uint8_t> pixels, std::uint64_t index,
           Seen& seen, std::vector<float>& logits) {
  ASSERT_OK_AND_ASSIGN(const auto model, runtime::Model::open(path));
  ASSERT_OK_AND_ASSIGN(const auto session,
                       runtime::Session::create(model, runtime::SessionOptions{}));
  runtime::RunOptions options;
  options.first_sample = index;
  options.hooks.problems = &seen;
  options.hooks.recorder = &seen;
  ASSERT_OK(session->run_u8(pixels, 1, logits, options));
}

TEST(CliExplain, AnImage) {
  const TempDir directory;
  for (const AttentionKind kind : {AttentionKind::qama, AttentionKind::qama_bilinear}) {
    SCOPED_TRACE(name_of(kind));
    const std::string path = put_model(directory, "m", small_vit(kind));
    const Bytes pixels = put_mnist(directory, 2);
    const json report = run_qama({"explain", "-q", "--json", "-m", path,
                                  directory.file("t10k-images-idx3-ubyte.gz") + ":1"})
                            .json();
    Both both;
    std::vector<float> logits(10);
    watch(path, std::span(pixels).subspan(784, 784), 1, both, logits);
    expect_same(report, both, 49);
    EXPECT_EQ(report["class"], std::max_element(logits.begin(), logits.end()) - logits.begin());
  }
}

TEST(CliExplain, ATextShorterThanTheModel) {
  const TempDir directory;
  const std::string path = put_model(directory, "m", small_text(AttentionKind::qama));
  const std::string words = "what a film it is";
  const json report = run_qama({"explain", "-q", "--json", "-m", path, "--text", words}).json();
  ASSERT_OK_AND_ASSIGN(const auto model, runtime::Model::open(path));
  ASSERT_OK_AND_ASSIGN(const auto tokeniser, runtime::Tokeniser::create(model));
  std::vector<std::int32_t> tokens(40);
  ASSERT_OK_AND_ASSIGN(const auto encoded, tokeniser.encode(words, tokens));
  const std::int32_t length = encoded.length;
  ASSERT_OK_AND_ASSIGN(const auto session,
                       runtime::Session::create(model, runtime::SessionOptions{}));
  Both both;
  runtime::RunOptions options;
  options.hooks.problems = &both;
  options.hooks.recorder = &both;
  std::vector<float> logits(2);
  ASSERT_OK(session->run_tokens(tokens, {&length, 1}, logits, options));
  ASSERT_EQ(both.problems.at(0).tokens, length);
  expect_same(report, both, 40);
}

TEST(CliExplain, ATextShowsItsWords) {
  const TempDir directory;
  const std::string path = put_model(directory, "m", small_text(AttentionKind::qama));
  const std::vector<std::string> arguments = {"explain", "-q",     "-m",
                                              path,      "--text", "W10, w11 <br>\x1B zebra!"};
  std::vector<std::string> with_json = arguments;
  with_json.push_back("--json");
  const json report = run_qama(with_json).json();
  const std::vector<std::string> words = {"W10", ",", "w11", "\x1B", "zebra", "!"};
  ASSERT_EQ(report["words"], json(words));
  EXPECT_EQ(report["known"], json({true, false, true, false, false, false}));
  const std::string plain = run_qama(arguments).out;
  for (std::size_t layer = 0; layer < report["masks"].size(); ++layer) {
    for (std::size_t t = 0; t < report["masks"][layer].size(); ++t) {
      std::vector<std::string> selected;
      std::string line;
      for (std::size_t i = 0; i < words.size(); ++i) {
        if (report["masks"][layer][t][i] == 0) continue;
        selected.push_back(words[i]);
        line += " " + (words[i] == "\x1B" ? "\\x1b" : words[i]);
      }
      EXPECT_EQ(report["selected_words"][layer][t], json(selected));
      EXPECT_THAT(plain, HasSubstr("head " + std::to_string(t) + " selected " +
                                   std::to_string(selected.size()) + " of 6:" + line + "\n"));
    }
  }
}

/// Keeps the integers of every layer, the spins and the token energies.
class Integers final : public runtime::ProblemSink, public runtime::Recorder {
 public:
  void problem(const runtime::LayerProblem& layer) override {
    EXPECT_TRUE(layer.factors.empty());
    problems.problem(layer);
  }
  void tensor(std::string_view, std::int32_t, std::span<const float>) override {}
  void energies(std::string_view, std::int32_t, std::span<const double> values) override {
    of_tokens.emplace_back(values.begin(), values.end());
  }
  void spins(std::string_view, std::int32_t, std::span<const std::uint8_t> values) override {
    found.emplace_back(values.begin(), values.end());
  }
  cli::LayerCollector problems{2, 1};
  std::vector<std::vector<std::uint8_t>> found;
  std::vector<std::vector<double>> of_tokens;
};

// A token's selection is a number of three bits there: levels of tokens, a flip for every bit.
TEST(CliExplain, FirstVersionQama) {
  const TempDir directory;
  const std::string path = put_model(directory, "m", small_vit(AttentionKind::qama_v1));
  const Bytes pixels = put_mnist(directory, 1);
  const std::string html = directory.file("page.html");
  const json report = run_qama({"explain", "-q", "--json", "-m", path,
                                directory.file("t10k-images-idx3-ubyte.gz") + ":0", "--html", html})
                          .json();
  Integers seen;
  std::vector<float> logits(10);
  watch(path, pixels, 0, seen, logits);
  EXPECT_EQ(report["bits"], 3);
  ASSERT_EQ(report["masks"].size(), 2U);
  for (std::size_t layer = 0; layer < 2; ++layer) {
    SCOPED_TRACE(layer);
    ASSERT_EQ(seen.problems.layers[layer].size(), 1U);
    const hal::DenseView& problem = seen.problems.layers[layer][0].problem;
    const auto words = static_cast<std::size_t>(hal::words_per_head(49 * 3));
    std::vector<std::uint64_t> spins(4 * words);
    ASSERT_EQ(report["masks"][layer].size(), 4U);
    for (std::size_t t = 0; t < 4; ++t) {
      ASSERT_EQ(report["masks"][layer][t].size(), 49U);
      for (std::size_t i = 0; i < 49; ++i) {
        int level = 0;
        for (std::size_t k = 0; k < 3; ++k) {
          const std::size_t spin = i * 3 + k;
          const std::uint64_t bit = seen.found[layer][t * 147 + spin];
          level |= static_cast<int>(bit) << k;
          spins[t * words + spin / 64] |= bit << (spin % 64);
        }
        EXPECT_EQ(report["masks"][layer][t][i], level);
        EXPECT_EQ(report["token_energies"][layer][t][i], seen.of_tokens[layer][t * 49 + i]);
      }
    }
    const auto real_energy = [&] {
      return static_cast<double>(hal::energy_of(problem, spins)) / problem.scale;
    };
    const double energy = real_energy();
    const double small = 1e-9 * std::fabs(energy);
    EXPECT_NEAR(report["energy"][layer].get<double>(), energy, small);
    hal::DenseView free = problem;
    free.penalty = 0;
    EXPECT_NEAR(report["energy_without_penalty"][layer].get<double>(),
                static_cast<double>(hal::energy_of(free, spins)) / problem.scale, small);
    for (std::size_t t = 0; t < 4; ++t) {
      ASSERT_EQ(report["flip_energies"][layer][t].size(), 147U);
      for (std::size_t spin = 0; spin < 147; ++spin) {
        std::uint64_t& word = spins[t * words + spin / 64];
        word ^= std::uint64_t{1} << (spin % 64);
        EXPECT_NEAR(report["flip_energies"][layer][t][spin].get<double>(), real_energy(), small);
        word ^= std::uint64_t{1} << (spin % 64);
      }
    }
    // Descended in the integers that are reported: no flip makes it better.
    EXPECT_GE(report["least_flip_energy"][layer].get<double>(), energy - small);
  }
  const auto bytes = read_file(html);
  const std::string page(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  for (const char* figure : {"Fig. 3", "Fig. 4", "Fig. 5", "bit of a token"})
    EXPECT_THAT(page, HasSubstr(figure));
}

TEST(CliExplain, PageHasTheFiguresAndStandsAlone) {
  const TempDir directory;
  const std::string path = put_model(directory, "m", small_vit(AttentionKind::qama));
  put_mnist(directory, 1);
  const std::string html = directory.file("page.html");
  const Outcome outcome =
      run_qama({"explain", "-q", "-m", path, directory.file("t10k-images-idx3-ubyte.gz") + ":0",
                "--html", html});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("head 3"));
  const auto bytes = read_file(html);
  const std::string page(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  for (const char* figure : {"Fig. 3", "Fig. 4", "Fig. 5", "<polygon"})
    EXPECT_THAT(page, HasSubstr(figure));
  EXPECT_THAT(page, Not(HasSubstr("src=")));
}

TEST(CliExplain, Refusals) {
  const TempDir directory;
  const std::string softmax = put_model(directory, "s", small_vit(AttentionKind::softmax));
  const std::string qama = put_model(directory, "q", small_vit(AttentionKind::qama));
  put_mnist(directory, 1);
  expect_error(run_qama({"explain", "-q", "-m", softmax,
                         directory.file("t10k-images-idx3-ubyte.gz") + ":0"}),
               "MODEL_WRONG_KIND");
  expect_error(run_qama({"explain", "-q", "-m", qama, directory.file("nothing.png")}), "NOT_FOUND");
  expect_error(run_qama({"explain", "-q", "-m", qama, "--text", "words"}), "MODEL_WRONG_KIND");
  EXPECT_EQ(run_qama({"explain", "-m", qama}).status, 2);
}

}  // namespace
}  // namespace qama::test
