#include "hal/verify.h"

#include <algorithm>
#include <string>

namespace qama::hal {

Result<Verifier> Verifier::create(const Workload& workload) {
  const ProblemShape& largest = workload.shape;
  Verifier out;
  out.largest_ = largest;
  if (workload.form != Form::dense && workload.form != Form::planes) return out;
  QAMA_RETURN_IF_ERROR(validate_shape(largest));
  out.mask_.resize(static_cast<std::size_t>(row_stride(largest.tokens)));
  out.counts_.resize(static_cast<std::size_t>(row_stride(largest.tokens)));
  return out;
}

std::int64_t Verifier::energy(const DenseView& problem,
                              std::span<const std::uint64_t> spins) noexcept {
  const std::int32_t tokens = problem.shape.tokens;
  const std::int32_t words = words_per_head(tokens);
  const std::int32_t stride = row_stride(tokens);
  std::int16_t* mask = mask_.data();
  std::int32_t* counts = counts_.data();
  std::fill_n(counts, stride, 0);
  std::int64_t twice_coupled = 0;
  std::int64_t linear = 0;
  for (std::int32_t t = 0; t < problem.shape.heads; ++t) {
    const std::uint64_t* bits = spins.data() + static_cast<std::size_t>(t) * words;
    for (std::int32_t w = 0; w < words; ++w) {
      const std::uint64_t word = bits[w];
      for (std::int32_t b = 0; b < 64; ++b) {
        mask[w * 64 + b] = static_cast<std::int16_t>(-static_cast<std::int32_t>((word >> b) & 1U));
      }
    }
    const std::int16_t* fields = problem.fields + static_cast<std::size_t>(t) * stride;
    const std::int16_t* head = problem.couplings + static_cast<std::size_t>(t) * tokens * stride;
    for (std::int32_t i = 0; i < tokens; ++i) {
      if (mask[i] == 0) continue;
      const std::int16_t* row = head + static_cast<std::size_t>(i) * stride;
      // A row's absolute sum fits int16 (fits_int16), so the 16-bit sum is exact.
      std::uint16_t sum = 0;
      for (std::int32_t j = 0; j < stride; ++j) {
        sum = static_cast<std::uint16_t>(sum + static_cast<std::uint16_t>(row[j] & mask[j]));
      }
      twice_coupled += static_cast<std::int16_t>(sum);
      linear += fields[i];
    }
    for (std::int32_t i = 0; i < stride; ++i) counts[i] -= mask[i];
  }
  std::int64_t pairs = 0;
  for (std::int32_t i = 0; i < tokens; ++i) {
    pairs += static_cast<std::int64_t>(counts[i]) * (counts[i] - 1) / 2;
  }
  return -twice_coupled / 2 - linear + problem.penalty * pairs;
}

Status Verifier::check_and_price(const Problem& problem, std::span<const std::uint64_t> spins,
                                 std::int64_t& energy_out) {
  const ProblemShape shape = shape_of(problem);
  const std::int32_t tokens = shape.tokens;
  if (shape.heads < 1 || tokens < 1 || shape.heads > largest_.heads || tokens > largest_.tokens) {
    return Error{ErrorCode::problem_too_large,
                 "a problem of " + std::to_string(shape.heads) + " x " + std::to_string(tokens) +
                     " spins, expected at most " + std::to_string(largest_.heads) + " x " +
                     std::to_string(largest_.tokens)};
  }
  const std::size_t words = static_cast<std::size_t>(words_per_head(tokens));
  const std::size_t expected = words * static_cast<std::size_t>(shape.heads);
  if (spins.size() < expected) {
    return Error{ErrorCode::device_bad_answer, "an answer of " + std::to_string(spins.size()) +
                                                   " words of spins, expected " +
                                                   std::to_string(expected)};
  }
  if (tokens % 64 != 0) {
    const std::uint64_t behind = ~std::uint64_t{0} << (tokens % 64);
    for (std::int32_t t = 0; t < shape.heads; ++t) {
      if ((spins[static_cast<std::size_t>(t) * words + words - 1] & behind) != 0) {
        return Error{ErrorCode::device_bad_answer, "head " + std::to_string(t) +
                                                       ": the answer selects spins behind token " +
                                                       std::to_string(tokens - 1)};
      }
    }
  }
  if (const auto* dense = std::get_if<DenseView>(&problem)) {
    energy_out = energy(*dense, spins);
  } else if (const auto* sparse = std::get_if<SparseView>(&problem)) {
    energy_out = energy_of(*sparse, spins);
  } else {
    energy_out = 0;
  }
  return {};
}

Status Verifier::verify_answer(const Problem& problem, std::span<const std::uint64_t> spins,
                               std::int64_t claimed) {
  std::int64_t exact = 0;
  QAMA_RETURN_IF_ERROR(check_and_price(problem, spins, exact));
  if (exact != claimed) {
    return Error{ErrorCode::device_bad_answer, "the answer's energy is " + std::to_string(exact) +
                                                   ", its device claims " +
                                                   std::to_string(claimed)};
  }
  return {};
}

}  // namespace qama::hal
