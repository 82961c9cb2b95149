#include "hal/cim/quantise.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>

#include "hal/base/sentence.h"

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

/// The scale that brings the largest coupling to the limit.
double coupling_scale(std::int32_t largest) noexcept {
  return 1.0 * kCimSteps / std::max(largest, 1);
}

/// `value` times `scale`, rounded and cut to -bound .. bound.
std::int32_t rounded(float value, double scale, std::int32_t bound) noexcept {
  // Beyond this round_to_int() would fail; it is far outside the bounds.
  constexpr float kCut = 4194304.0F;
  const float scaled = value * static_cast<float>(scale);
  return std::clamp(round_to_int(std::min(std::max(scaled, -kCut), kCut)), -bound, bound);
}

}  // namespace

Result<Quantiser> Quantiser::create(const ProblemShape& largest, const QuantiseOptions& options) {
  QAMA_RETURN_IF_ERROR(validate_shape(largest));
  if (options.max_spins < 2 || options.max_spins > kMaxMachineSpins) {
    return make_error(ErrorCode::invalid_argument, "a machine of ", options.max_spins,
                      " spins, expected 2 to ", kMaxMachineSpins);
  }
  if (options.ancillas < 0 || options.ancillas > kMaxAncillas) {
    return make_error(ErrorCode::invalid_argument, options.ancillas,
                      " ancillas, expected 0 (automatic) to ", kMaxAncillas);
  }
  if (options.scale < 0 || !std::isfinite(options.scale)) {
    return make_error(ErrorCode::invalid_argument, "scale ", options.scale,
                      ", expected 0 (automatic) or a positive number");
  }
  const std::int64_t needed = largest.spins() + std::max(options.ancillas, 1);
  if (needed > options.max_spins) {
    return make_error(ErrorCode::problem_too_large, "a layer of ", largest.heads, " x ",
                      largest.tokens, " spins needs ", needed,
                      " spins with its ancillas, the machine has ", options.max_spins);
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
  const ProblemShape& shape = problem.shape;
  if (shape.heads < 1 || shape.tokens < 1 || shape.heads > largest_.heads ||
      shape.tokens > largest_.tokens) {
    return make_error(ErrorCode::problem_too_large, "a problem of ", shape.heads, " x ",
                      shape.tokens, " spins, expected at most ", largest_.heads, " x ",
                      largest_.tokens);
  }
  const Range range = to_signs(problem);
  const std::int32_t ancillas = ancillas_for(range, shape);
  QAMA_ASSIGN_OR_RETURN(scale_, scale_for(range, ancillas));
  round_couplings(problem, scale_ * range.coupling > kCimSteps + 0.25);
  round_fields(problem, ancillas);
  view_.shape = shape;
  view_.ancillas = ancillas;
  view_.penalty = static_cast<std::int8_t>(rounded(problem.penalty, scale_, kCimSteps));
  view_.tie = static_cast<std::int8_t>(ancillas > 1 ? kCimSteps : 0);
  view_.couplings = couplings_.span().first(coupling_count(shape));
  view_.fields = fields_.span().first(static_cast<std::size_t>(shape.spins()));
  if (report != nullptr) *report = report_on(problem);
  return {};
}

/// From spins of {0, 1} to signs: the fields F, and the largest values.
Quantiser::Range Quantiser::to_signs(const DenseView& problem) {
  const auto tokens = static_cast<std::size_t>(problem.shape.tokens);
  const auto stride = static_cast<std::size_t>(row_stride(problem.shape.tokens));
  const std::int32_t shared = (problem.shape.heads - 1) * problem.penalty;
  Range out;
  out.coupling = problem.penalty;
  const std::int16_t* couplings = problem.couplings;
  const std::int16_t* fields = problem.fields;
  std::int32_t* wide = wide_fields_.data();
  for (std::int32_t t = 0; t < problem.shape.heads; ++t) {
    const Extremes extremes = kScanHead(couplings, problem.shape.tokens, stride, wide);
    out.coupling =
        std::max({out.coupling, std::int32_t{extremes.high}, -std::int32_t{extremes.low}});
    for (std::size_t i = 0; i < tokens; ++i) {
      wide[i] += 2 * fields[i] - shared;
      out.field = std::max(out.field, std::abs(wide[i]));
    }
    couplings += tokens * stride;
    fields += stride;
    wide += tokens;
  }
  return out;
}

/// k: enough for the fields to fit beside couplings at their limit, if the machine has the spins.
std::int32_t Quantiser::ancillas_for(const Range& range, const ProblemShape& shape) const {
  if (options_.ancillas > 0) return options_.ancillas;
  const auto spare =
      static_cast<double>(std::min<std::int64_t>(options_.max_spins - shape.spins(), kMaxAncillas));
  const double wanted = std::ceil(range.field * coupling_scale(range.coupling) / kCimSteps);
  return static_cast<std::int32_t>(std::clamp(wanted, 1.0, spare));
}

/// The largest scale that fits, whole if it is above 1; or the one of the options.
Result<double> Quantiser::scale_for(const Range& range, std::int32_t ancillas) const {
  const double by_couplings = coupling_scale(range.coupling);
  const double by_fields =
      range.field > 0 ? 1.0 * kCimSteps * ancillas / range.field : by_couplings;
  double scale = std::min(by_couplings, by_fields);
  if (scale >= 1) scale = std::floor(scale);
  if (options_.scale > scale && !options_.allow_clipping) {
    return make_error(ErrorCode::problem_bad_value, "scale ", options_.scale,
                      " would clip: largest coupling ", range.coupling, ", largest field ",
                      range.field, ", expected a scale of at most ", scale);
  }
  return options_.scale > 0 ? options_.scale : scale;
}

void Quantiser::round_couplings(const DenseView& problem, bool clips) {
  const auto tokens = static_cast<std::size_t>(problem.shape.tokens);
  const auto stride = static_cast<std::size_t>(row_stride(problem.shape.tokens));
  const std::int16_t* head = problem.couplings;
  std::int8_t* to = couplings_.data();
  for (std::int32_t t = 0; t < problem.shape.heads; ++t, head += tokens * stride) {
    if (!clips) {
      kRoundHead(head, problem.shape.tokens, stride, static_cast<float>(scale_), to);
      to += tokens * (tokens - 1) / 2;
      continue;
    }
    for (std::size_t i = 0; i < tokens; ++i) {
      for (std::size_t j = i + 1; j < tokens; ++j)
        *to++ = static_cast<std::int8_t>(rounded(head[i * stride + j], scale_, kCimSteps));
    }
  }
}

void Quantiser::round_fields(const DenseView& problem, std::int32_t ancillas) {
  const auto spins = static_cast<std::size_t>(problem.shape.spins());
  for (std::size_t i = 0; i < spins; ++i) {
    fields_[i] = static_cast<std::int16_t>(
        rounded(static_cast<float>(wide_fields_[i]), scale_, kCimSteps * ancillas));
  }
}

QuantiseReport Quantiser::report_on(const DenseView& problem) const {
  const auto tokens = static_cast<std::size_t>(problem.shape.tokens);
  const auto stride = static_cast<std::size_t>(row_stride(problem.shape.tokens));
  QuantiseReport out;
  out.scale = scale_;
  out.ancillas = view_.ancillas;
  double error_sum = 0, square_sum = 0, sum = 0, zeroed = 0, unequal_zero = 0;
  const auto price = [&](double value, double got, double bound) {
    const double exact = value * scale_;
    if (std::fabs(exact) > bound + 0.5) ++out.clipped;
    const double error = std::fabs(exact - got);
    out.max_error = std::max(out.max_error, error);
    return error;
  };
  const std::int8_t* from = couplings_.data();
  const std::int16_t* row = problem.couplings;
  for (std::size_t at = 0; at < view_.fields.size(); ++at, row += stride) {
    for (std::size_t j = at % tokens + 1; j < tokens; ++j) {
      const std::int8_t got = *from++;
      error_sum += price(row[j], got, kCimSteps);
      square_sum += 1.0 * got * got;
      sum += got;
      if (row[j] != 0) ++unequal_zero;
      if (row[j] != 0 && got == 0) ++zeroed;
    }
  }
  for (std::size_t i = 0; i < view_.fields.size(); ++i)
    price(wide_fields_[i], fields_[i], kCimSteps * view_.ancillas);
  price(problem.penalty, view_.penalty, kCimSteps);
  const double count = std::max(static_cast<double>(view_.couplings.size()), 1.0);
  const double mean = sum / count;
  out.mean_error = error_sum / count;
  out.coupling_deviation = std::sqrt(std::max(square_sum / count - mean * mean, 0.0));
  out.zeroed_share = unequal_zero > 0 ? zeroed / unequal_zero : 0;
  out.exact = scale_ == std::floor(scale_) && out.clipped == 0;
  return out;
}

}  // namespace qama::hal::cim
