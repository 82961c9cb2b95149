// The whole forward pass against an independent one in double, for every kind of model, and every
// named intermediate of it.
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "ops/linear.h"
#include "ops/simd/half_linear.h"
#include "runtime/engine/session.h"
#include "tests/runtime/engine/models.h"
#include "tests/runtime/engine/reference_model.h"
#include "weights/int8.h"

namespace qama::test {
namespace {

using runtime::RunOptions;
using runtime::Session;
using weights::Architecture;
using weights::AttentionKind;
using weights::EnergyNorm;
using weights::Normalisation;

/// Keeps everything that a run names, per sample.
class Keeper final : public runtime::Recorder {
 public:
  void tensor(std::string_view name, std::int32_t sample, std::span<const float> values) override {
    kept[{std::string(name), sample}].assign(values.begin(), values.end());
  }
  void spins(std::string_view name, std::int32_t sample,
             std::span<const std::uint8_t> values) override {
    // Blocks that do not anneal leave none.
    const auto block = static_cast<std::size_t>(std::stoul(std::string(name.substr(6))));
    ASSERT_GE(block, all_spins[sample].size());
    all_spins[sample].resize(block);
    all_spins[sample].emplace_back(values.begin(), values.end());
    EXPECT_EQ(name, "block." + std::to_string(block) + ".spins");
  }
  void energies(std::string_view name, std::int32_t sample,
                std::span<const double> values) override {
    kept[{std::string(name), sample}].assign(values.begin(), values.end());
  }
  std::map<std::pair<std::string, std::int32_t>, std::vector<double>> kept;
  std::map<std::int32_t, Spins> all_spins;
};

/// Float rounding grows with the size of what was added up: the bound is relative to the tensor's
/// largest.
void expect_near(const std::string& name, const std::vector<double>& got,
                 const std::vector<double>& expected, double bound) {
  ASSERT_EQ(got.size(), expected.size()) << name;
  double largest = 1.0;
  double worst = 0.0;
  for (const double v : expected) largest = std::max(largest, std::fabs(v));
  for (std::size_t i = 0; i < got.size(); ++i) {
    ASSERT_TRUE(std::isfinite(got[i])) << name << " [" << i << "]";
    worst = std::max(worst, std::fabs(got[i] - expected[i]));
  }
  EXPECT_LE(worst, bound * largest) << name << ", largest value " << largest;
}

void expect_all_near(const Keeper& keeper, std::int32_t sample, const Intermediates& expected,
                     std::size_t count, std::size_t tokens, std::size_t heads) {
  // A layer norm multiplies the rounding of a row whose numbers are nearly alike. One row of the
  // features is such: 3e-5 on kernels without a fused a * b + c.
#if defined(__x86_64__) || defined(__aarch64__)
  const double bound = 2e-5;
#else
  const double bound = 5e-5;
#endif
  for (const auto& [name, values] : expected) {
    const auto found = keeper.kept.find({name, sample});
    ASSERT_NE(found, keeper.kept.end()) << name << " was not recorded";
    std::vector<double> got = found->second;
    const bool per_token = got.size() > values.size();
    if (per_token && name.ends_with(".energies")) {
      // Rows of N, of which a shorter text uses the first ones.
      std::vector<double> used;
      for (std::size_t t = 0; t < heads; ++t) {
        for (std::size_t i = 0; i < tokens; ++i) {
          if (i < count) used.push_back(got[t * tokens + i]);
          if (i >= count) {
            EXPECT_EQ(got[t * tokens + i], 0.0) << name;
          }
        }
      }
      got = used;
    } else if (per_token) {
      for (std::size_t i = values.size(); i < got.size(); ++i) ASSERT_EQ(got[i], 0.0) << name;
      got.resize(values.size());
    }
    expect_near(name, got, values, bound);
  }
  EXPECT_TRUE(keeper.kept.contains({"logits", sample}));
}

/// Of images or of features.
void check_float_model(const Architecture& a) {
  SCOPED_TRACE(a.to_json());
  const MemoryModel held = make_model(a, 7);
  ASSERT_NE(held.model, nullptr);
  ASSERT_OK_AND_ASSIGN(auto session, Session::create(held.model, {.max_batch = 3, .threads = 2}));
  const std::size_t floats = held.model->input_floats();
  const auto input = random_floats(3 * floats, 5);
  std::vector<float> logits(3 * static_cast<std::size_t>(a.classes));
  Keeper keeper;
  RunOptions options;
  options.hooks.recorder = &keeper;
  ASSERT_OK(session->run_f32(input, 3, logits, options));
  for (std::int32_t s = 0; s < 3; ++s) {
    const std::vector<float> sample(input.begin() + static_cast<std::ptrdiff_t>(floats) * s,
                                    input.begin() + static_cast<std::ptrdiff_t>(floats) * (s + 1));
    const Intermediates expected =
        a.is_image() ? reference_image_forward(held.model->file(), sample, keeper.all_spins[s])
                     : reference_feature_forward(held.model->file(), sample, keeper.all_spins[s]);
    const auto n = static_cast<std::size_t>(a.tokens());
    expect_all_near(keeper, s, expected, n, n, static_cast<std::size_t>(a.heads));
  }
  // The recorder only looks: the same answers without it, on two threads.
  std::vector<float> plain(logits.size());
  ASSERT_OK(session->run_f32(input, 3, plain));
  EXPECT_EQ(plain, logits);
}

TEST(Forward, SoftmaxImage) {
  check_float_model(mnist_architecture(AttentionKind::softmax));
}

TEST(Forward, GeluTanhOddSizesColour) {
  Architecture a = mnist_architecture(AttentionKind::softmax);
  a.image_height = 30;
  a.image_width = 20;
  a.image_channels = 3;
  a.patch = 5;
  a.dim = 37;
  a.heads = 3;
  a.dim_head = 11;
  a.mlp = 51;
  a.depth = 3;
  a.classes = 7;
  a.gelu = weights::Gelu::tanh;
  check_float_model(a);
}

TEST(Forward, TokenPooling) {
  for (const auto kind : {AttentionKind::softmax, AttentionKind::qama}) {
    Architecture a = mnist_architecture(kind);
    a.patch = 2;
    a.token_pool_rows = 2;
    a.token_pool_cols = 7;
    a.heads = 2;
    check_float_model(a);
  }
}

class QamaForward : public testing::TestWithParam<std::tuple<Normalisation, EnergyNorm>> {};

TEST_P(QamaForward, Image) {
  Architecture a = mnist_architecture(AttentionKind::qama);
  std::tie(a.attention.normalisation, a.attention.energy_norm) = GetParam();
  check_float_model(a);
}

TEST_P(QamaForward, MoreTokensThanAWordAndOneHead) {
  Architecture a = mnist_architecture(AttentionKind::qama);
  std::tie(a.attention.normalisation, a.attention.energy_norm) = GetParam();
  a.patch = 2;
  a.image_width = 14;  // 14 x 7 = 98 tokens
  a.heads = 1;
  a.dim_head = 13;
  a.dim = 40;
  a.depth = 1;
  check_float_model(a);
}

INSTANTIATE_TEST_SUITE_P(
    AllNorms, QamaForward,
    testing::Combine(testing::Values(Normalisation::none, Normalisation::instance,
                                     Normalisation::batch),
                     testing::Values(EnergyNorm::none, EnergyNorm::layer, EnergyNorm::batch)),
    [](const auto& suite) {
      return std::string(name_of(std::get<0>(suite.param))) + "_" +
             std::string(name_of(std::get<1>(suite.param)));
    });

void check_text_model(const Architecture& a) {
  SCOPED_TRACE(a.to_json());
  const MemoryModel held = make_model(a, 11);
  ASSERT_NE(held.model, nullptr);
  const std::vector<std::int32_t> lengths{1, 15, 16, 17, 49, 50};
  const auto batch = static_cast<std::int32_t>(lengths.size());
  ASSERT_OK_AND_ASSIGN(auto session,
                       Session::create(held.model, {.max_batch = batch, .threads = 1, .seed = 2}));
  const auto n = static_cast<std::size_t>(a.max_tokens);
  // Texts whose answers leave no token energies near zero in both heads, where a layer norm would
  // enlarge their rounding: 2 % of the bound on NEON; with texts that have such tokens up to 60
  // times the bound.
  std::mt19937_64 random(8);
  std::vector<std::int32_t> tokens(lengths.size() * n);
  for (auto& id : tokens)
    id = static_cast<std::int32_t>(random() % static_cast<std::uint64_t>(a.vocabulary));
  std::vector<float> logits(lengths.size() * static_cast<std::size_t>(a.classes));
  Keeper keeper;
  RunOptions options;
  options.hooks.recorder = &keeper;
  ASSERT_OK(session->run_tokens(tokens, lengths, logits, options));
  for (std::size_t s = 0; s < lengths.size(); ++s) {
    SCOPED_TRACE("length " + std::to_string(lengths[s]));
    const auto count = static_cast<std::size_t>(lengths[s]);
    const std::vector<std::int32_t> own(
        tokens.begin() + static_cast<std::ptrdiff_t>(s * n),
        tokens.begin() + static_cast<std::ptrdiff_t>(s * n + count));
    Spins spins;
    for (const auto& layer : keeper.all_spins[static_cast<std::int32_t>(s)]) {
      std::vector<std::uint8_t> used;
      for (std::size_t i = 0; i < layer.size(); ++i) {
        if (i % n < count) used.push_back(layer[i]);
        if (i % n >= count) {
          EXPECT_EQ(layer[i], 0) << "a padded token was selected";
        }
      }
      spins.push_back(used);
    }
    expect_all_near(keeper, static_cast<std::int32_t>(s),
                    reference_text_forward(held.model->file(), own, spins), count, n,
                    static_cast<std::size_t>(a.heads));
  }
}

TEST(Forward, Features) {
  check_float_model(feature_architecture(AttentionKind::softmax));
  Architecture a = feature_architecture(AttentionKind::qama);
  a.attention.normalisation = Normalisation::batch;
  a.pool = weights::Pool::max;
  check_float_model(a);
}

TEST(Forward, SoftmaxText) {
  check_text_model(text_architecture(AttentionKind::softmax));
}

TEST(Forward, NeighboursOfAToken) {
  Architecture a = text_architecture(AttentionKind::softmax);
  a.neighbours = 2;
  check_text_model(a);
}

TEST(Forward, ScoresOfNgrams) {
  Architecture a = text_architecture(AttentionKind::softmax);
  a.neighbours = 1;
  a.ngrams = 3;
  a.ngram_rows = 1000;
  check_text_model(a);
}

TEST(Forward, LargestOfTheTokens) {
  Architecture a = text_architecture(AttentionKind::softmax);
  a.pool = weights::Pool::max;
  check_text_model(a);
}

TEST(Forward, QamaText) {
  for (const auto norm : {Normalisation::none, Normalisation::instance, Normalisation::batch}) {
    Architecture a = text_architecture(AttentionKind::qama);
    a.attention.normalisation = norm;
    a.attention.energy_norm = EnergyNorm::layer;
    check_text_model(a);
  }
}

TEST(Forward, VisionTransformersAsTheyAreOutThere) {
  for (const auto kind : {AttentionKind::softmax, AttentionKind::qama}) {
    Architecture a = mnist_architecture(kind);
    a.image_width = 20;
    a.class_tokens = 1;
    a.patch_norms = false;
    a.pool = weights::Pool::class_token;
    a.qkv_bias = a.out_bias = true;
    check_float_model(a);
    a.class_tokens = 2;
    a.patch_norms = true;
    a.head_hidden = 21;
    check_float_model(a);
    a.pool = weights::Pool::mean;
    a.norm = weights::NormPlace::post;
    a.out_bias = false;
    a.head_activation = weights::HeadActivation::relu;
    check_float_model(a);
  }
}

TEST(Forward, TextEncodersAsTheyAreOutThere) {
  for (const auto kind : {AttentionKind::softmax, AttentionKind::qama}) {
    Architecture a = text_architecture(kind);
    a.embedding_norm = true;
    a.norm = weights::NormPlace::post;
    a.qkv_bias = a.out_bias = true;
    a.pool = weights::Pool::class_token;
    a.head_hidden = 17;
    a.depth = 4;
    a.layer_groups = 2;  // as ALBERT
    check_text_model(a);
    a.embedding = a.dim;  // as BERT
    a.embedding_projection = false;
    a.layer_groups = 0;
    a.depth = 2;  // QAMA layers without norms of their own enlarge rounding, block by block
    check_text_model(a);
    a.embedding_norm = false;
    a.norm = weights::NormPlace::pre;
    check_text_model(a);
  }
}

TEST(Forward, SharedBlocksShareTheirWeights) {
  Architecture a = text_architecture(AttentionKind::softmax);
  a.depth = 6;
  const auto bytes = [&a] {
    const MemoryModel held = make_model(a, 3);
    return (*runtime::Plan::create(held.model, {}))->weight_bytes();
  };
  const std::size_t own = bytes();
  a.layer_groups = 1;
  EXPECT_LT(bytes(), own / 4);
}

TEST(Forward, SomeBlocksHaveAnotherKindOfAttention) {
  for (const auto norm : {weights::NormPlace::pre, weights::NormPlace::post}) {
    Architecture a = mnist_architecture(AttentionKind::qama);
    a.norm = norm;
    a.depth = 4;
    a.other_blocks = {0, 2};
    check_float_model(a);
    a.other_blocks = {1, 2, 3};
    check_float_model(a);
  }
  Architecture text = text_architecture(AttentionKind::qama);
  text.attention.normalisation = Normalisation::instance;
  text.attention.energy_norm = EnergyNorm::layer;
  text.other_blocks = {0};
  check_text_model(text);
}

TEST(Forward, LayersOfAMixedModelHaveTheSchedulesAndSpinsOfTheirBlocks) {
  Architecture a = mnist_architecture(AttentionKind::qama);
  a.depth = 4;
  a.other_blocks = {0, 2};
  for (int block = 0; block < 4; ++block) {
    a.attention.anneal_layers.push_back({.sweeps = block + 1, .restarts = 1});
  }
  const MemoryModel held = make_model(a, 7);
  ASSERT_NE(held.model, nullptr);
  ASSERT_OK_AND_ASSIGN(auto session, Session::create(held.model, {}));
  EXPECT_EQ(std::vector<std::int32_t>(session->plan().qama_blocks().begin(),
                                      session->plan().qama_blocks().end()),
            (std::vector<std::int32_t>{1, 3}));
  ASSERT_EQ(session->schedules().size(), 2U);
  EXPECT_EQ(session->schedules()[0].sweeps, 2);
  EXPECT_EQ(session->schedules()[1].sweeps, 4);
  const auto input = random_floats(held.model->input_floats(), 5);
  std::vector<float> logits(10);
  const std::vector<std::uint8_t> none(8 * 49, 0);
  const std::span<const std::uint8_t> forced[] = {{}, none};
  Keeper keeper;
  RunOptions options;
  options.hooks.recorder = &keeper;
  options.hooks.forced_spins = forced;
  ASSERT_OK(session->run_f32(input, 1, logits, options));
  ASSERT_EQ(keeper.all_spins[0].size(), 4U);
  EXPECT_NE(keeper.all_spins[0][1], none);
  EXPECT_EQ(keeper.all_spins[0][3], none);
  ASSERT_EQ(session->solves(0).size(), 2U);
  EXPECT_STREQ(session->solves(0)[1].result.solved_by, "forced");
  EXPECT_NE(session->solves(0)[0].seed, 0U);
}

TEST(Forward, EveryKindOfAttentionFitsEveryEncoder) {
  for (const AttentionKind kind : kOtherKinds) {
    for (const auto norm : {weights::NormPlace::pre, weights::NormPlace::post}) {
      Architecture a = with_kind(mnist_architecture(AttentionKind::softmax), kind);
      a.norm = norm;
      a.class_tokens = 1;
      a.pool = weights::Pool::class_token;
      a.qkv_bias = true;
      a.out_bias = a.projects(0);
      SCOPED_TRACE(a.to_json());
      const MemoryModel held = make_model(a, 7);
      ASSERT_NE(held.model, nullptr);
      ASSERT_OK_AND_ASSIGN(auto session, Session::create(held.model, {.max_batch = 2}));
      const auto input = random_floats(2 * held.model->input_floats(), 5);
      std::vector<float> logits(2 * static_cast<std::size_t>(a.classes));
      ASSERT_OK(session->run_f32(input, 2, logits));
      for (const float value : logits) EXPECT_TRUE(std::isfinite(value));
      // The biases of queries, keys and values count.
      Architecture without = a;
      without.qkv_bias = false;
      const MemoryModel other = make_model(without, 7);
      ASSERT_OK_AND_ASSIGN(auto second, Session::create(other.model, {.max_batch = 2}));
      std::vector<float> others(logits.size());
      ASSERT_OK(second->run_f32(input, 2, others));
      EXPECT_NE(logits, others);
    }
  }
}

TEST(Forward, PixelsAreNormalisedAsTheModelFileSays) {
  Architecture a = mnist_architecture(AttentionKind::softmax);
  a.image_channels = 3;
  const MemoryModel held = make_model(a);
  ASSERT_OK_AND_ASSIGN(auto session, Session::create(held.model, {}));
  const auto pixels = random_pixels(held.model->input_pixels(), 2);
  const auto& p = held.model->preprocess();
  std::vector<float> planes(pixels.size());
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    const std::size_t c = i % 3;
    planes[c * 28 * 28 + i / 3] =
        static_cast<float>((pixels[i] / p.scale - p.mean[c]) / p.stddev[c]);
  }
  std::vector<float> from_bytes(10);
  std::vector<float> from_floats(10);
  ASSERT_OK(session->run_u8(pixels, 1, from_bytes));
  ASSERT_OK(session->run_f32(planes, 1, from_floats));
  EXPECT_EQ(from_bytes, from_floats);
}

/// The model with its matrices in floats again.
MemoryModel widened(const weights::ModelFile& file) {
  auto writer =
      weights::model_writer(file.architecture(), file.preprocess(), file.labels(), "wide");
  EXPECT_OK(writer);
  for (const weights::TensorSpec& spec : weights::expected_tensors(file.architecture())) {
    const weights::TensorView& tensor = **file.tensor(spec.name);
    if (tensor.dtype != weights::Dtype::i8) {
      EXPECT_OK(writer->add(tensor.name, tensor.dtype, tensor.shape, tensor.bytes));
      continue;
    }
    const auto matrix = *weights::int8_matrix(file, spec.name);
    std::vector<float> floats(matrix.values.size());
    weights::widen(matrix, floats);
    EXPECT_OK(writer->add_f32(tensor.name, tensor.shape, floats));
  }
  return make_model(writer);
}

/// One sample's logits; `spins` of a layer each in place of the solver's, if there are any.
std::vector<double> logits_of(const MemoryModel& held, const std::vector<std::int32_t>& tokens,
                              const std::vector<float>& floats, Keeper& keeper, Spins spins) {
  const Architecture& a = held.model->architecture();
  auto session = Session::create(held.model, {});
  EXPECT_OK(session);
  std::vector<float> logits(static_cast<std::size_t>(a.classes));
  RunOptions options;
  options.hooks.recorder = &keeper;
  std::vector<std::span<const std::uint8_t>> forced(spins.begin(), spins.end());
  options.hooks.forced_spins = forced;
  if (a.is_text()) {
    const std::vector<std::int32_t> lengths{a.max_tokens - 3};
    EXPECT_OK((*session)->run_tokens(tokens, lengths, logits, options));
  } else {
    EXPECT_OK((*session)->run_f32(floats, 1, logits, options));
  }
  return {logits.begin(), logits.end()};
}

/// The share of the logits' power by which two models with the same weights differ, of one sample
/// and the first one's spins.
double difference(const MemoryModel& wide, const MemoryModel& small) {
  const Architecture& a = small.model->architecture();
  const auto floats =
      a.is_text() ? std::vector<float>() : random_floats(small.model->input_floats(), 5);
  std::vector<std::int32_t> tokens(a.is_text() ? static_cast<std::size_t>(a.max_tokens) : 0);
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    tokens[i] = static_cast<std::int32_t>(2 + i * 7 % 80);
  }
  Keeper first;
  const auto expected = logits_of(wide, tokens, floats, first, {});
  Keeper second;
  const auto got = logits_of(small, tokens, floats, second, first.all_spins[0]);
  double error = 0;
  double power = 0;
  for (std::size_t c = 0; c < got.size(); ++c) {
    error += std::pow(got[c] - expected[c], 2);
    power += std::pow(expected[c], 2);
  }
  return error / power;
}

