#include "ops/attention/performer.h"

#include <algorithm>
#include <cmath>

namespace qama::ops {
namespace {

/// Tokens whose features are at hand at a time.
constexpr std::int64_t kChunk = 64;

/// Columns of the values: D, a one, and zeros up to whole vectors, because a product's tail is
/// slow.
constexpr std::int64_t value_width(std::int64_t dim_head) {
  return (dim_head + 1 + 15) / 16 * 16;
}

}  // namespace

/// V has a column of ones behind it, so that numerator and denominator are one product; width =
/// value_width(D).
struct PerformerAttention::Scratch {
  float* features;  ///< [kChunk][count]
  float* values;    ///< [kChunk][width]
  float* sums;      ///< [count][width] sum_j exp(..) v_j
  float* plain;     ///< [width] sum_j v_j
  float* offsets;   ///< [kChunk] |y|^2 / 2
  float* largest;   ///< [kChunk]
};

Result<std::unique_ptr<MixingAttention>> PerformerAttention::create(const MixingShape& shape,
                                                                    std::int64_t count,
                                                                    std::span<const float> features,
                                                                    const KernelTable& kernels) {
  const auto size = static_cast<std::size_t>(count * shape.dim_head);
  if (features.size() != size)
    return bad_mixing_size("performer", "features", features.size(), size);
  std::unique_ptr<PerformerAttention> out(new PerformerAttention(shape, count, kernels));
  out->features_.resize(size);
  const double scale = 1 / std::sqrt(std::sqrt(static_cast<double>(shape.dim_head)));
  for (std::int64_t m = 0; m < count; ++m) {
    for (std::int64_t d = 0; d < shape.dim_head; ++d) {
      out->features_.data()[d * count + m] = static_cast<float>(
          static_cast<double>(features[static_cast<std::size_t>(m * shape.dim_head + d)]) * scale);
    }
  }
  return std::unique_ptr<MixingAttention>(std::move(out));
}

PerformerAttention::Scratch PerformerAttention::pieces(float* scratch) const noexcept {
  const std::int64_t width = value_width(shape_.dim_head);
  Scratch s{};
  s.features = scratch;
  s.values = s.features + kChunk * count_;
  s.sums = s.values + kChunk * width;
  s.plain = s.sums + count_ * width;
  s.offsets = s.plain + width;
  s.largest = s.offsets + kChunk;
  return s;
}

std::size_t PerformerAttention::scratch_floats() const noexcept {
  const std::int64_t width = value_width(shape_.dim_head);
  return static_cast<std::size_t>(kChunk * count_ + kChunk * width + count_ * width + width +
                                  2 * kChunk);
}

std::int64_t PerformerAttention::macs() const noexcept {
  return shape_.tokens * shape_.heads * count_ * (4 * shape_.dim_head + 2);
}

/// features = w y and offsets = |y|^2 / 2 of a chunk; largest = max w y.
void PerformerAttention::project(std::int64_t rows, const float* x, std::int64_t stride,
                                 const Scratch& s) const noexcept {
  kernels_->product({.rows = rows,
                     .inner = shape_.dim_head,
                     .columns = count_,
                     .a = x,
                     .a_row = stride,
                     .a_inner = 1,
                     .b = features_.data(),
                     .b_stride = count_,
                     .c = s.features,
                     .c_stride = count_,
                     .add = false});
  const float scale = 0.5F / std::sqrt(static_cast<float>(shape_.dim_head));
  for (std::int64_t r = 0; r < rows; ++r) {
    float square = 0;
    for (std::int64_t d = 0; d < shape_.dim_head; ++d) {
      square += x[r * stride + d] * x[r * stride + d];
    }
    s.offsets[r] = square * scale;
  }
  kernels_->row_max({.rows = rows, .columns = count_, .x = s.features, .largest = s.largest});
}

void PerformerAttention::sum_keys(std::int64_t tokens, const float* k, const float* v,
                                  std::int64_t stride, const Scratch& s) const noexcept {
  const std::int64_t width = value_width(shape_.dim_head);
  std::fill(s.sums, s.sums + count_ * width, 0.0F);
  std::fill(s.plain, s.plain + width, 0.0F);
  float largest = 0;
  for (std::int64_t first = 0; first < tokens; first += kChunk) {
    const std::int64_t rows = std::min(kChunk, tokens - first);
    project(rows, k + first * stride, stride, s);
    const float found = *std::max_element(s.largest, s.largest + rows);
    if (first == 0) {
      largest = found;
    } else if (found > largest) {
      const float smaller = std::exp(largest - found);
      for (std::int64_t i = 0; i < count_ * width; ++i) s.sums[i] *= smaller;
      largest = found;
    }
    for (std::int64_t r = 0; r < rows; ++r) {
      s.offsets[r] += largest;
      float* value = s.values + r * width;
      std::copy_n(v + (first + r) * stride, shape_.dim_head, value);
      value[shape_.dim_head] = 1.0F;
      std::fill(value + shape_.dim_head + 1, value + width, 0.0F);
      for (std::int64_t c = 0; c < width; ++c) s.plain[c] += value[c];
    }
    kernels_->exp_rows(
        {.rows = rows, .columns = count_, .x = s.features, .offset = s.offsets, .addend = 0});
    kernels_->product({.rows = count_,
                       .inner = rows,
                       .columns = width,
                       .a = s.features,
                       .a_row = 1,
                       .a_inner = count_,
                       .b = s.values,
                       .b_stride = width,
                       .c = s.sums,
                       .c_stride = width,
                       .add = true});
  }
  // eps was added to no exponential yet: it counts once a key, and does not shrink with the others.
  for (std::int64_t m = 0; m < count_; ++m) {
    for (std::int64_t c = 0; c < width; ++c) s.sums[m * width + c] += kEps * s.plain[c];
  }
}

void PerformerAttention::run(std::int64_t tokens, const float* qkv, float* out,
                             float* scratch) const noexcept {
  const std::int64_t inner = shape_.inner();
  const std::int64_t stride = 3 * inner;
  const std::int64_t width = value_width(shape_.dim_head);
  const Scratch s = pieces(scratch);
  for (std::int64_t t = 0; t < shape_.heads; ++t) {
    const float* q = qkv + t * shape_.dim_head;
    sum_keys(tokens, q + inner, q + 2 * inner, stride, s);
    for (std::int64_t first = 0; first < tokens; first += kChunk) {
      const std::int64_t rows = std::min(kChunk, tokens - first);
      project(rows, q + first * stride, stride, s);
      for (std::int64_t r = 0; r < rows; ++r) s.offsets[r] += s.largest[r];
      kernels_->exp_rows(
          {.rows = rows, .columns = count_, .x = s.features, .offset = s.offsets, .addend = kEps});
      kernels_->product({.rows = rows,
                         .inner = count_,
                         .columns = width,
                         .a = s.features,
                         .a_row = count_,
                         .a_inner = 1,
                         .b = s.sums,
                         .b_stride = width,
                         .c = s.values,
                         .c_stride = width,
                         .add = false});
      for (std::int64_t r = 0; r < rows; ++r) {
        const float* value = s.values + r * width;
        float* row = out + (first + r) * inner + t * shape_.dim_head;
        for (std::int64_t d = 0; d < shape_.dim_head; ++d)
          row[d] = value[d] / value[shape_.dim_head];
      }
    }
  }
}

}  // namespace qama::ops
