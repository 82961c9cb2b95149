#include "runtime/cli/solve_record.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "hal/lower/decode.h"
#include "hal/text/lines.h"

namespace qama::cli {
namespace {

constexpr std::size_t kBins = 12;

}  // namespace

void SolveRecord::add(double elapsed_ms, double value, const std::vector<std::uint64_t>& spins) {
  kept_.add(value, spins);
  if (values_.size() < kMostValues) values_.push_back(value);
  const bool better =
      improvements_.empty() ||
      (larger_is_better_ ? value > improvements_.back().value : value < improvements_.back().value);
  if (better) improvements_.push_back({elapsed_ms, value});
}

std::vector<SolveRecord::Bin> SolveRecord::histogram() const {
  std::map<double, std::int64_t> counts;
  for (const double value : values_) {
    ++counts[value];
    if (counts.size() > kBins) break;
  }
  std::vector<Bin> out;
  if (counts.size() <= kBins) {
    for (const auto& [value, count] : counts) out.push_back({value, value, count});
  } else {
    const auto [least, greatest] = std::minmax_element(values_.begin(), values_.end());
    const double low = *least;
    // Halves, so that no difference overflows.
    const double width = (*greatest / 2 - low / 2) / (kBins / 2.0);
    for (std::size_t k = 0; k < kBins; ++k) {
      out.push_back({low + static_cast<double>(k) * width,
                     k + 1 == kBins ? *greatest : low + static_cast<double>(k + 1) * width, 0});
    }
    for (const double value : values_) {
      const double at = (value / 2 - low / 2) / (width / 2);
      ++out[std::min(static_cast<std::size_t>(std::max(at, 0.0)), kBins - 1)].count;
    }
  }
  if (larger_is_better_) std::reverse(out.begin(), out.end());
  return out;
}

std::string spins_text(const hal::ProblemShape& shape, const std::vector<std::uint64_t>& spins,
                       bool lines) {
  std::string out;
  const auto tokens = static_cast<std::size_t>(shape.tokens);
  hal::for_each_spin(shape, [&](std::size_t at, std::size_t word, std::uint64_t bit) {
    out += (spins[word] & bit) != 0 ? '1' : '0';
    if (lines && (at + 1) % tokens == 0) out += '\n';
  });
  return out;
}

const char* value_name(const hal::ProblemFile& file) noexcept {
  return file.kind == hal::ProblemKind::maxcut ? "cut" : "energy";
}

Json value_json(double value) {
  constexpr double kLargestWhole = 9007199254740992.0;  // 2^53
  if (value == std::nearbyint(value) && std::fabs(value) <= kLargestWhole)
    return static_cast<std::int64_t>(value);
  return value;
}

std::string value_text(double value) {
  std::string out;
  hal::append_number(out, value, 0);
  return out;
}

}  // namespace qama::cli
