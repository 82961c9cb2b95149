#include <algorithm>

#include "hal/base/aligned.h"
#include "ops/patch_embedding.h"
#include "ops/pooling.h"
#include "runtime/engine/preprocess.h"
#include "runtime/engine/steps/steps.h"

namespace qama::runtime {

Status add_image_embedding(Builder& b) {
  const weights::Architecture& a = b.architecture();
  const std::int64_t n = a.tokens_before_pool();
  const ops::PatchUnfold unfold{a.image_height, a.image_width, a.image_channels, a.patch};
  QAMA_ASSIGN_OR_RETURN(const auto image,
                        b.region("image", {a.image_channels, a.image_height, a.image_width}));
  QAMA_ASSIGN_OR_RETURN(const auto patches, b.region("patches", {n, unfold.patch_dim()}));
  b.add(
      {"preprocess", "normalise", "table"},
      [op = ImageNormaliser(b.model())](SampleRun& run, float* to) {
        // An image that came as floats is used where it lies.
        if (run.pixels == nullptr) return;
        op.apply(run.pixels, to);
        run.floats = to;
      },
      image);
  QAMA_ASSIGN_OR_RETURN(auto norm1, b.layer_norm("patch.norm1", a.patch_norm_eps));
  // The image is read through run.floats.
  b.add(
      {"patch.norm1", "unfold+layer_norm", simd_name()},
      [unfold, norm = std::move(norm1)](SampleRun& run, const float* /*image*/, float* to) {
        unfold.run(run.floats, to);
        norm.run(unfold.patches(), to, to);
      },
      image, patches);

  const bool pooled = a.token_pool_rows * a.token_pool_cols > 1;
  Region<float> grid = b.x;
  if (pooled) {
    QAMA_ASSIGN_OR_RETURN(grid, b.region("grid", {n, a.dim}));
  }
  QAMA_RETURN_IF_ERROR(b.add_linear({.name = "patch.linear",
                                     .tensor = "patch.linear",
                                     .bias = true,
                                     .in = a.patch_dim(),
                                     .out = a.dim,
                                     .from = patches,
                                     .to = grid,
                                     .rows = {n}}));
  QAMA_ASSIGN_OR_RETURN(auto norm2, b.layer_norm("patch.norm2"));
  QAMA_ASSIGN_OR_RETURN(const auto stored, b.weight("position"));
  AlignedBuffer<float> position(stored.size());
  std::copy(stored.begin(), stored.end(), position.data());
  b.add(
      {"patch.norm2", "layer_norm+position", simd_name()},
      [norm = std::move(norm2), position = std::move(position), n](SampleRun& /*run*/, float* x) {
        norm.run_plus(n, x, position.data(), x);
      },
      grid);
  b.pipeline().weight_bytes += stored.size_bytes();
  if (pooled) {
    const ops::TokenPool pool{a.grid_rows(), a.grid_cols(), a.token_pool_rows, a.token_pool_cols,
                              a.dim};
    b.add(
        {"token_pool", "average_pool", "plain"},
        [pool](SampleRun& /*run*/, const float* from, float* to) { pool.run(from, to); }, grid,
        b.x);
  }
  return {};
}

}  // namespace qama::runtime
