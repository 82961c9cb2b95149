#include "ops/attention/reformer.h"

#include <algorithm>
#include <cmath>
#include <string>

namespace qama::ops {
namespace {

/// Tokens that are hashed at a time.
constexpr std::int64_t kRows = 64;

}  // namespace

/// The integers lie in the float scratch: both have four bytes.
struct ReformerAttention::Scratch {
  float* rotated;         ///< [kRows][buckets / 2]
  float* log_sums;        ///< [N] of all rounds so far
  float* keys;            ///< [2 chunk][D]
  float* values;          ///< [2 chunk][D]
  float* queries;         ///< [chunk][D]
  float* mixed;           ///< [chunk][D]
  float* chunk_log_sums;  ///< [chunk]
  float* attend;          ///< of the kernel
  std::int32_t* bucket;   ///< [N]
  std::int32_t* order;    ///< [N] tokens by bucket, then position
  std::int32_t* starts;   ///< [buckets + 1]
};

Result<std::unique_ptr<MixingAttention>> ReformerAttention::create(const MixingShape& shape,
                                                                   const ReformerSpec& spec,
                                                                   const KernelTable& kernels) {
  if (spec.buckets < 2 || spec.buckets % 2 != 0 || spec.chunk < 1) {
    return Error{ErrorCode::invalid_argument,
                 "reformer: " + std::to_string(spec.buckets) + " buckets and chunks of " +
                     std::to_string(spec.chunk) +
                     " tokens, expected an even number and at least 1"};
  }
  const auto size = static_cast<std::size_t>(spec.hashes * shape.dim_head * (spec.buckets / 2));
  if (spec.rotations.size() != size) {
    return bad_mixing_size("reformer", "rotations", spec.rotations.size(), size);
  }
  std::unique_ptr<ReformerAttention> out(new ReformerAttention(shape, kernels));
  out->hashes_ = spec.hashes;
  out->buckets_ = spec.buckets;
  out->chunk_ = std::min(spec.chunk, shape.tokens);
  out->rotations_.resize(size);
  std::copy(spec.rotations.begin(), spec.rotations.end(), out->rotations_.data());
  return std::unique_ptr<MixingAttention>(std::move(out));
}

ReformerAttention::Scratch ReformerAttention::pieces(float* scratch) const noexcept {
  Scratch s{};
  float* next = scratch;
  const auto take = [&](std::int64_t count) {
    float* here = next;
    next += count;
    return here;
  };
  const std::int64_t d = shape_.dim_head;
  s.rotated = take(kRows * (buckets_ / 2));
  s.log_sums = take(shape_.tokens);
  s.keys = take(2 * chunk_ * d);
  s.values = take(2 * chunk_ * d);
  s.queries = take(chunk_ * d);
  s.mixed = take(chunk_ * d);
  s.chunk_log_sums = take(chunk_);
  s.attend = take(softmax_scratch_floats(2 * chunk_, d));
  static_assert(sizeof(std::int32_t) == sizeof(float));
  s.bucket = reinterpret_cast<std::int32_t*>(take(shape_.tokens));
  s.order = reinterpret_cast<std::int32_t*>(take(shape_.tokens));
  s.starts = reinterpret_cast<std::int32_t*>(take(buckets_ + 1));
  return s;
}

std::size_t ReformerAttention::scratch_floats() const noexcept {
  const std::int64_t d = shape_.dim_head;
  return static_cast<std::size_t>(kRows * (buckets_ / 2) + 3 * shape_.tokens + 6 * chunk_ * d +
                                  chunk_ + softmax_scratch_floats(2 * chunk_, d) + buckets_ + 1);
}

std::int64_t ReformerAttention::macs() const noexcept {
  return shape_.tokens * hashes_ * shape_.inner() *
         (buckets_ / 2 + 2 * std::min(2 * chunk_, shape_.tokens));
}

void ReformerAttention::sort(std::int64_t tokens, const float* q, std::int64_t round,
                             const Scratch& s) const noexcept {
  const std::int64_t stride = 2 * shape_.inner();
  const std::int64_t half = buckets_ / 2;
  for (std::int64_t first = 0; first < tokens; first += kRows) {
    const std::int64_t rows = std::min(kRows, tokens - first);
    kernels_->product({.rows = rows,
                       .inner = shape_.dim_head,
                       .columns = half,
                       .a = q + first * stride,
                       .a_row = stride,
                       .a_inner = 1,
                       .b = rotations_.data() + round * shape_.dim_head * half,
                       .b_stride = half,
                       .c = s.rotated,
                       .c_stride = half,
                       .add = false});
    for (std::int64_t r = 0; r < rows; ++r) {
      const float* row = s.rotated + r * half;
      const auto [low, high] = std::minmax_element(row, row + half);
      s.bucket[first + r] =
          static_cast<std::int32_t>(*high >= -*low ? high - row : half + (low - row));
    }
  }
  std::fill(s.starts, s.starts + buckets_ + 1, 0);
  for (std::int64_t i = 0; i < tokens; ++i) ++s.starts[s.bucket[i] + 1];
  for (std::int64_t b = 0; b < buckets_; ++b) s.starts[b + 1] += s.starts[b];
  for (std::int64_t i = 0; i < tokens; ++i) {
    s.order[s.starts[s.bucket[i]]++] = static_cast<std::int32_t>(i);
  }
}

void ReformerAttention::attend_chunk(std::int64_t tokens, const float* q, std::int64_t chunk,
                                     const Scratch& s) const noexcept {
  const std::int64_t d_count = shape_.dim_head;
  const std::int64_t stride = 2 * shape_.inner();
  const std::int64_t chunks = (tokens + chunk_ - 1) / chunk_;
  std::int64_t keys = 0;
  const auto gather = [&](std::int64_t which, bool queries) {
    const std::int64_t end = std::min((which + 1) * chunk_, tokens);
    for (std::int64_t at = which * chunk_; at < end; ++at, ++keys) {
      const float* row = q + s.order[at] * stride;
      float square = 0;
      for (std::int64_t d = 0; d < d_count; ++d) square += row[d] * row[d];
      const float inverse = 1.0F / std::max(std::sqrt(square), kShortest);
      for (std::int64_t d = 0; d < d_count; ++d) s.keys[keys * d_count + d] = row[d] * inverse;
      std::copy_n(row + shape_.inner(), d_count, s.values + keys * d_count);
      if (queries) std::copy_n(row, d_count, s.queries + (at - which * chunk_) * d_count);
    }
  };
  gather(chunk, true);
  const std::int64_t queries = keys;
  if (chunks > 1) gather(chunk == 0 ? chunks - 1 : chunk - 1, false);
  const KeyRange seen[] = {{0, keys, keys > 1 ? kOtherKeys : kEveryKey}};
  kernels_->attend({.queries = queries,
                    .keys = keys,
                    .dim_head = d_count,
                    .q = s.queries,
                    .k = s.keys,
                    .v = s.values,
                    .q_stride = d_count,
                    .k_stride = d_count,
                    .v_stride = d_count,
                    .position = 0,
                    .ranges = seen,
                    .range_count = 1,
                    .scale = score_scale(),
                    .out = s.mixed,
                    .out_stride = d_count,
                    .log_sum = s.chunk_log_sums,
                    .scratch = s.attend});
}

void ReformerAttention::run(std::int64_t tokens, const float* qkv, float* out,
                            float* scratch) const noexcept {
  const std::int64_t inner = shape_.inner();
  const Scratch s = pieces(scratch);
  for (std::int64_t t = 0; t < shape_.heads; ++t) {
    const float* q = qkv + t * shape_.dim_head;
    for (std::int64_t round = 0; round < hashes_; ++round) {
      sort(tokens, q, round, s);
      for (std::int64_t chunk = 0; chunk * chunk_ < tokens; ++chunk) {
        attend_chunk(tokens, q, chunk, s);
        const std::int64_t end = std::min((chunk + 1) * chunk_, tokens);
        for (std::int64_t at = chunk * chunk_; at < end; ++at) {
          const std::int32_t token = s.order[at];
          const std::int64_t row = at - chunk * chunk_;
          const float* mixed = s.mixed + row * shape_.dim_head;
          float* to = out + token * inner + t * shape_.dim_head;
          if (round == 0) {
            std::copy_n(mixed, shape_.dim_head, to);
            s.log_sums[token] = s.chunk_log_sums[row];
            continue;
          }
          const float before = s.log_sums[token];
          const float now = s.chunk_log_sums[row];
          const float share = 1.0F / (1.0F + std::exp(before - now));
          for (std::int64_t d = 0; d < shape_.dim_head; ++d) to[d] += share * (mixed[d] - to[d]);
          s.log_sums[token] =
              std::max(before, now) + std::log1p(std::exp(-std::fabs(before - now)));
        }
      }
    }
  }
}

}  // namespace qama::ops
