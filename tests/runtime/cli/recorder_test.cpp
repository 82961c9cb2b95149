// Recorded layers are the layers that were solved: the energy that the engine reports for its spins
// is the energy of the same spins in the recorded factors.
#include "runtime/cli/recorder.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "hal/lower/decode.h"
#include "runtime/engine/session.h"
#include "tests/runtime/cli/cli_files.h"

namespace qama::cli {
namespace {

using test::TempDir;

/// Keeps the factors of every layer and the spins that were found for it.
class Both final : public runtime::ProblemSink, public runtime::Recorder {
 public:
  void problem(const runtime::LayerProblem& layer) override {
    problems.push_back(to_factors(layer, "layer"));
  }
  void tensor(std::string_view, std::int32_t, std::span<const float>) override {}
  void energies(std::string_view, std::int32_t, std::span<const double>) override {}
  void spins(std::string_view, std::int32_t, std::span<const std::uint8_t> values) override {
    found.emplace_back(values.begin(), values.end());
  }
  std::vector<hal::QamaLayer> problems;
  std::vector<std::vector<std::uint8_t>> found;
};

TEST(Recorder, EnergiesOfRecordedLayersAreTheEnginesOwn) {
  const TempDir directory;
  for (const weights::Normalisation normalisation :
       {weights::Normalisation::none, weights::Normalisation::instance,
        weights::Normalisation::batch}) {
    weights::Architecture a = test::small_vit(weights::AttentionKind::qama);
    a.attention.normalisation = normalisation;
    const std::string path = test::put_model(directory, "m", a);
    ASSERT_OK_AND_ASSIGN(const auto model, runtime::Model::open(path));
    ASSERT_OK_AND_ASSIGN(const auto session,
                         runtime::Session::create(model, runtime::SessionOptions{}));
    std::vector<float> logits(10);
    Both both;
    runtime::RunOptions options;
    options.hooks.problems = &both;
    options.hooks.recorder = &both;
    ASSERT_OK(session->run_u8(test::sample_pixels(28, 28, 1), 1, logits, options));
    const auto solves = session->solves(0);
    ASSERT_EQ(both.problems.size(), solves.size());
    ASSERT_EQ(both.found.size(), solves.size());
    for (std::size_t layer = 0; layer < solves.size(); ++layer) {
      const hal::QamaLayer& problem = both.problems[layer];
      const auto tokens = static_cast<std::size_t>(problem.tokens);
      ASSERT_EQ(both.found[layer].size(), static_cast<std::size_t>(problem.heads) * tokens);
      const auto words = static_cast<std::size_t>(hal::words_per_head(problem.tokens));
      std::vector<std::uint64_t> spins(words * static_cast<std::size_t>(problem.heads));
      for (std::size_t i = 0; i < both.found[layer].size(); ++i) {
        if (both.found[layer][i] != 0) {
          spins[i / tokens * words + i % tokens / 64] |= std::uint64_t{1} << (i % tokens % 64);
        }
      }
      const double energy = hal::energy_of(problem, spins);
      EXPECT_LT(energy, 0);
      // The engine's energy is that of integers of 16 bits.
      EXPECT_NEAR(energy, solves[layer].energy, 2e-3 * std::fabs(energy)) << "layer " << layer;
    }
  }
}

TEST(Recorder, NamesAreSafeAndTheLimitIsKept) {
  const TempDir directory;
  ProblemRecorder recorder(directory.file("out"), "a b/c", 1);
  ASSERT_OK(recorder.prepare());
  const std::vector<float> factors(64, 0.5F);
  const std::vector<double> fields(64, 0.25);
  const double one[] = {1.0};
  const double none[] = {0.0};
  runtime::LayerProblem layer;
  layer.heads = layer.dim_head = 1;
  layer.tokens = 3;
  layer.stride = 64;
  layer.factors = factors;
  layer.fields = fields;
  layer.coupling_scale = one;
  layer.coupling_shift = none;
  layer.rho = 0.5;
  recorder.problem(layer);
  recorder.problem(layer);
  EXPECT_EQ(recorder.written(), 1);
  EXPECT_TRUE(recorder.full());
  EXPECT_OK(recorder.status());
  const auto bytes = test::read_file(directory.path() / "out" / "a-b-c_00000_00.txt");
  const std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  EXPECT_EQ(text, "qama a-b-c_00000_00\n1 3 1 0.5 0\n1\n0.5 0.5\n0.5 0.5\n0.5 0.5\n");

  // Factors that are subtracted have the other sign.
  const std::vector<float> both(128, 0.5F);
  layer.dim_head = 2;
  layer.negative = 1;
  layer.factors = both;
  EXPECT_EQ(to_factors(layer, "signed").signs, (std::vector<double>{1, -1}));
}

}  // namespace
}  // namespace qama::cli
