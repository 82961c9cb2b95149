#include "runtime/onnxruntime/layer.h"

#include <algorithm>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "hal/base/random.h"
#include "hal/device.h"
#include "ops/attention/qama_factors.h"
#include "ops/linear.h"

namespace qama::onnxruntime {
namespace {

/// What one sample needs at a time.
struct Lane {
  Lane(const weights::Architecture& a, const ops::QamaSizes& sizes, std::size_t scratch_bytes)
      : x(static_cast<std::size_t>(a.tokens()) * static_cast<std::size_t>(a.dim)),
        qkh(static_cast<std::size_t>(a.tokens()) *
            static_cast<std::size_t>(2 * a.inner() + a.heads)),
        scratch(scratch_bytes),
        workspace(sizes) {}

  AlignedBuffer<float> x, qkh;
  AlignedBuffer<std::byte> scratch;
  ops::OwnedWorkspace<ops::kQamaPieces> workspace;
  std::vector<ops::LinearCall> project;  // one
  std::unique_ptr<hal::Solver> solver;
  std::unique_ptr<hal::Solver> factors_solver;  // null unless samples may be on factors
};

}  // namespace

struct Layer::Impl {
  weights::Architecture record;
  std::int32_t block = 0;
  hal::SolveOptions solve;
  std::unique_ptr<ops::LinearFactory> factory;
  std::unique_ptr<ops::Linear> linear;
  std::unique_ptr<ops::QamaAttention> attention;
  runtime::QamaForms forms;
  std::shared_ptr<hal::Device> device;
  std::mutex mutex;
  std::vector<std::unique_ptr<Lane>> idle;  // the last one used is the first one taken

