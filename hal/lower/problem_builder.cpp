#include "hal/lower/problem_builder.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <string>

#include "hal/base/sentence.h"

namespace qama::hal {

namespace {

constexpr std::int32_t kRows = 4;

/// Copies the upper triangle of a matrix to the lower one, in blocks that stay in the cache.
void mirror(std::int16_t* matrix, std::int32_t tokens, std::size_t stride) {
  constexpr std::int32_t kBlock = 16;
  for (std::int32_t top = 0; top < tokens; top += kBlock) {
    for (std::int32_t left = 0; left <= top; left += kBlock) {
      for (std::int32_t j = top; j < std::min(top + kBlock, tokens); ++j) {
        std::int16_t* to = matrix + static_cast<std::size_t>(j) * stride;
        for (std::int32_t i = left; i < std::min(left + kBlock, j); ++i)
          to[i] = matrix[static_cast<std::size_t>(i) * stride + static_cast<std::size_t>(j)];
      }
    }
  }
}

}  // namespace

Result<ProblemBuffer> ProblemBuffer::create(const ProblemShape& largest) {
  QAMA_RETURN_IF_ERROR(validate_shape(largest));
  ProblemBuffer out;
  out.largest_ = largest;
  const std::size_t stride = static_cast<std::size_t>(row_stride(largest.tokens));
  out.couplings_.resize(static_cast<std::size_t>(largest.heads) * largest.tokens * stride);
  out.fields_.resize(static_cast<std::size_t>(largest.heads) * stride);
  out.sums_.resize(static_cast<std::size_t>(largest.tokens));
  return out;
}

ProblemBuffer::Target ProblemBuffer::target(const ProblemShape& shape) noexcept {
  problem_ = DenseView{};
  problem_.shape = shape;
  problem_.couplings = couplings_.data();
  problem_.fields = fields_.data();
  return {couplings_.data(), fields_.data(), &problem_};
}

Status ProblemBuffer::build(const ProblemShape& shape, const float* couplings,
                            std::int64_t coupling_stride, const float* fields,
                            std::int64_t field_stride, float lambda, std::int64_t rows_per_head) {
  if (shape.heads < 1 || shape.tokens < 1 || shape.heads > largest_.heads ||
      shape.tokens > largest_.tokens) {
    return Error{ErrorCode::problem_too_large,
                 "a problem of " + std::to_string(shape.heads) + " x " +
                     std::to_string(shape.tokens) + " spins, expected at most " +
                     std::to_string(largest_.heads) + " x " + std::to_string(largest_.tokens)};
  }
  if (!(lambda >= 0.0F) || !std::isfinite(lambda)) {
    return make_error(ErrorCode::problem_bad_value, "penalty is ", lambda,
                      ", expected a finite number >= 0");
  }
  const std::int32_t heads = shape.heads;
  const std::int32_t tokens = shape.tokens;
  const std::size_t stride = static_cast<std::size_t>(row_stride(tokens));

  if (rows_per_head == 0) rows_per_head = tokens;
  double largest_sum = 0;
  for (std::int32_t t = 0; t < heads; ++t) {
    for (std::int32_t i = 0; i < tokens; ++i) {
      sums_[static_cast<std::size_t>(i)] =
          std::fabs(static_cast<double>(fields[t * field_stride + i])) +
          static_cast<double>(lambda) * (heads - 1);
    }
    // What is summed up is what is stored, the upper triangle: a lower one that differs must not
    // spoil fits_int16. Rows go four at a time, each in the order of its columns: four sums that
    // do not wait for each other.
    for (std::int32_t i = 0; i < tokens; i += kRows) {
      const std::int32_t rows = std::min(kRows, tokens - i);
      const float* first = couplings + (t * rows_per_head + i) * coupling_stride;
      std::array<double, kRows> sum{};
      for (std::int32_t r = 0; r < rows; ++r) {
        const float* row = first + r * coupling_stride;
        double& own = sum[static_cast<std::size_t>(r)];
        own = sums_[static_cast<std::size_t>(i + r)];
        for (std::int32_t j = i + r + 1; j < i + rows; ++j) {
          const double size = std::fabs(static_cast<double>(row[j]));
          own += size;
          sums_[static_cast<std::size_t>(j)] += size;
        }
      }
      for (std::int32_t j = i + kRows; j < tokens; ++j) {
        double& own = sums_[static_cast<std::size_t>(j)];
        for (std::int32_t r = 0; r < kRows; ++r) {
          const double size = std::fabs(static_cast<double>(first[r * coupling_stride + j]));
          sum[static_cast<std::size_t>(r)] += size;
          own += size;
        }
      }
      for (std::int32_t r = 0; r < rows; ++r) {
        if (!std::isfinite(sum[static_cast<std::size_t>(r)])) {
          return Error{ErrorCode::problem_bad_value,
                       "head " + std::to_string(t) + ", spin " + std::to_string(i + r) +
                           ": a coupling or field is not a finite number"};
        }
        largest_sum = std::max(largest_sum, sum[static_cast<std::size_t>(r)]);
      }
    }
  }
  // Rounding may add 1/2 for each of the tokens - 1 couplings, the field and the heads - 1
  // penalties; 2 more cover the rounding of the sums themselves.
  const double room = 32765.0 - 0.5 * (tokens + heads);
  const double scale = largest_sum > 0 ? room / largest_sum : 1.0;
  // To the nearest, ties to even, as lrint(), which is a call for each number: behind 1.5 * 2^52 a
  // double has no fraction.
  const auto rounded = [scale](float value) {
    constexpr double kWhole = 6755399441055744.0;
    return static_cast<std::int16_t>(
        static_cast<std::int32_t>((static_cast<double>(value) * scale + kWhole) - kWhole));
  };

  const Target out = target(shape);
  std::int64_t squares = 0;
  for (std::int32_t t = 0; t < heads; ++t) {
    std::int16_t* head = out.couplings + static_cast<std::size_t>(t) * tokens * stride;
    for (std::int32_t i = 0; i < tokens; ++i) {
      const float* row = couplings + (t * rows_per_head + i) * coupling_stride;
      std::int16_t* to = head + static_cast<std::size_t>(i) * stride;
      to[i] = 0;
      for (std::int32_t j = i + 1; j < tokens; ++j) to[j] = rounded(row[j]);
      for (std::int32_t j = i + 1; j < tokens; ++j) squares += std::int32_t{to[j]} * to[j];
      std::memset(to + tokens, 0, (stride - tokens) * sizeof(std::int16_t));
    }
    mirror(head, tokens, stride);
    std::int16_t* to = out.fields + static_cast<std::size_t>(t) * stride;
    for (std::int32_t i = 0; i < tokens; ++i) to[i] = rounded(fields[t * field_stride + i]);
    std::memset(to + tokens, 0, (stride - tokens) * sizeof(std::int16_t));
  }
  // With one head lambda is outside the sums above, so that it might not fit; nor does it mean
  // anything.
  out.problem->penalty = heads > 1 ? rounded(lambda) : std::int16_t{0};
  out.problem->scale = scale;
  // Each pair stands in two rows.
  out.problem->row_norm =
      squares == 0
          ? 1.0
          : std::sqrt(2.0 * static_cast<double>(squares) / static_cast<double>(heads * tokens));
  return {};
}

}  // namespace qama::hal
