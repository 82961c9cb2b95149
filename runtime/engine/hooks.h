// Hooks: how `qama verify`, `qama explain` and the benches look into a run. A hook is the caller's
// object; a run without hooks pays one test of a null pointer a step.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "hal/problem.h"

namespace qama::runtime {

class Profiler;  // profiler.h

/// Receives named intermediates, with the names and shapes of the golden files: embed [N,dim],
/// block.i.attn_norm [N,dim], block.i.spins [H,N], block.i.energies [H,N], block.i.attn_out
/// [N,dim], block.i.out [N,dim], norm [N,dim], pooled [dim], logits [classes]. N is the model's
/// tokens(); what lies behind a shorter text's own tokens is 0. Memory is valid during the call.
class Recorder {
 public:
  virtual ~Recorder() = default;
  /// `name` is static or belongs to the plan. `sample`: position in the batch.
  virtual void tensor(std::string_view name, std::int32_t sample,
                      std::span<const float> values) = 0;
  /// Spins as bytes 0 or 1.
  virtual void spins(std::string_view name, std::int32_t sample,
                     std::span<const std::uint8_t> values) = 0;
  /// Energies e_ti before energy_norm.
  virtual void energies(std::string_view name, std::int32_t sample,
                        std::span<const double> values) = 0;
};

/// A QAMA layer of a sample, ready to be solved: as integers and as the real numbers behind them,
/// with
///   J'_tij = coupling_scale[t] sum_d F_tdi F_tdj + coupling_shift[t]   (i != j)
/// where the products of the last `negative` dimensions are subtracted.
/// First-version QAMA (qama_v1) has no such factors. Its layers have the integers only: `factors`
/// and the fields after it are empty. Its tokens have several bits, each a spin.
/// The views point into the lane. They are valid during the call.
struct LayerProblem {
  std::int32_t layer = 0;   ///< block
  std::int32_t sample = 0;  ///< position in the batch
  std::uint64_t index = 0;  ///< the caller's sample index
  std::uint64_t seed = 0;   ///< of this solve
  const hal::DenseView* problem = nullptr;
  std::int32_t heads = 0, tokens = 0;
  std::int32_t dim_head = 0;  ///< of the factors
  std::int32_t negative = 0;
  std::int32_t bits = 1;                ///< spins of a token; spin i * bits + k is bit k of token i
  std::int64_t stride = 0;              ///< hal::row_stride(tokens)
  std::span<const float> factors = {};  ///< F [heads][dim_head][stride], columns of tokens
  std::span<const double> fields = {};  ///< [heads][stride] rho h'
  std::span<const double> coupling_scale =
      {};  ///< [heads]; with instance normalisation, of this sample
  std::span<const double> coupling_shift = {};  ///< [heads]
  double rho = 0, lambda = 0;
};

/// Receives a layer before it is solved, for example to record it. It receives layers that have
/// integers. A layer on factors has none; a plan with PlanOptions::factors = false makes integers
/// for every layer.
class ProblemSink {
 public:
  virtual ~ProblemSink() = default;
  virtual void problem(const LayerProblem& layer) = 0;
};

/// All hooks of a run. With a recorder or a sink, the calling thread runs the samples one after the
/// other, in their order. A profiler changes nothing.
struct Hooks {
  Recorder* recorder = nullptr;
  ProblemSink* problems = nullptr;
  Profiler* profiler = nullptr;
  /// One entry a QAMA layer: spins [count][H][N] as bytes 0 or 1, used in place of the device's
  /// answer. A layer whose entry is empty is solved. Without entries every layer is solved.
  std::span<const std::span<const std::uint8_t>> forced_spins = {};
};

}  // namespace qama::runtime
