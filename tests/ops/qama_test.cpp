// The QAMA operator: the front end against its definition, energies against brute force over every
// selection, the folded weights against the unfolded ones.
#include "ops/attention/qama.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "hal/lower/problem_builder.h"
#include "hal/problem.h"
#include "ops/attention/qama_factors.h"
#include "ops/reference/reference.h"
#include "tests/test_support.h"

namespace qama::test {
namespace {

using namespace qama::ops;

/// A layer with random constants and inputs, and its workspace.
struct Layer {
  Layer(std::int64_t h, std::int64_t n, std::int64_t d, QamaNormalisation normalisation,
        std::uint64_t seed = 1)
      : heads(h),
        tokens(n),
        dim_head(d),
        random(seed),
        memory({.heads = h, .dim_head = d, .tokens = n, .dense_tokens = n}) {
    for (std::int64_t t = 0; t < heads; ++t) {
      coupling_scale.push_back(normal(1.0F, 0.3F) * (t % 3 == 2 ? -1.0F : 1.0F));
      coupling_shift.push_back(normal(0.0F, 0.2F));
      field_scale.push_back(normal(1.0F, 0.3F));
      field_shift.push_back(normal(0.0F, 0.2F));
    }
    spec.heads = heads;
    spec.dim_head = dim_head;
    spec.normalisation = normalisation;
    spec.coupling_scale = coupling_scale;
    spec.coupling_shift = coupling_shift;
    spec.field_scale = field_scale;
    spec.field_shift = field_shift;
    qkh.resize(static_cast<std::size_t>(tokens * (2 * heads * dim_head + heads)));
    for (float& v : qkh) v = normal(0.0F, 1.0F);
  }
  float normal(float mean, float deviation) {
    return static_cast<float>(std::normal_distribution<double>(mean, deviation)(random));
  }

