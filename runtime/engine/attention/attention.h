// The kinds of attention that the engine has: a file beside this one each, named in
// weights/attention/kinds.inc. KIND.cpp defines add_KIND(), which adds the kind's steps: `normed`
// -> `delta`. Most kinds are one step between two projections; those that anneal are three, because
// what comes before the device, the device and what comes after it are timed apart.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>

#include "ops/attention/mixing.h"
#include "runtime/engine/builder.h"
#include "runtime/engine/steps/solve.h"
#include "weights/architecture.h"

namespace qama::runtime {

/// Which block's attention is added.
struct AttentionLayer {
  std::int32_t block = 0;
  std::string prefix;  ///< of steps and regions: "block.0."
  std::string tensor;  ///< of the model's tensors: "blocks.0.attn."
};

/// Adds the steps of the block's kind. UNSUPPORTED where the shape is not one for this kind.
Status add_attention(Builder& b, const AttentionLayer& layer);

// ---- what kinds share ---------------------------------------------------------------------------

/// The regions between the two projections: queries, keys and values, and the mixed values.
struct Projected {
  Region<float> qkv;    ///< [N][projections heads dim_head]
  Region<float> mixed;  ///< [N][heads dim_head]
};
/// `normed` -> qkv.
Result<Projected> add_qkv(Builder& b, const AttentionLayer& layer);
/// mixed -> `delta`.
Status add_out(Builder& b, const AttentionLayer& layer, Region<float> mixed);

/// Between the projections, one step without a device: an operator of ops/attention/mixing.h.
Status add_mixing(Builder& b, const AttentionLayer& layer,
                  Result<std::unique_ptr<ops::MixingAttention>> op);
[[nodiscard]] ops::MixingShape mixing_shape(const Builder& b);

/// Between a front end that fills run.problem and what follows the spins: the device. `memory`:
/// what it reads and writes, `spins` included; `spins_per_head` of a full-length sample.
template <typename... Memory>
void add_solve(Builder& b, const AttentionLayer& layer, Region<std::uint64_t> spins,
               std::int64_t spins_per_head, const Memory&... memory) {
  b.add_step(std::make_unique<SolveStep>(
                 StepInfo{layer.prefix + "attn.solve", "qama.solve", "device", layer.block}, spins,
                 b.pipeline().qama_blocks.size(), b.architecture().depth, spins_per_head),
             memory...);
  b.pipeline().qama_blocks.push_back(layer.block);
}

/// Rows behind a shorter text's tokens: 0.
inline void clear_padding(const SampleRun& run, std::int64_t width, float* rows) noexcept {
  std::fill(rows + run.count * width, rows + run.rows * width, 0.0F);
}

}  // namespace qama::runtime