/// Every kind of attention, on images and on texts.
std::vector<Architecture> all_kinds() {
  std::vector<Architecture> all;
  for (const auto kind : {AttentionKind::softmax, AttentionKind::qama}) {
    all.push_back(mnist_architecture(kind));
    all.push_back(text_architecture(kind));
    all.push_back(feature_architecture(kind));
  }
  for (const AttentionKind kind : kOtherKinds) {
    all.push_back(with_kind(mnist_architecture(AttentionKind::softmax), kind));
    all.push_back(with_kind(text_architecture(AttentionKind::softmax), kind));
  }
  return all;
}

// What rounding the layers' inputs costs, on every kind of model: with the weights of the file as
// floats, and its spins.
TEST(Forward, Int8IsNearFloats) {
  for (const Architecture& a : all_kinds()) {
    SCOPED_TRACE(a.to_json());
    const MemoryModel small = make_int8_model(a, 7);
    ASSERT_NE(small.model, nullptr);
    const MemoryModel wide = widened(small.model->file());
    ASSERT_NE(wide.model, nullptr);
    const double error = difference(wide, small);
    // The first version takes logarithms of small probabilities.
    EXPECT_LT(error, a.attention.kind == AttentionKind::qama_v1 ? 3e-2 : 5e-3);
    EXPECT_GT(error, 0.0);
  }
}

// The same in half precision: without the key, the same file computes in floats.
TEST(Forward, HalfPrecisionIsNearFloats) {
  for (const Architecture& a : all_kinds()) {
    for (const auto half : {weights::Dtype::bf16, weights::Dtype::f16}) {
      SCOPED_TRACE(a.to_json());
      const MemoryModel small = make_half_model(a, half, 7);
      ASSERT_NE(small.model, nullptr);
      EXPECT_TRUE(small.model->architecture().half_products);
      const MemoryModel wide = make_model(weights::model_copy(small.model->file(), a));
      ASSERT_NE(wide.model, nullptr);
      const double error = difference(wide, small);
      const bool bf16 = half == weights::Dtype::bf16;
      EXPECT_LT(error,
                (bf16 ? 1e-4 : 1e-5) * (a.attention.kind == AttentionKind::qama_v1 ? 10 : 1));
      // Where there are no products of f16, both compute in floats.
      if (!bf16 && ops::half_linear_kernels(ops::Half::f16).empty()) {
        EXPECT_EQ(error, 0.0);
      } else {
        EXPECT_GT(error, 0.0);
      }
    }
  }
}

}  // namespace
}  // namespace qama::test
