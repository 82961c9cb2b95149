#include "bench/layer_pass.h"

#include <dnnl.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "bench/measure.h"

namespace qama::bench {
namespace {

/// a . b in sixteen strands, which a compiler turns into vectors without being allowed to reorder sums.
float dot(const float* a, const float* b, std::int64_t size) {
  std::array<float, 16> strand{};
  std::int64_t d = 0;
  for (; d + 16 <= size; d += 16) {
    for (std::int64_t k = 0; k < 16; ++k) strand[static_cast<std::size_t>(k)] += a[d + k] * b[d + k];
  }
  float sum = 0;
  for (const float value : strand) sum += value;
  for (; d < size; ++d) sum += a[d] * b[d];
  return sum;
}

/// One row-major matrix product C = A B of fixed sizes.
class Product {
 public:
  Product(const dnnl::engine& engine, std::int64_t rows, std::int64_t columns, std::int64_t inner,
          bool transpose_a)
      : a_desc_({rows, inner}, dnnl::memory::data_type::f32,
                transpose_a ? dnnl::memory::dims{1, rows} : dnnl::memory::dims{inner, 1}),
        b_desc_({inner, columns}, dnnl::memory::data_type::f32, dnnl::memory::dims{columns, 1}),
        c_desc_({rows, columns}, dnnl::memory::data_type::f32, dnnl::memory::dims{columns, 1}),
        primitive_(dnnl::matmul::primitive_desc(engine, a_desc_, b_desc_, c_desc_)),
        a_(a_desc_, engine, nullptr),
        b_(b_desc_, engine, nullptr),
        c_(c_desc_, engine, nullptr) {}
  void operator()(const dnnl::stream& stream, const float* a, const float* b, float* c) {
    a_.set_data_handle(const_cast<float*>(a));
    b_.set_data_handle(const_cast<float*>(b));
    c_.set_data_handle(c);
    primitive_.execute(stream, {{DNNL_ARG_SRC, a_}, {DNNL_ARG_WEIGHTS, b_}, {DNNL_ARG_DST, c_}});
  }

 private:
  dnnl::memory::desc a_desc_, b_desc_, c_desc_;
  dnnl::matmul primitive_;
  dnnl::memory a_, b_, c_;
};

}  // namespace

struct FactorPass::Products {
  explicit Products(std::int64_t tokens, std::int64_t rank)
      : engine(dnnl::engine::kind::cpu, 0),
        stream(engine),
        gram(engine, rank, rank, tokens, true),
        rows(engine, tokens, rank, rank, false),
        square(engine, rank, rank, rank, false) {}
  dnnl::engine engine;
  dnnl::stream stream;
  Product gram;    ///< [D][D] of two [N][D]
  Product rows;    ///< [N][D] times [D][D]
  Product square;  ///< [D][D] times [D][D]
};

FactorPass::~FactorPass() = default;

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

  const auto extents = ops::QamaExtents::of(of.heads, of.tokens, of.rank);
  const auto whole_lines = [](std::size_t elements) { return round_up(elements, 64); };
  out->floats_.resize(whole_lines(extents.factors) + whole_lines(extents.couplings));
  out->integers_.resize(whole_lines(extents.weights) + whole_lines(extents.biases));
  out->doubles_.resize(whole_lines(extents.fields) + 2 * whole_lines(extents.coefficients) +
                       whole_lines(extents.scratch) + whole_lines(extents.energies) +
                       whole_lines(extents.project));
  out->packed_.resize(extents.spins);
  out->spins_.resize(heads * static_cast<std::size_t>(hal::words_per_head(of.tokens)));
  auto& w = out->workspace_;
  w.factors = out->floats_.data();
  w.couplings = w.factors + whole_lines(extents.factors);
  w.weights = out->integers_.data();
  w.biases = w.weights + whole_lines(extents.weights);
  double* next = out->doubles_.data();
  const auto take = [&next, &whole_lines](std::size_t elements) {
    double* taken = next;
    next += whole_lines(elements);
    return taken;
  };
  w.fields = take(extents.fields);
  w.coupling_scale = take(extents.coefficients);
  w.coupling_shift = take(extents.coefficients);
  w.scratch = take(extents.scratch);
  w.energies = take(extents.energies);
  w.project = take(extents.project);
  w.spins = out->packed_.data();
  out->memory_bytes_ = static_cast<std::int64_t>(
      (out->floats_.size()) * sizeof(float) + out->integers_.size() * sizeof(std::int16_t) +
      (out->doubles_.size() + out->packed_.size()) * sizeof(double));
  return out;
}

Status DensePass::run(PassData& data, const hal::SolveOptions& options, PassTimes& times) {
  const double start = now_us();
  hal::SelectionProblem problem;
  QAMA_RETURN_IF_ERROR(attention_->front(of_.tokens, data.qkh.data(), workspace_, problem));
  const double built = now_us();
  hal::SolveResult result;
  QAMA_RETURN_IF_ERROR(solver_->solve(problem, options, {workspace_.spins, spins_.size()}, result));
  const double solved = now_us();
  attention_->energies(of_.tokens, workspace_);
  attention_->project(of_.tokens, workspace_, data.output.data());
  times.output_us = microseconds_since(solved);
  times.front_us = built - start;
  times.solve_us = solved - built;
  std::memcpy(spins_.data(), workspace_.spins, spins_.size() * sizeof(std::uint64_t));
  return {};
}

