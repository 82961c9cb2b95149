#include <algorithm>

#include "hal/base/aligned.h"
#include "ops/patch_embedding.h"
#include "ops/pooling.h"
#include "ops/token_embedding.h"
#include "runtime/engine/preprocess.h"
#include "runtime/engine/steps/steps.h"

namespace qama::runtime {
namespace {

/// The class tokens with their positions, and behind them the patches: `grid` -> `x`.
Status add_class_tokens(Builder& b, std::span<const float> position, Region<float> grid) {
  QAMA_ASSIGN_OR_RETURN(const auto stored, b.weight("class_token"));
  AlignedBuffer<float> tokens(stored.size());
  for (std::size_t i = 0; i < stored.size(); ++i) tokens[i] = stored[i] + position[i];
  const std::size_t patches = position.size() - stored.size();
  b.add(
      {"class_token", "concatenate", "copy"},
      [tokens = std::move(tokens), patches](SampleRun& /*run*/, const float* from, float* to) {
        std::copy_n(tokens.data(), tokens.size(), to);
        std::copy_n(from, patches, to + tokens.size());
      },
      grid, b.x);
  b.pipeline().weight_bytes += stored.size_bytes();
  return {};
}

}  // namespace

Status add_image_embedding(Builder& b) {
  const weights::Architecture& a = b.architecture();
  const std::int64_t n = a.tokens_before_pool() - a.class_tokens;  // patches
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
  // The image is read through run.floats.
  if (a.patch_norms) {
    QAMA_ASSIGN_OR_RETURN(auto norm1, b.layer_norm("patch.norm1", a.patch_norm_eps));
    b.add(
        {"patch.norm1", "unfold+layer_norm", simd_name()},
        [unfold, norm = std::move(norm1)](SampleRun& run, const float* /*image*/, float* to) {
          unfold.run(run.floats, to);
          norm.run(unfold.patches(), to, to);
        },
        image, patches);
  } else {
    b.add(
        {"patch.unfold", "unfold", "plain"},
        [unfold](SampleRun& run, const float* /*image*/, float* to) { unfold.run(run.floats, to); },
        image, patches);
  }

  const bool pooled = a.token_pool_rows * a.token_pool_cols > 1;
  Region<float> grid = b.x;
  if (pooled || a.class_tokens > 0) {
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
  QAMA_ASSIGN_OR_RETURN(const auto position, b.constant("position"));
  const std::int64_t first = std::int64_t{a.class_tokens} * a.dim;  // of the patches' positions
  if (a.patch_norms) {
    QAMA_ASSIGN_OR_RETURN(auto norm2, b.layer_norm("patch.norm2"));
    b.add(
        {"patch.norm2", "layer_norm+position", simd_name()},
        [norm = std::move(norm2), position, n, first](SampleRun& /*run*/, float* x) {
          norm.run_plus(n, x, position.data() + first, x);
        },
        grid);
  } else {
    b.add(
        {"patch.position", "add", "plain"},
        [position, n, first, dim = std::int64_t{a.dim}](SampleRun& /*run*/, float* x) {
          ops::add_position(n, dim, position.data() + first, x);
        },
        grid);
  }
  if (a.class_tokens > 0) QAMA_RETURN_IF_ERROR(add_class_tokens(b, position, grid));
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
