#include "bench/layer_pass.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "bench/measure.h"
#include "ops/simd/factors_front.h"

namespace qama::bench {

PassData pass_data(const InstanceClass& of, std::uint64_t seed) {
  PassData out;
  out.of = of;
  out.real = instance(of, seed);
  const LayerInputs inputs = layer_inputs(of, seed);
  const std::int64_t inner = static_cast<std::int64_t>(of.heads) * of.rank;
  const std::int64_t row = 2 * inner + of.heads;
  out.qkh.resize(static_cast<std::size_t>(of.tokens * row));
  const auto narrow = [](const std::vector<double>& from, AlignedBuffer<float>& to) {
    to.resize(from.size());
    for (std::size_t k = 0; k < from.size(); ++k) to[k] = static_cast<float>(from[k]);
  };
  narrow(inputs.queries, out.queries);
  narrow(inputs.keys, out.keys);
  narrow(inputs.fields, out.fields);
  out.output.resize(out.queries.size());
  for (std::int32_t t = 0; t < of.heads; ++t) {
    double sum = 0;
    double squares = 0;
    for (std::int32_t i = 0; i < of.tokens; ++i) {
      const std::int64_t from = (static_cast<std::int64_t>(t) * of.tokens + i) * of.rank;
      float* to = out.qkh.data() + i * row;
      for (std::int32_t d = 0; d < of.rank; ++d) {
        to[t * of.rank + d] = out.queries[static_cast<std::size_t>(from + d)];
        to[inner + t * of.rank + d] = out.keys[static_cast<std::size_t>(from + d)];
      }
      const double field = inputs.fields[static_cast<std::size_t>(t * of.tokens + i)];
      to[2 * inner + t] = static_cast<float>(field);
      sum += field;
      squares += field * field;
    }
    const double mean = sum / of.tokens;
    const double deviation = std::sqrt(squares / of.tokens - mean * mean);
    for (std::int32_t i = 0; i < of.tokens; ++i) {
      double& field = out.real.fields[static_cast<std::size_t>(t * of.tokens + i)];
      field = (field - mean) / deviation;
    }
  }
  out.real.name += "_standard_h";
  return out;
}

Result<std::unique_ptr<DensePass>> DensePass::create(const InstanceClass& of, hal::Device& device) {
  auto out = std::make_unique<DensePass>();
  out->of_ = of;
  QAMA_ASSIGN_OR_RETURN(out->solver_, device.compile({of.heads, of.tokens}));
  const auto heads = static_cast<std::size_t>(of.heads);
  const auto inner = heads * static_cast<std::size_t>(of.rank);
  const std::vector<float> ones(heads, 1.0F);
  const std::vector<float> zeros(heads, 0.0F);
  const std::vector<float> w_eps(static_cast<std::size_t>(of.rank), 0.3F);
  const std::vector<float> out_weight(inner * inner, 0.1F);
  ops::QamaSpec spec;
  spec.front.heads = of.heads;
  spec.front.dim_head = of.rank;
  spec.front.normalisation = ops::QamaNormalisation::instance;
  spec.front.coupling_scale = spec.front.field_scale = ones;
  spec.front.coupling_shift = spec.front.field_shift = zeros;
  spec.dim = static_cast<std::int64_t>(inner);
  spec.w_eps = w_eps;
  spec.out_weight = out_weight;
  QAMA_ASSIGN_OR_RETURN(out->attention_, ops::QamaAttention::create(spec));

  out->workspace_ = ops::OwnedWorkspace<ops::kQamaPieces>(
      {.heads = of.heads, .dim_head = of.rank, .tokens = of.tokens, .dense_tokens = of.tokens});
  out->spins_.resize(heads * static_cast<std::size_t>(hal::words_per_head(of.tokens)));
  return out;
}

Status DensePass::run(PassData& data, const hal::SolveOptions& options, PassTimes& times) {
  const ops::QamaWorkspace& w = workspace_.view();
  const double start = now_us();
  hal::DenseView problem;
  QAMA_RETURN_IF_ERROR(attention_->front(of_.tokens, data.qkh.data(), w, problem));
  const double built = now_us();
  hal::SolveResult result;
  QAMA_RETURN_IF_ERROR(solver_->solve(problem, options, {w.spins, spins_.size()}, result));
  const double solved = now_us();
  attention_->energies(of_.tokens, w);
  attention_->project(of_.tokens, w, data.output.data());
  times.output_us = microseconds_since(solved);
  times.front_us = built - start;
  times.solve_us = solved - built;
  std::memcpy(spins_.data(), w.spins, spins_.size() * sizeof(std::uint64_t));
  return {};
}

Result<std::unique_ptr<FactorPass>> FactorPass::create(const InstanceClass& of,
                                                       hal::Device& device) {
  auto out = std::make_unique<FactorPass>();
  out->of_ = of;
  out->width_ = ops::long_factor_width(of.rank);
  QAMA_ASSIGN_OR_RETURN(out->solver_, device.compile({{of.heads, of.tokens},
                                                      hal::Form::factors,
                                                      static_cast<std::int32_t>(out->width_)}));
  const auto heads = static_cast<std::size_t>(of.heads);
  const std::size_t rows = heads * static_cast<std::size_t>(of.tokens);
  out->factors_.resize(rows * static_cast<std::size_t>(out->width_));
  out->fields_.resize(rows);
  out->scale_.resize(heads);
  out->shift_.resize(heads);
  out->scratch_.resize(static_cast<std::size_t>(ops::long_factor_scratch(of.rank)));
  out->wide_fields_.resize(rows);
  out->energies_.resize(static_cast<std::size_t>(ops::token_stride(of.tokens)));
  out->spins_.resize(heads * static_cast<std::size_t>(hal::words_per_head(of.tokens)));
  return out;
}

// J = F F^T at mean 0 and variance 1 is a scale and a shift, the same for all pairs.
void FactorPass::front(const PassData& data) {
  const std::int64_t tokens = of_.tokens;
  const double pairs = static_cast<double>(tokens) * static_cast<double>(tokens - 1);
  for (std::int32_t t = 0; t < of_.heads; ++t) {
    float* factors = factors_.data() + t * tokens * width_;
    ops::LongFactorArgs args;
    args.tokens = tokens;
    args.dim_head = of_.rank;
    args.q = data.queries.data() + t * tokens * of_.rank;
    args.k = data.keys.data() + t * tokens * of_.rank;
    args.stride = of_.rank;
    args.factors = factors;
    args.scratch = scratch_.data();
    args.statistics = true;
    ops::best_kernels().qama_factors_factors(args);
    const double mean = args.sum / pairs;
    const double inverse = 1 / std::sqrt(args.sum_squares / pairs - mean * mean + 1e-5);
    scale_[static_cast<std::size_t>(t)] = static_cast<float>(inverse);
    shift_[static_cast<std::size_t>(t)] = static_cast<float>(-mean * inverse);

    const float* h = data.fields.data() + t * tokens;
    double field_sum = 0;
    double field_squares = 0;
    for (std::int64_t i = 0; i < tokens; ++i) {
      const auto value = static_cast<double>(h[i]);
      field_sum += value;
      field_squares += value * value;
    }
    const double field_mean = field_sum / static_cast<double>(tokens);
    const double field_scale =
        data.real.rho /
        std::sqrt(field_squares / static_cast<double>(tokens) - field_mean * field_mean + 1e-5);
    for (std::int64_t i = 0; i < tokens; ++i) {
      const double field = (static_cast<double>(h[i]) - field_mean) * field_scale;
      wide_fields_[static_cast<std::size_t>(t * tokens + i)] = field;
      fields_[static_cast<std::size_t>(t * tokens + i)] = static_cast<float>(field);
    }
  }
  penalty_ = static_cast<float>(data.real.lambda);
}

// Eq. 5: e_ti = - s_ti (sum_{j != i} J_tij s_tj + rho h_ti), and e_ti w_eps^T.
void FactorPass::output(PassData& data) {
  const std::int64_t rank = of_.rank;
  const std::int64_t tokens = of_.tokens;
  const std::int64_t words = hal::words_per_head(of_.tokens);
  for (std::int64_t t = 0; t < of_.heads; ++t) {
    ops::best_kernels().qama_factors_energies(
        {.tokens = tokens,
         .dim_head = of_.rank,
         .factors = factors_.data() + t * tokens * width_,
         .fields = wide_fields_.data() + t * tokens,
         .spins = spins_.data() + t * words,
         .scale = static_cast<double>(scale_[static_cast<std::size_t>(t)]),
         .shift = static_cast<double>(shift_[static_cast<std::size_t>(t)]),
         .energies = energies_.data(),
         .scratch = scratch_.data()});
    for (std::int64_t i = 0; i < tokens; ++i) {
      float* out = data.output.data() + (t * tokens + i) * rank;
      const auto value = static_cast<float>(energies_[static_cast<std::size_t>(i)]) * 0.3F;
      for (std::int64_t d = 0; d < rank; ++d) out[d] = value;
    }
  }
}

Status FactorPass::run(PassData& data, const hal::SolveOptions& options, PassTimes& times) {
  const double start = now_us();
  front(data);
  const double built = now_us();
  hal::FactorsView problem;
  problem.shape = {of_.heads, of_.tokens};
  problem.rank = static_cast<std::int32_t>(width_);
  problem.left = problem.right = factors_.data();
  problem.scale = scale_.data();
  problem.shift = shift_.data();
  problem.fields = fields_.data();
  problem.penalty = penalty_;
  hal::SolveResult result;
  QAMA_RETURN_IF_ERROR(solver_->solve(problem, options, spins_, result));
  const double solved = now_us();
  output(data);
  times.output_us = microseconds_since(solved);
  times.front_us = built - start;
  times.solve_us = solved - built;
  return {};
}

std::int64_t FactorPass::memory_bytes() const noexcept {
  const std::size_t floats = factors_.size() + fields_.size() + scale_.size() + shift_.size();
  return static_cast<std::int64_t>(floats * sizeof(float) +
                                   (scratch_.size() + wide_fields_.size() + energies_.size()) *
                                       sizeof(double) +
                                   spins_.size() * sizeof(std::uint64_t) + solver_->memory_bytes());
}

}  // namespace qama::bench