Result<std::unique_ptr<FactorPass>> FactorPass::create(const InstanceClass& of, hal::Device& device) {
  auto out = std::make_unique<FactorPass>();
  out->of_ = of;
  QAMA_ASSIGN_OR_RETURN(out->solver_, device.compile_low_rank({of.heads, of.tokens}, of.rank));
  const auto heads = static_cast<std::size_t>(of.heads);
  const auto rank = static_cast<std::size_t>(of.rank);
  const std::size_t rows = heads * static_cast<std::size_t>(of.tokens);
  try {
    out->products_ = std::make_unique<Products>(of.tokens, of.rank);
  } catch (const dnnl::error& error) {
    return Error{ErrorCode::unsupported, std::string("oneDNN: ") + error.what()};
  }
  out->left_.resize(rows * rank);
  out->fields_.resize(rows);
  out->shift_.resize(heads);
  out->key_gram_.resize(rank * rank);
  out->query_gram_.resize(rank * rank);
  out->product_.resize(rank * rank);
  out->z_.resize(rank);
  out->spins_.resize(heads * static_cast<std::size_t>(hal::words_per_head(of.tokens)));
  return out;
}

// J = Q M Q^T with M = K^T K / 2D; its mean and variance from M, G = Q^T Q and Q^T 1, less the diagonal.
void FactorPass::front(const PassData& data) {
  const std::int64_t rank = of_.rank;
  const std::int64_t tokens = of_.tokens;
  const double pairs = static_cast<double>(tokens) * static_cast<double>(tokens - 1);
  for (std::int32_t t = 0; t < of_.heads; ++t) {
    const float* queries = data.queries.data() + t * tokens * rank;
    const float* keys = data.keys.data() + t * tokens * rank;
    float* left = left_.data() + t * tokens * rank;
    products_->gram(products_->stream, keys, keys, key_gram_.data());
    for (float& value : key_gram_.span()) value /= 2.0F * static_cast<float>(rank);
    products_->rows(products_->stream, queries, key_gram_.data(), left);
    products_->gram(products_->stream, queries, queries, query_gram_.data());
    products_->square(products_->stream, key_gram_.data(), query_gram_.data(), product_.data());
    double squares = 0;
    for (std::int64_t a = 0; a < rank; ++a) {
      for (std::int64_t b = 0; b < rank; ++b) {
        squares += static_cast<double>(product_[static_cast<std::size_t>(a * rank + b)]) *
                   static_cast<double>(product_[static_cast<std::size_t>(b * rank + a)]);
      }
    }
    std::fill(z_.data(), z_.data() + rank, 0.0F);
    double diagonal = 0;
    double diagonal_squares = 0;
    for (std::int64_t i = 0; i < tokens; ++i) {
      const float* from = queries + i * rank;
      float* sums = z_.data();
      for (std::int64_t d = 0; d < rank; ++d) sums[d] += from[d];
      const float own = dot(left + i * rank, from, rank);
      diagonal += static_cast<double>(own);
      diagonal_squares += static_cast<double>(own) * static_cast<double>(own);
    }
    double sum = 0;
    for (std::int64_t a = 0; a < rank; ++a) {
      double along = 0;
      for (std::int64_t b = 0; b < rank; ++b) {
        along += static_cast<double>(key_gram_[static_cast<std::size_t>(a * rank + b)]) *
                 static_cast<double>(z_[static_cast<std::size_t>(b)]);
      }
      sum += along * static_cast<double>(z_[static_cast<std::size_t>(a)]);
    }
    const double mean = (sum - diagonal) / pairs;
    const double inverse = 1 / std::sqrt((squares - diagonal_squares) / pairs - mean * mean + 1e-5);
    const auto scale = static_cast<float>(inverse);
    for (std::int64_t k = 0; k < tokens * rank; ++k) left[k] *= scale;
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
        data.real.rho / std::sqrt(field_squares / static_cast<double>(tokens) - field_mean * field_mean + 1e-5);
    for (std::int64_t i = 0; i < tokens; ++i) {
      fields_[static_cast<std::size_t>(t * tokens + i)] =
          static_cast<float>((static_cast<double>(h[i]) - field_mean) * field_scale);
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
    const float* left = left_.data() + t * tokens * rank;
    const float* right = data.queries.data() + t * tokens * rank;
    const float shift = shift_[static_cast<std::size_t>(t)];
    const auto selected = [&](std::int64_t i) {
      return ((spins_[static_cast<std::size_t>(t * words + i / 64)] >> (i % 64)) & 1U) != 0;
    };
    std::fill(z_.data(), z_.data() + rank, 0.0F);
    float count = 0;
    for (std::int64_t i = 0; i < tokens; ++i) {
      if (!selected(i)) continue;
      ++count;
      float* sums = z_.data();
      for (std::int64_t d = 0; d < rank; ++d) sums[d] += right[i * rank + d];
    }
    for (std::int64_t i = 0; i < tokens; ++i) {
      float* out = data.output.data() + (t * tokens + i) * rank;
      float energy = 0;
      if (selected(i)) {
        const float sum = dot(left + i * rank, z_.data(), rank) - dot(left + i * rank, right + i * rank, rank);
        energy = -sum - shift * (count - 1) - fields_[static_cast<std::size_t>(t * tokens + i)];
      }
      for (std::int64_t d = 0; d < rank; ++d) out[d] = energy * 0.3F;
    }
  }
}

Status FactorPass::run(PassData& data, const hal::SolveOptions& options, PassTimes& times) {
  const double start = now_us();
  front(data);
  const double built = now_us();
  hal::LowRankProblem problem;
  problem.shape = {of_.heads, of_.tokens};
  problem.rank = of_.rank;
  problem.left = left_.data();
  problem.right = data.queries.data();
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
  const std::size_t floats = left_.size() + fields_.size() + shift_.size() + key_gram_.size() +
                             query_gram_.size() + product_.size() + z_.size();
  return static_cast<std::int64_t>(floats * sizeof(float) + spins_.size() * sizeof(std::uint64_t) +
                                   solver_->memory_bytes());
}

}  // namespace qama::bench