  Status fill(const runtime::LayerWeights& weights);
  Result<std::unique_ptr<Lane>> make_lane();
  Result<std::unique_ptr<Lane>> take();
  Status run(Lane& lane, std::int64_t tokens, std::uint64_t seed, std::uint64_t index, float* out);
};

Layer::Layer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Layer::~Layer() = default;

std::int64_t Layer::dim() const noexcept {
  return impl_->record.dim;
}
std::int64_t Layer::tokens() const noexcept {
  return impl_->record.tokens();
}

Result<std::unique_ptr<Layer>> Layer::create(std::string_view record, std::int32_t block,
                                             const runtime::LayerWeights& weights) {
  auto impl = std::make_unique<Impl>();
  QAMA_ASSIGN_OR_RETURN(impl->record, weights::Architecture::parse(record));
  const weights::Architecture& a = impl->record;
  const auto kind = a.attention.kind;
  if (block < 0 || block >= a.depth || !a.is_qama(block) ||
      kind == weights::AttentionKind::qama_v1) {
    return Error{ErrorCode::model_bad_architecture,
                 "block " + std::to_string(block) + " of a record with " + std::to_string(a.depth) +
                     " blocks: expected one with attention qama or qama_bilinear"};
  }
  impl->block = block;
  impl->solve = hal::SolveOptions{a.anneal_of(block)};
  QAMA_RETURN_IF_ERROR(impl->fill(weights));
  return std::unique_ptr<Layer>(new Layer(std::move(impl)));
}

Status Layer::Impl::fill(const runtime::LayerWeights& weights) {
  const std::vector<float> ones = runtime::qama_ones(record);
  QAMA_ASSIGN_OR_RETURN(const ops::QamaSpec spec, runtime::qama_spec(record, weights, ones));
  QAMA_ASSIGN_OR_RETURN(device, hal::open_device("cpu:"));
  QAMA_ASSIGN_OR_RETURN(forms, runtime::qama_forms(record, block, spec.front,
                                                   device->forms().has(hal::Form::factors)));
  QAMA_ASSIGN_OR_RETURN(attention, ops::QamaAttention::create(spec));
  QAMA_ASSIGN_OR_RETURN(const auto folded, runtime::qama_projection(record, block, weights));
  QAMA_ASSIGN_OR_RETURN(factory, ops::LinearFactory::create());
  const ops::LinearSpec shape{record.dim,
                              2 * record.inner() + record.heads,
                              !folded.biases.empty(),
                              ops::Activation::none,
                              {record.tokens()}};
  QAMA_ASSIGN_OR_RETURN(
      linear, ops::Linear::create(*factory, shape, folded.weights.span(), folded.biases.span()));
  // What is wrong with the shape shows here, not at the first sample.
  QAMA_ASSIGN_OR_RETURN(auto lane, make_lane());
  idle.push_back(std::move(lane));
  return {};
}

Result<std::unique_ptr<Lane>> Layer::Impl::make_lane() {
  auto lane = std::make_unique<Lane>(record, forms.sizes, linear->scratch_bytes());
  QAMA_ASSIGN_OR_RETURN(auto call,
                        linear->bind(0, lane->x.data(), lane->qkh.data(), lane->scratch.data()));
  lane->project.push_back(std::move(call));
  const auto dense = static_cast<std::int32_t>(forms.sizes.dense_tokens);
  if (dense > 0) {
    QAMA_ASSIGN_OR_RETURN(lane->solver, device->compile({record.heads, dense}));
  }
  if (forms.first_on_factors > 0) {
    const auto rank =
        static_cast<std::int32_t>(ops::long_factor_width(attention->front_spec().rank()));
    QAMA_ASSIGN_OR_RETURN(
        lane->factors_solver,
        device->compile({{record.heads, record.tokens()}, hal::Form::factors, rank}));
  }
  return lane;
}

Result<std::unique_ptr<Lane>> Layer::Impl::take() {
  {
    const std::scoped_lock lock(mutex);
    if (!idle.empty()) {
      auto lane = std::move(idle.back());
      idle.pop_back();
      return lane;
    }
  }
  return make_lane();
}

Status Layer::Impl::run(Lane& lane, std::int64_t tokens, std::uint64_t seed, std::uint64_t index,
                        float* out) {
  if (!lane.project.front().run()) {
    return Error{ErrorCode::internal,
                 "the projection of block " + std::to_string(block) + " was refused"};
  }
  const ops::QamaWorkspace& w = lane.workspace.view();
  const bool on_factors = forms.first_on_factors > 0 && tokens >= forms.first_on_factors;
  hal::Problem problem;
  if (on_factors) {
    ops::qama_factors_front(attention->front_spec(), tokens, lane.qkh.data(), w,
                            attention->kernels(), problem.emplace<hal::FactorsView>());
  } else {
    QAMA_RETURN_IF_ERROR(
        attention->front(tokens, lane.qkh.data(), w, problem.emplace<hal::DenseView>()));
  }
  hal::SolveOptions options = solve;
  options.seed = solve_seed(seed, index, block);
  const std::size_t words = hal::words_per_head(static_cast<std::int32_t>(tokens));
  hal::Solver& solver = on_factors ? *lane.factors_solver : *lane.solver;
  hal::SolveResult result;
  QAMA_RETURN_IF_ERROR(solver.solve(
      problem, options, {w.spins, static_cast<std::size_t>(record.heads) * words}, result));
  if (on_factors) {
    ops::qama_factors_energies(attention->front_spec(), tokens, w, attention->kernels());
  } else {
    attention->energies(tokens, w);
  }
  attention->project(tokens, w, out);
  return {};
}

Status Layer::run(const float* x, std::int64_t tokens, std::uint64_t seed, std::uint64_t index,
                  float* out) const {
  if (tokens < 1 || tokens > impl_->record.tokens()) {
    return Error{ErrorCode::invalid_argument, "a sample of " + std::to_string(tokens) +
                                                  " tokens, expected 1 to " +
                                                  std::to_string(impl_->record.tokens())};
  }
  QAMA_ASSIGN_OR_RETURN(auto lane, impl_->take());
  float* const rows = lane->x.data();
  const std::int64_t given = tokens * impl_->record.dim;
  std::copy_n(x, given, rows);
  std::fill(rows + given, rows + lane->x.size(), 0.0F);
  const Status status = impl_->run(*lane, tokens, seed, index, out);
  const std::scoped_lock lock(impl_->mutex);
  impl_->idle.push_back(std::move(lane));
  return status;
}

}  // namespace qama::onnxruntime