  std::int64_t heads, tokens, dim_head;
  std::mt19937_64 random;
  std::vector<float> coupling_scale, coupling_shift, field_scale, field_shift;
  QamaFrontSpec spec;
  std::vector<float> qkh;
  OwnedWorkspace<kQamaPieces> memory;
  const QamaWorkspace& w = memory.view();
  hal::DenseView problem;
};

constexpr QamaNormalisation kNormalisations[] = {
    QamaNormalisation::none, QamaNormalisation::instance, QamaNormalisation::batch};

TEST(QamaFront, Constants) {
  QamaFrontSpec spec;
  spec.heads = 8;
  EXPECT_DOUBLE_EQ(spec.rho(49), 49 * 0.16);
  EXPECT_NEAR(spec.lambda(49), 49 * std::sqrt(2 / M_PI) / 7 * 0.8, 1e-12);
  spec.heads = 1;
  EXPECT_EQ(spec.lambda(49), 0.0);
}

class Front : public testing::TestWithParam<const KernelTable*> {};

TEST_P(Front, EqualsTheDefinitionOnEveryTarget) {
  for (const auto normalisation : kNormalisations) {
    for (const auto& [heads, tokens, dim_head] :
         {std::tuple<std::int64_t, std::int64_t, std::int64_t>{8, 49, 8},
          {8, 64, 16},
          {3, 65, 5},
          {1, 130, 12},
          {2, 1, 4},
          {4, 2, 3}}) {
      SCOPED_TRACE(std::to_string(heads) + " x " + std::to_string(tokens) + " x " +
                   std::to_string(dim_head) + ", normalisation " +
                   std::to_string(static_cast<int>(normalisation)));
      Layer layer(heads, tokens, dim_head, normalisation);
      ASSERT_OK(
          qama_front(layer.spec, tokens, layer.qkh.data(), layer.w, *GetParam(), layer.problem));
      EXPECT_OK(hal::validate(layer.problem));
      const ReferenceLayer expected = reference_front(layer.spec, tokens, layer.qkh.data());
      EXPECT_NEAR(layer.problem.scale / expected.scale, 1.0, 1e-5);
      EXPECT_NEAR(layer.problem.penalty, expected.penalty, 1);
      const auto stride = static_cast<std::size_t>(token_stride(tokens));
      const auto n = static_cast<std::size_t>(tokens);
      int off_by_one = 0;
      for (std::size_t ti = 0; ti < static_cast<std::size_t>(heads) * n; ++ti) {
        for (std::size_t j = 0; j < n; ++j) {
          const int difference = layer.w.couplings[ti * stride + j] - expected.weights[ti * n + j];
          ASSERT_LE(std::abs(difference), 1) << "spin " << ti << ", " << j;
          off_by_one += difference != 0 ? 1 : 0;
        }
        const std::size_t field = ti / n * stride + ti % n;
        EXPECT_NEAR(layer.w.fields[field], expected.biases[ti], 1);
        EXPECT_NEAR(layer.w.real_fields[field], expected.fields[ti],
                    1e-5 * (1 + std::fabs(expected.fields[ti])));
      }
      EXPECT_LE(off_by_one, 2 + heads * tokens * tokens / 20)
          << "only ties may round the other way";
    }
  }
}

TEST_P(Front, IsTheSameWhereItSparesMemory) {
  for (const auto normalisation : kNormalisations) {
    for (const QamaCoupling coupling : {QamaCoupling::gram, QamaCoupling::bilinear}) {
      Layer kept(4, 49, 8, normalisation), twice(4, 49, 8, normalisation);
      kept.spec.coupling = twice.spec.coupling = coupling;
      twice.spec.spares_memory = true;
      const bool bilinear = coupling == QamaCoupling::bilinear;
      QamaSizes sizes{.heads = 4,
                      .dim_head = kept.spec.rank(),
                      .tokens = 49,
                      .dense_tokens = 49,
                      .bilinear = bilinear};
      const OwnedWorkspace<kQamaPieces> all(sizes);
      sizes.spares_memory = true;
      const OwnedWorkspace<kQamaPieces> less(sizes);
      EXPECT_EQ(all.bytes() - less.bytes(), 3 * 49 * 64 * sizeof(float));
      const auto front = [](const Layer& layer, const QamaWorkspace& w, hal::DenseView& problem) {
        return qama_front(layer.spec, 49, layer.qkh.data(), w, *GetParam(), problem);
      };
      ASSERT_OK(front(kept, all.view(), kept.problem));
      ASSERT_OK(front(twice, less.view(), twice.problem));
      EXPECT_EQ(kept.problem.scale, twice.problem.scale);
      EXPECT_EQ(kept.problem.penalty, twice.problem.penalty);
      EXPECT_TRUE(std::equal(all.view().couplings, all.view().couplings + 4 * 49 * 64,
                             less.view().couplings));
      EXPECT_TRUE(std::equal(all.view().fields, all.view().fields + 4 * 64, less.view().fields));
    }
  }
}

/// The rule and the rounding are those of the builder that training goes through.
TEST_P(Front, RoundsAsTheProblemBuilderDoes) {
  Layer layer(8, 49, 8, QamaNormalisation::batch);
  ASSERT_OK(qama_front(layer.spec, 49, layer.qkh.data(), layer.w, *GetParam(), layer.problem));
  const ReferenceLayer real = reference_front(layer.spec, 49, layer.qkh.data());
  const std::vector<float> couplings(real.couplings.begin(), real.couplings.end());
  const std::vector<float> fields(real.fields.begin(), real.fields.end());
  ASSERT_OK_AND_ASSIGN(auto buffer, hal::ProblemBuffer::create({8, 49}));
  ASSERT_OK(buffer.build({8, 49}, couplings.data(), 49, fields.data(), 49,
                         static_cast<float>(real.lambda)));
  EXPECT_NEAR(buffer.problem().scale / layer.problem.scale, 1.0, 1e-5);
  EXPECT_NEAR(buffer.problem().penalty, layer.problem.penalty, 1);
  for (std::size_t i = 0; i < 8 * 49 * 64; ++i) {
    ASSERT_NEAR(buffer.problem().couplings[i], layer.w.couplings[i], 1) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, Front,
                         testing::ValuesIn(kernel_tables().begin(), kernel_tables().end()),
                         [](const auto& suite) { return std::string(suite.param->name); });

TEST(QamaFront, NotANumberIsFoundWhereverItIs) {
  for (const std::size_t at :
       {std::size_t{0}, std::size_t{20}, std::size_t{32}, std::size_t{34 * 9 + 33}}) {
    for (const float bad : {std::nanf(""), INFINITY}) {
      Layer layer(2, 10, 8, QamaNormalisation::instance);
      layer.qkh[at] = bad;
      SCOPED_TRACE(at);
      EXPECT_ERROR(problem_bad_value, qama_front(layer.spec, 10, layer.qkh.data(), layer.w,
                                                 best_kernels(), layer.problem));
    }
  }
}

TEST(QamaFront, AllZeroIsALegalProblem) {
  Layer layer(1, 5, 4, QamaNormalisation::instance);
  std::fill(layer.qkh.begin(), layer.qkh.end(), 0.0F);
  layer.coupling_shift[0] = layer.field_shift[0] = 0.0F;
  ASSERT_OK(qama_front(layer.spec, 5, layer.qkh.data(), layer.w, best_kernels(), layer.problem));
  EXPECT_OK(hal::validate(layer.problem));
  EXPECT_EQ(layer.problem.couplings[1], 0);
}

/// Eq. 3 from the definition, for every one of the 2^(H N) selections: the layer's energies and the
/// penalty must add up to it, and the device's integer energy must be it up to rounding.
TEST(QamaEnergies, AgreeWithEq3ForEverySelection) {
  for (const auto normalisation : kNormalisations) {
    Layer layer(2, 5, 3, normalisation);
    ASSERT_OK(qama_front(layer.spec, 5, layer.qkh.data(), layer.w, best_kernels(), layer.problem));
    const ReferenceLayer real = reference_front(layer.spec, 5, layer.qkh.data());
    std::vector<float> zeros(6 * 6, 0.5F);
    QamaSpec spec;
    spec.front = layer.spec;
    spec.dim = 6;
    spec.w_eps = std::span<const float>(zeros).first(3);
    spec.out_weight = zeros;
    ASSERT_OK_AND_ASSIGN(const auto op, QamaAttention::create(spec));
    double lowest = 0;
    for (std::uint32_t bits = 0; bits < 1024; ++bits) {
      layer.w.spins[0] = bits & 31;
      layer.w.spins[1] = bits >> 5;
      std::vector<std::uint8_t> s(10);
      for (std::size_t k = 0; k < 10; ++k) s[k] = bits >> k & 1;
      double energy = 0;
      for (std::size_t t = 0; t < 2; ++t) {
        for (std::size_t i = 0; i < 5; ++i) {
          energy -= real.fields[t * 5 + i] * s[t * 5 + i];
          for (std::size_t j = i + 1; j < 5; ++j) {
            energy -= real.couplings[(t * 5 + i) * 5 + j] * s[t * 5 + i] * s[t * 5 + j];
          }
        }
      }
      double penalty = 0;
      for (std::size_t i = 0; i < 5; ++i) penalty += real.lambda * s[i] * s[5 + i];
      lowest = std::min(lowest, energy + penalty);

      // e_ti counts every pair twice and the fields once (Eq. 5).
      op->energies(5, layer.w);
      const auto expected = reference_energies(real, 2, 5, s);
      double sum = 0;
      double fields = 0;
      for (std::size_t t = 0; t < 2; ++t) {
        for (std::size_t i = 0; i < 5; ++i) {
          ASSERT_NEAR(layer.w.energies[t * 64 + i], expected[t * 5 + i],
                      2e-5 * (1 + std::fabs(expected[t * 5 + i])));
          sum += layer.w.energies[t * 64 + i];
          fields -= real.fields[t * 5 + i] * s[t * 5 + i];
        }
      }
      ASSERT_NEAR((sum + fields) / 2, energy, 1e-4 * (1 + std::fabs(energy)));
      const double integer = static_cast<double>(hal::energy_of(layer.problem, {layer.w.spins, 2}));
      ASSERT_NEAR(integer / layer.problem.scale, energy + penalty, 15.0 / layer.problem.scale);
    }
    EXPECT_LT(lowest, 0.0);
  }
}

/// The published code's rule against its definition in double: J = (Q K^T + K Q^T) / (2 sqrt D),
/// twice in the problem, once in the output, whose fields are without rho; dense and on factors.
class Bilinear : public testing::TestWithParam<const KernelTable*> {};

TEST_P(Bilinear, ProblemAndEnergiesAreTheDefinitions) {
  for (const auto& size : {std::tuple<std::int64_t, std::int64_t, std::int64_t>{8, 49, 8},
                           {2, 65, 5},
                           {1, 130, 24},
                           {2, 1, 4}}) {
    const std::int64_t heads = std::get<0>(size), tokens = std::get<1>(size);
    const std::int64_t dim_head = std::get<2>(size);
    SCOPED_TRACE(std::to_string(heads) + " x " + std::to_string(tokens));
    Layer layer(heads, tokens, dim_head, QamaNormalisation::none);
    std::vector<float> ones(static_cast<std::size_t>(heads), 1.0F);
    std::vector<float> zeros(static_cast<std::size_t>(heads), 0.0F);
    layer.spec.coupling = QamaCoupling::bilinear;
    layer.spec.pair = 2;
    layer.spec.output_rho = false;
    layer.spec.coupling_scale = layer.spec.field_scale = ones;
    layer.spec.coupling_shift = layer.spec.field_shift = zeros;
    const OwnedWorkspace<kQamaPieces> memory({.heads = heads,
                                              .dim_head = layer.spec.rank(),
                                              .tokens = tokens,
                                              .dense_tokens = tokens,
                                              .factors_tokens = tokens,
                                              .bilinear = true,
                                              .output_rho = false});
    const QamaWorkspace& w = memory.view();
    hal::DenseView dense;
    ASSERT_OK(qama_front(layer.spec, tokens, layer.qkh.data(), w, *GetParam(), dense));
    EXPECT_OK(hal::validate(dense));

    const std::int64_t row = 2 * heads * dim_head + heads;
    const auto q = [&](std::int64_t t, std::int64_t i, std::int64_t d, bool key) {
      const std::int64_t at = i * row + (key ? heads * dim_head : 0) + t * dim_head + d;
      return static_cast<double>(layer.qkh[static_cast<std::size_t>(at)]);
    };
    const auto coupling = [&](std::int64_t t, std::int64_t i, std::int64_t j) {
      double sum = 0;
      for (std::int64_t d = 0; d < dim_head; ++d) {
        sum += q(t, i, d, false) * q(t, j, d, true) + q(t, i, d, true) * q(t, j, d, false);
      }
      return i == j ? 0.0 : sum / (2 * std::sqrt(static_cast<double>(dim_head)));
    };
    const auto field = [&](std::int64_t t, std::int64_t i) {
      const std::int64_t at = i * row + 2 * heads * dim_head + t;
      return static_cast<double>(layer.qkh[static_cast<std::size_t>(at)]);
    };
    const std::int64_t stride = token_stride(tokens);
    const double rho = 0.16 * static_cast<double>(tokens);
    for (std::int64_t t = 0; t < heads; ++t) {
      for (std::int64_t i = 0; i < tokens; ++i) {
        ASSERT_NEAR(w.fields[t * stride + i] / dense.scale, rho * field(t, i), 1.0 / dense.scale);
        for (std::int64_t j = 0; j < tokens; ++j) {
          ASSERT_NEAR(w.couplings[(t * tokens + i) * stride + j] / dense.scale,
                      2 * coupling(t, i, j), 1.0 / dense.scale);
        }
      }
    }

    // Random spins: energies of both forms, and the factors' problem.
    QamaSpec spec;
    spec.front = layer.spec;
    spec.dim = heads * dim_head;
    const std::vector<float> w_eps(static_cast<std::size_t>(dim_head), 0.5F);
    spec.w_eps = w_eps;
    ASSERT_OK_AND_ASSIGN(const auto op, QamaAttention::create(spec, *GetParam()));
    const auto words = static_cast<std::size_t>(heads * stride / 64);
    for (std::size_t k = 0; k < words; ++k) w.spins[k] = 0;
    const auto s = [&](std::int64_t t, std::int64_t i) {
      return static_cast<double>(w.spins[t * (stride / 64) + i / 64] >> (i % 64) & 1U);
    };
    for (std::int64_t t = 0; t < heads; ++t) {
      for (std::int64_t i = 0; i < tokens; ++i) {
        w.spins[t * (stride / 64) + i / 64] |= (layer.random() & 1U) << (i % 64);
      }
    }
    op->energies(tokens, w);
    const std::vector<double> from_dense(w.energies, w.energies + heads * stride);
    hal::FactorsView factors;
    qama_factors_front(layer.spec, tokens, layer.qkh.data(), w, *GetParam(), factors);
    EXPECT_OK(hal::validate(factors));
    qama_factors_energies(layer.spec, tokens, w, *GetParam());
    double objective = 0;
    for (std::int64_t t = 0; t < heads; ++t) {
      for (std::int64_t i = 0; i < tokens; ++i) {
        double sum = 0;
        for (std::int64_t j = 0; j < tokens; ++j) sum += coupling(t, i, j) * s(t, j);
        const double expected = -s(t, i) * (sum + field(t, i));
        const auto at = static_cast<std::size_t>(t * stride + i);
        ASSERT_NEAR(from_dense[at], expected, 1e-4 * (1 + std::fabs(expected)));
        ASSERT_NEAR(w.energies[at], expected, 1e-4 * (1 + std::fabs(expected)));
        objective -= s(t, i) * (sum + rho * field(t, i));
        for (std::int64_t other = 0; other < t; ++other) {
          objective += layer.spec.lambda(tokens) * s(t, i) * s(other, i);
        }
      }
    }
    EXPECT_NEAR(hal::energy_of(factors, {w.spins, words}), objective,
                1e-4 * (1 + std::fabs(objective)));

    // Without a projection a token's row is its heads' energies times w_eps.
    std::vector<float> out(static_cast<std::size_t>(tokens * spec.dim));
    op->project(tokens, w, out.data());
    for (std::int64_t i = 0; i < tokens; ++i) {
      for (std::int64_t c = 0; c < spec.dim; ++c) {
        ASSERT_NEAR(out[static_cast<std::size_t>(i * spec.dim + c)],
                    0.5 * w.energies[c / dim_head * stride + i], 1e-4);
      }
    }
  }
}
INSTANTIATE_TEST_SUITE_P(Targets, Bilinear,
                         testing::ValuesIn(kernel_tables().begin(), kernel_tables().end()),
                         [](const auto& suite) { return std::string(suite.param->name); });

TEST(QamaFold, NormsOfTheirOwnGoIntoTheWeights) {
  // Two dimensions, one head of two: rows q0 q1 k0 k1 v0 v1.
  const std::vector<float> qkv{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  const std::vector<float> scales[] = {{2, 3}, {1, -1}, {0.5F, 4}};
  const std::vector<float> shifts[] = {{1, 0}, {0, 2}, {-1, 1}};
  OwnNorms norms;
  for (int part = 0; part < 3; ++part) {
    norms.scales[part] = scales[part];
    norms.shifts[part] = shifts[part];
  }
  ASSERT_OK_AND_ASSIGN(const auto folded, fold_norms(qkv, norms, 2, 2));
  const std::vector<float> expected{2, 6,  1,  6,    12, 3, 5,    -6, 12,
                                    7, -8, 16, 4.5F, 40, 1, 5.5F, 48, 1};
  EXPECT_EQ(std::vector<float>(folded.data(), folded.data() + folded.size()), expected);
  norms.shifts[2] = norms.shifts[2].first(1);
  EXPECT_EQ(fold_norms(qkv, norms, 2, 2).error().code, ErrorCode::invalid_argument);
}

/// The projection folded into a table equals: outputs e_ti w_eps, the norm, the projection.
TEST(QamaProject, EqualsTheUnfoldedOutput) {
  const std::int64_t heads = 3;
  const std::int64_t dim_head = 4;
  const std::int64_t tokens = 7;
  const std::size_t dim = 10;
  const std::size_t inner = 12;
  for (const auto norm : {QamaEnergyNorm::none, QamaEnergyNorm::layer, QamaEnergyNorm::batch}) {
    for (const std::size_t w_eps_rows : {std::size_t{1}, std::size_t{3}}) {
      SCOPED_TRACE(static_cast<int>(norm));
      Layer layer(heads, tokens, dim_head, QamaNormalisation::none);
      std::vector<float> w_eps(w_eps_rows * 4);
      std::vector<float> out_weight(dim * inner);
      std::vector<float> scale(norm == QamaEnergyNorm::none    ? 0
                               : norm == QamaEnergyNorm::batch ? 3
                                                               : inner);
      std::vector<float> shift(scale.size());
      for (auto* values : {&w_eps, &out_weight, &scale, &shift}) {
        for (float& v : *values) v = layer.normal(0.2F, 1.0F);
      }
      QamaSpec spec;
      spec.front = layer.spec;
      spec.energy_norm = norm;
      spec.dim = static_cast<std::int64_t>(dim);
      spec.w_eps = w_eps;
      spec.out_weight = out_weight;
      spec.energy_scale = scale;
      spec.energy_shift = shift;
      ASSERT_OK_AND_ASSIGN(const auto op, QamaAttention::create(spec));
      for (std::size_t t = 0; t < 3; ++t) {
        for (std::size_t i = 0; i < 7; ++i) {
          layer.w.energies[t * 64 + i] =
              (t + i) % 3 == 0 ? 0.0 : static_cast<double>(layer.normal(0.0F, 3.0F));
        }
      }
      std::vector<float> out(7 * dim);
      op->project(tokens, layer.w, out.data());
      for (std::size_t i = 0; i < 7; ++i) {
        std::vector<double> concatenated(inner);
        for (std::size_t k = 0; k < inner; ++k) {
          const std::size_t t = k / 4;
          double e = layer.w.energies[t * 64 + i];
          if (norm == QamaEnergyNorm::batch) e = e * scale[t] + shift[t];
          concatenated[k] = e * w_eps[w_eps_rows == 1 ? k % 4 : k];
        }
        if (norm == QamaEnergyNorm::layer) {
          double mean = 0;
          double variance = 0;
          for (const double v : concatenated) mean += v / 12;
          for (const double v : concatenated) variance += (v - mean) * (v - mean) / 12;
          for (std::size_t k = 0; k < inner; ++k) {
            concatenated[k] =
                (concatenated[k] - mean) / std::sqrt(variance + 1e-5) * scale[k] + shift[k];
          }
        }
        for (std::size_t c = 0; c < dim; ++c) {
          double expected = 0;
          for (std::size_t k = 0; k < inner; ++k) {
            expected += concatenated[k] * static_cast<double>(out_weight[c * inner + k]);
          }
          EXPECT_NEAR(out[i * dim + c], expected, 2e-5);
        }
      }
    }
  }
}

TEST(QamaFold, FieldsOfTheFoldedWeightsAreVTimesWEps) {
  const std::int64_t heads = 2;
  const std::int64_t dim_head = 3;
  const std::int64_t dim = 5;
  Layer layer(2, 4, 3, QamaNormalisation::none);
  std::vector<float> qkv(3 * 6 * 5);
  std::vector<float> w_eps(6);
  for (auto* values : {&qkv, &w_eps}) {
    for (float& v : *values) v = layer.normal(0.0F, 1.0F);
  }
  ASSERT_OK_AND_ASSIGN(const auto folded, fold_qkh(qkv, w_eps, heads, dim_head, dim));
  ASSERT_EQ(folded.size(), (2U * 6 + 2) * 5);
  EXPECT_TRUE(std::equal(qkv.begin(), qkv.begin() + 2 * 6 * 5, folded.data()));
  for (std::size_t t = 0; t < 2; ++t) {
    for (std::size_t c = 0; c < 5; ++c) {
      double expected = 0;
      for (std::size_t d = 0; d < 3; ++d) {
        expected += static_cast<double>(w_eps[t * 3 + d]) * qkv[(12 + t * 3 + d) * 5 + c];
      }
      EXPECT_NEAR(folded[(12 + t) * 5 + c], expected, 1e-6);
    }
  }
  EXPECT_ERROR(invalid_argument, fold_qkh(std::span(qkv).first(10), w_eps, heads, dim_head, dim));
  EXPECT_ERROR(invalid_argument, fold_qkh(qkv, std::span(w_eps).first(4), heads, dim_head, dim));
}

TEST(QamaCreate, SizesAreChecked) {
  Layer layer(2, 4, 3, QamaNormalisation::none);
  std::vector<float> values(100, 0.1F);
  const std::span<const float> all(values);
  QamaSpec spec;
  spec.front = layer.spec;
  spec.dim = 5;
  spec.w_eps = all.first(3);
  spec.out_weight = all.first(30);
  EXPECT_OK(QamaAttention::create(spec));
  QamaSpec wrong = spec;
  wrong.w_eps = all.first(4);
  EXPECT_ERROR(invalid_argument, QamaAttention::create(wrong));
  wrong = spec;
  wrong.out_weight = all.first(29);
  EXPECT_ERROR(invalid_argument, QamaAttention::create(wrong));
  wrong = spec;
  wrong.front.field_scale = all.first(1);
  EXPECT_ERROR(invalid_argument, QamaAttention::create(wrong));
  wrong = spec;
  wrong.energy_norm = QamaEnergyNorm::batch;
  EXPECT_ERROR(invalid_argument, QamaAttention::create(wrong));
}

}  // namespace
}  // namespace qama::test
