#include "hal/cim/quantise.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstdlib>

namespace qama::hal::cim {
namespace {

// Adding 1.5 * 2^23 leaves a small float's nearest integer in the low bits (ties to even), without
// a branch or a call, so that loops over couplings vectorise on every target.
inline constexpr float kRounder = 12582912.0F;

[[gnu::always_inline]] inline std::int32_t round_to_int(float value) noexcept {
  return std::bit_cast<std::int32_t>(value + kRounder) - std::bit_cast<std::int32_t>(kRounder);
}

// The two passes over a head's couplings are nearly all of the work; on x86 they are compiled for
// AVX2 as well, with the same numbers.
struct Extremes {
  std::int16_t low = 0, high = 0;
};
[[gnu::always_inline]] inline Extremes scan_head_body(const std::int16_t* head, std::int32_t tokens,
                                                      std::size_t stride, std::int32_t* sums) {
  Extremes out;
  for (std::int32_t i = 0; i < tokens; ++i) {
    const std::int16_t* row = head + static_cast<std::size_t>(i) * stride;
    std::int16_t low = 0;
    std::int16_t high = 0;
    std::uint16_t sum = 0;  // exact: fits_int16
    for (std::size_t j = 0; j < stride; ++j) {
      low = std::min(low, row[j]);
      high = std::max(high, row[j]);
      sum = static_cast<std::uint16_t>(sum + static_cast<std::uint16_t>(row[j]));
    }
    sums[i] = static_cast<std::int16_t>(sum);
    out.low = std::min(out.low, low);
    out.high = std::max(out.high, high);
  }
  return out;
}
// The upper triangle times `factor`, which must keep every product within +-127.5.
[[gnu::always_inline]] inline void round_head_body(const std::int16_t* head, std::int32_t tokens,
                                                   std::size_t stride, float factor,
                                                   std::int8_t* to) {
  for (std::int32_t i = 0; i + 1 < tokens; ++i) {
    const std::int16_t* row = head + static_cast<std::size_t>(i) * stride + i + 1;
    const std::int32_t length = tokens - 1 - i;
    for (std::int32_t j = 0; j < length; ++j) {
      to[j] = static_cast<std::int8_t>(round_to_int(static_cast<float>(row[j]) * factor));
    }
    to += length;
  }
}

using ScanHead = Extremes (*)(const std::int16_t*, std::int32_t, std::size_t, std::int32_t*);
using RoundHead = void (*)(const std::int16_t*, std::int32_t, std::size_t, float, std::int8_t*);

Extremes scan_head_plain(const std::int16_t* head, std::int32_t tokens, std::size_t stride,
                         std::int32_t* sums) {
  return scan_head_body(head, tokens, stride, sums);
}
void round_head_plain(const std::int16_t* head, std::int32_t tokens, std::size_t stride,
                      float factor, std::int8_t* to) {
  round_head_body(head, tokens, stride, factor, to);
}
#if defined(__x86_64__)
[[gnu::target("avx2")]] Extremes scan_head_avx2(const std::int16_t* head, std::int32_t tokens,
                                                std::size_t stride, std::int32_t* sums) {
  return scan_head_body(head, tokens, stride, sums);
}
[[gnu::target("avx2")]] void round_head_avx2(const std::int16_t* head, std::int32_t tokens,
                                             std::size_t stride, float factor, std::int8_t* to) {
  round_head_body(head, tokens, stride, factor, to);
}
const bool kHasAvx2 = __builtin_cpu_supports("avx2") != 0;
const ScanHead kScanHead = kHasAvx2 ? scan_head_avx2 : scan_head_plain;
const RoundHead kRoundHead = kHasAvx2 ? round_head_avx2 : round_head_plain;
#else
const ScanHead kScanHead = scan_head_plain;
const RoundHead kRoundHead = round_head_plain;
#endif

/// Floor division of a field over k ancillas.
struct FieldSplit {
  std::int32_t quotient;
  std::int32_t remainder;
};
FieldSplit split_field(std::int32_t field, std::int32_t ancillas) noexcept {
  std::int32_t quotient = field / ancillas;
  std::int32_t remainder = field % ancillas;
  if (remainder < 0) {
    remainder += ancillas;
    --quotient;
  }
  return {quotient, remainder};
}

}  // namespace

Result<Quantiser> Quantiser::create(const ProblemShape& largest, const QuantiseOptions& options) {
  QAMA_RETURN_IF_ERROR(validate_shape(largest));
  if (options.max_spins < 2 || options.max_spins > kMaxMachineSpins) {
    return Error{ErrorCode::invalid_argument, "a machine of " + std::to_string(options.max_spins) +
                                                  " spins, expected 2 to " +
                                                  std::to_string(kMaxMachineSpins)};
  }
  if (options.ancillas < 0 || options.ancillas > kMaxAncillas) {
    return Error{ErrorCode::invalid_argument, std::to_string(options.ancillas) +
                                                  " ancillas, expected 0 (automatic) to " +
                                                  std::to_string(kMaxAncillas)};
  }
  if (options.scale < 0 || !std::isfinite(options.scale)) {
    return Error{ErrorCode::invalid_argument, "scale " + std::to_string(options.scale) +
                                                  ", expected 0 (automatic) or a positive number"};
  }
  const std::int64_t needed = largest.spins() + std::max(options.ancillas, 1);
  if (needed > options.max_spins) {
    return Error{ErrorCode::problem_too_large, "a layer of " + std::to_string(largest.heads) +
                                                   " x " + std::to_string(largest.tokens) +
                                                   " spins needs " + std::to_string(needed) +
                                                   " spins with its ancillas, the machine has " +
                                                   std::to_string(options.max_spins)};
  }
  Quantiser out;
  out.largest_ = largest;
  out.options_ = options;
  out.couplings_.resize(std::max<std::size_t>(coupling_count(largest), 1));
  out.fields_.resize(static_cast<std::size_t>(largest.spins()));
  out.wide_fields_.resize(static_cast<std::size_t>(largest.spins()));
  return out;
}

Status Quantiser::run(const DenseView& problem, QuantiseReport* report) {
  const std::int32_t heads = problem.shape.heads;
  const std::int32_t tokens = problem.shape.tokens;
  if (heads < 1 || tokens < 1 || heads > largest_.heads || tokens > largest_.tokens) {
    return Error{ErrorCode::problem_too_large,
                 "a problem of " + std::to_string(heads) + " x " + std::to_string(tokens) +
                     " spins, expected at most " + std::to_string(largest_.heads) + " x " +
                     std::to_string(largest_.tokens)};
  }
  const std::size_t stride = static_cast<std::size_t>(row_stride(tokens));

  // The fields of the +-1 problem and the largest values. A row's sum fits int16 (fits_int16).
  std::int32_t largest_coupling = problem.penalty;
  std::int32_t largest_field = 0;
  const std::int32_t shared = (heads - 1) * problem.penalty;
  for (std::int32_t t = 0; t < heads; ++t) {
    const std::int16_t* fields = problem.fields + static_cast<std::size_t>(t) * stride;
    std::int32_t* wide = wide_fields_.data() + static_cast<std::size_t>(t) * tokens;
    const Extremes extremes = kScanHead(
        problem.couplings + static_cast<std::size_t>(t) * tokens * stride, tokens, stride, wide);
    for (std::int32_t i = 0; i < tokens; ++i) {
      wide[i] += 2 * fields[i] - shared;
      largest_field = std::max(largest_field, std::abs(wide[i]));
    }
    largest_coupling = std::max({largest_coupling, static_cast<std::int32_t>(extremes.high),
                                 -static_cast<std::int32_t>(extremes.low)});
  }

  const double limit = kCouplingLimit;
  const double coupling_scale =
      largest_coupling > 0 ? limit / largest_coupling : static_cast<double>(kCouplingLimit);
  std::int32_t ancillas = options_.ancillas;
  if (ancillas == 0) {
    const std::int32_t spare = std::min(options_.max_spins - heads * tokens, kMaxAncillas);
    const double wanted = std::ceil(largest_field * coupling_scale / limit);
    ancillas = static_cast<std::int32_t>(std::clamp(wanted, 1.0, static_cast<double>(spare)));
  }
  const double field_scale = largest_field > 0 ? limit * ancillas / largest_field : coupling_scale;
  double scale = std::min(coupling_scale, field_scale);
  if (scale >= 1) scale = std::floor(scale);
  if (options_.scale > 0) {
    if (options_.scale > scale && !options_.allow_clipping) {
      return Error{ErrorCode::problem_bad_value,
                   "scale " + std::to_string(options_.scale) + " would clip: largest coupling " +
                       std::to_string(largest_coupling) + ", largest field " +
                       std::to_string(largest_field) + ", expected a scale of at most " +
                       std::to_string(scale)};
    }
    scale = options_.scale;
  }
  scale_ = scale;
  const bool clips = scale * largest_coupling > kCouplingLimit + 0.25;

  const float factor = static_cast<float>(scale);
  // Beyond this the rounding trick would fail; it is far outside the range that is cut to anyway.
  const float cut = 4194304.0F;
  const auto cut_to = [](std::int32_t value, std::int32_t bound) {
    return std::min(std::max(value, -bound), bound);
  };
  const auto quantised = [&](float value, std::int32_t bound) {
    return cut_to(round_to_int(std::min(std::max(value * factor, -cut), cut)), bound);
  };
  std::int8_t* to = couplings_.data();
  for (std::int32_t t = 0; t < heads; ++t) {
    const std::int16_t* head = problem.couplings + static_cast<std::size_t>(t) * tokens * stride;
    if (!clips) {
      kRoundHead(head, tokens, stride, factor, to);
      to += static_cast<std::size_t>(tokens) * (tokens - 1) / 2;
      continue;
    }
    for (std::int32_t i = 0; i < tokens; ++i) {
      for (std::int32_t j = i + 1; j < tokens; ++j) {
        *to++ = static_cast<std::int8_t>(
            quantised(head[static_cast<std::size_t>(i) * stride + j], kCouplingLimit));
      }
    }
  }
  const std::int32_t field_bound = kCouplingLimit * ancillas;
  const std::int64_t spins = problem.shape.spins();
  for (std::int64_t i = 0; i < spins; ++i) {
    fields_[i] =
        static_cast<std::int16_t>(quantised(static_cast<float>(wide_fields_[i]), field_bound));
  }

  block_.shape = problem.shape;
  block_.ancillas = ancillas;
  block_.penalty = static_cast<std::int8_t>(quantised(problem.penalty, kCouplingLimit));
  block_.tie = static_cast<std::int8_t>(ancillas > 1 ? kCouplingLimit : 0);
  block_.couplings = {couplings_.data(), coupling_count(problem.shape)};
  block_.fields = {fields_.data(), static_cast<std::size_t>(spins)};

  if (report != nullptr) {
    QuantiseReport out;
    out.scale = scale;
    out.exact = scale == std::floor(scale);
    out.ancillas = ancillas;
    double error_sum = 0;
    double square_sum = 0;
    double sum = 0;
    std::int64_t zeroed = 0;
    std::int64_t unequal_zero = 0;
    const auto price = [&](double value, double got, double bound) {
      const double exact = value * scale;
      if (std::fabs(exact) > bound + 0.5) ++out.clipped;
      const double error = std::fabs(exact - got);
      out.max_error = std::max(out.max_error, error);
      return error;
    };
    const std::int8_t* from = couplings_.data();
    for (std::int32_t t = 0; t < heads; ++t) {
      for (std::int32_t i = 0; i + 1 < tokens; ++i) {
        const std::int16_t* row =
            problem.couplings + (static_cast<std::size_t>(t) * tokens + i) * stride;
        for (std::int32_t j = i + 1; j < tokens; ++j) {
          const std::int8_t got = *from++;
          error_sum += price(row[j], got, kCouplingLimit);
          square_sum += static_cast<double>(got) * got;
          sum += got;
          if (row[j] != 0) {
            ++unequal_zero;
            if (got == 0) ++zeroed;
          }
        }
      }
    }
    for (std::int64_t i = 0; i < spins; ++i) {
      price(wide_fields_[i], fields_[i], field_bound);
    }
    price(problem.penalty, block_.penalty, kCouplingLimit);
    const double count = std::max<double>(static_cast<double>(block_.couplings.size()), 1);
    out.mean_error = error_sum / count;
    out.coupling_deviation =
        std::sqrt(std::max(square_sum / count - (sum / count) * (sum / count), 0.0));
    out.zeroed_share =
        unequal_zero > 0 ? static_cast<double>(zeroed) / static_cast<double>(unequal_zero) : 0;
    out.exact = out.exact && out.clipped == 0;
    *report = out;
  }
  return {};
}

void Quantiser::expand(std::span<std::int8_t> matrix) const {
  expand_block(block_, matrix);
}

void expand_block(const BlockProblem& block, std::span<std::int8_t> matrix) {
  const std::int32_t tokens = block.shape.tokens;
  const std::int32_t n = static_cast<std::int32_t>(block.shape.spins());
  const std::size_t width = static_cast<std::size_t>(block.spins());
  std::fill(matrix.begin(), matrix.end(), std::int8_t{0});
  const auto set = [&](std::int32_t a, std::int32_t b, std::int32_t value) {
    matrix[static_cast<std::size_t>(a) * width + b] = static_cast<std::int8_t>(value);
    matrix[static_cast<std::size_t>(b) * width + a] = static_cast<std::int8_t>(value);
  };
  const std::int8_t* from = block.couplings.data();
  for (std::int32_t t = 0; t < block.shape.heads; ++t) {
    for (std::int32_t i = 0; i + 1 < tokens; ++i) {
      for (std::int32_t j = i + 1; j < tokens; ++j) set(t * tokens + i, t * tokens + j, *from++);
    }
    for (std::int32_t u = t + 1; u < block.shape.heads; ++u) {
      for (std::int32_t i = 0; i < tokens; ++i) set(t * tokens + i, u * tokens + i, -block.penalty);
    }
  }
  for (std::int32_t i = 0; i < n; ++i) {
    const FieldSplit split = split_field(block.fields[i], block.ancillas);
    for (std::int32_t a = 0; a < block.ancillas; ++a) {
      set(i, n + a, split.quotient + (a < split.remainder ? 1 : 0));
    }
  }
  for (std::int32_t a = 0; a < block.ancillas; ++a) {
    for (std::int32_t b = a + 1; b < block.ancillas; ++b) set(n + a, n + b, block.tie);
  }
}

Result<BlockProblem> fold_matrix(std::span<const std::int8_t> matrix, const ProblemShape& shape,
                                 std::int32_t ancillas, std::span<std::int8_t> couplings,
                                 std::span<std::int16_t> fields) {
  const std::int32_t tokens = shape.tokens;
  const std::int32_t n = static_cast<std::int32_t>(shape.spins());
  const std::size_t width = static_cast<std::size_t>(n + ancillas);
  if (ancillas < 1 || matrix.size() != width * width || couplings.size() < coupling_count(shape) ||
      fields.size() < static_cast<std::size_t>(n)) {
    return Error{ErrorCode::problem_bad_value, "a matrix of " + std::to_string(matrix.size()) +
                                                   " values, expected " +
                                                   std::to_string(width * width)};
  }
  const auto at = [&](std::int32_t a, std::int32_t b) {
    return matrix[static_cast<std::size_t>(a) * width + b];
  };
  BlockProblem block;
  block.shape = shape;
  block.ancillas = ancillas;
  if (shape.heads > 1) block.penalty = static_cast<std::int8_t>(-at(0, tokens));
  if (ancillas > 1) block.tie = at(n, n + 1);
  std::int8_t* to = couplings.data();
  for (std::int32_t t = 0; t < shape.heads; ++t) {
    for (std::int32_t i = 0; i + 1 < tokens; ++i) {
      for (std::int32_t j = i + 1; j < tokens; ++j) *to++ = at(t * tokens + i, t * tokens + j);
    }
  }
  for (std::int32_t i = 0; i < n; ++i) {
    std::int32_t sum = 0;
    for (std::int32_t a = 0; a < ancillas; ++a) sum += at(i, n + a);
    fields[i] = static_cast<std::int16_t>(sum);
  }
  block.couplings = couplings.first(coupling_count(shape));
  block.fields = fields.first(static_cast<std::size_t>(n));
  AlignedBuffer<std::int8_t> again(matrix.size());
  expand_block(block, again.span());
  if (!std::equal(matrix.begin(), matrix.end(), again.data())) {
    return Error{ErrorCode::problem_bad_value, "the matrix is not that of a problem of " +
                                                   std::to_string(shape.heads) + " x " +
                                                   std::to_string(tokens) + " spins with " +
                                                   std::to_string(ancillas) + " ancillas"};
  }
  return block;
}

std::string matrix_csv(std::span<const std::int8_t> matrix, std::int32_t spins) {
  std::string out;
  out.reserve(matrix.size() * 4);
  for (std::int32_t i = 0; i < spins; ++i) {
    for (std::int32_t j = 0; j < spins; ++j) {
      if (j > 0) out += ',';
      char digits[8];
      const auto end = std::to_chars(digits, digits + sizeof digits,
                                     matrix[static_cast<std::size_t>(i) * spins + j]);
      out.append(digits, end.ptr);
    }
    out += '\n';
  }
  return out;
}

Status unpack_spins(const BlockProblem& block, std::span<const std::uint8_t> packed,
                    std::span<std::uint64_t> spins) {
  const std::int32_t tokens = block.shape.tokens;
  const std::int32_t heads = block.shape.heads;
  const std::int32_t total = block.spins();
  const std::size_t expected = (static_cast<std::size_t>(total) + 7) / 8;
  const std::int32_t words = words_per_head(tokens);
  if (packed.size() != expected) {
    return Error{ErrorCode::device_bad_answer, "an answer of " + std::to_string(packed.size()) +
                                                   " bytes of spins, expected " +
                                                   std::to_string(expected)};
  }
  if (spins.size() < static_cast<std::size_t>(heads) * words) {
    return Error{ErrorCode::invalid_argument, "room for " + std::to_string(spins.size()) +
                                                  " words of spins, expected " +
                                                  std::to_string(heads * words)};
  }
  if (total % 8 != 0 && (packed[expected - 1] >> (total % 8)) != 0) {
    return Error{ErrorCode::device_bad_answer,
                 "the answer holds spins behind the last, number " + std::to_string(total - 1)};
  }
  const std::int32_t n = heads * tokens;
  for (std::int32_t a = 0; a < block.ancillas; ++a) {
    const std::int32_t bit = n + a;
    if (((packed[static_cast<std::size_t>(bit / 8)] >> (bit % 8)) & 1U) == 0) {
      return Error{ErrorCode::device_bad_answer, "ancilla " + std::to_string(a) + " of " +
                                                     std::to_string(block.ancillas) +
                                                     " is -1 in the answer, expected +1"};
    }
  }
  const auto byte_at = [&](std::int32_t index) -> std::uint64_t {
    return static_cast<std::size_t>(index) < expected ? packed[static_cast<std::size_t>(index)] : 0;
  };
  for (std::int32_t t = 0; t < heads; ++t) {
    for (std::int32_t w = 0; w < words; ++w) {
      const std::int32_t first = t * tokens + w * 64;
      const std::int32_t count = std::min(tokens - w * 64, 64);
      std::uint64_t word = 0;
      for (std::int32_t b = 0; b < 8; ++b) word |= byte_at(first / 8 + b) << (8 * b);
      if (first % 8 != 0) {
        word = (word >> (first % 8)) | (byte_at(first / 8 + 8) << (64 - first % 8));
      }
      if (count < 64) word &= (std::uint64_t{1} << count) - 1;
      spins[static_cast<std::size_t>(t) * words + w] = word;
    }
  }
  return {};
}

PackedEnergy::PackedEnergy(const ProblemShape& largest) {
  sigma_.resize(static_cast<std::size_t>(largest.heads) * (row_stride(largest.tokens) + 64));
  sums_.resize(static_cast<std::size_t>(largest.tokens));
}

std::int64_t PackedEnergy::operator()(const BlockProblem& block,
                                      std::span<const std::uint64_t> spins) noexcept {
  constexpr std::size_t kStep = 16;
  const std::int32_t tokens = block.shape.tokens;
  const std::int32_t words = words_per_head(tokens);
  const std::size_t stride = static_cast<std::size_t>(row_stride(tokens)) + 64;
  std::fill_n(sums_.data(), tokens, 0);
  const std::int8_t* row = block.couplings.data();
  const std::int8_t* const end = row + block.couplings.size();
  std::int64_t coupled = 0;
  std::int64_t linear = 0;
  for (std::int32_t t = 0; t < block.shape.heads; ++t) {
    std::int16_t* sigma = sigma_.data() + static_cast<std::size_t>(t) * stride;
    const std::int16_t* fields = block.fields.data() + static_cast<std::size_t>(t) * tokens;
    std::fill_n(sigma + tokens, stride - tokens, std::int16_t{0});
    for (std::int32_t i = 0; i < tokens; ++i) {
      const std::uint64_t word = spins[static_cast<std::size_t>(t) * words + i / 64];
      sigma[i] = ((word >> (i % 64)) & 1U) != 0 ? std::int16_t{1} : std::int16_t{-1};
      sums_[i] += sigma[i];
      linear += fields[i] * sigma[i];
    }
    for (std::int32_t i = 0; i + 1 < tokens; ++i) {
      const std::int16_t* with = sigma + i + 1;
      const std::size_t length = static_cast<std::size_t>(tokens - 1 - i);
      // Whole steps read on into the next rows, where sigma is 0; only the last rows end one by
      // one.
      std::int32_t sum = 0;
      std::size_t j = 0;
      for (; j < length && row + j + kStep <= end; j += kStep) {
        for (std::size_t lane = 0; lane < kStep; ++lane) {
          sum += static_cast<std::int16_t>(row[j + lane]) * with[j + lane];
        }
      }
      for (; j < length; ++j) sum += row[j] * with[j];
      coupled += sum * sigma[i];
      row += length;
    }
  }
  std::int64_t pairs = 0;
  for (std::int32_t i = 0; i < tokens; ++i) {
    pairs += (static_cast<std::int64_t>(sums_[i]) * sums_[i] - block.shape.heads) / 2;
  }
  return -coupled - linear + block.penalty * pairs;
}

}  // namespace qama::hal::cim
