#include <algorithm>
#include <cmath>

#include "runtime/cli/console.h"
#include "runtime/cli/html/charts.h"
#include "runtime/cli/html/svg.h"

namespace qama::cli {

std::string histogram(std::span<const double> values, std::string_view label) {
  constexpr int kWidth = 420;
  constexpr int kHeight = 240;
  constexpr int kLeft = 16;
  constexpr int kBottom = 44;
  constexpr std::size_t kBins = 40;
  if (values.empty()) return {};
  const auto [least, greatest] = std::minmax_element(values.begin(), values.end());
  const double low = *least;
  // Of equal values, or nearly so, ticks must still be different numbers.
  const double range = std::max({*greatest - low, 1e-12, std::fabs(low) * 1e-9});
  std::vector<double> counts(kBins);
  for (const double v : values) {
    const double bin = (v - low) / range * kBins;
    counts[std::min(static_cast<std::size_t>(std::max(bin, 0.0)), kBins - 1)] += 1;
  }
  const double most = *std::max_element(counts.begin(), counts.end());
  const double width = static_cast<double>(kWidth - 2 * kLeft) / kBins;
  std::string out = open_svg(kWidth, kHeight, "Histogram: " + std::string(label));
  for (std::size_t i = 0; i < kBins; ++i) {
    const double height = counts[i] / most * (kHeight - kBottom - 10);
    out += format("<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\"/>",
                  kLeft + static_cast<double>(i) * width, kHeight - kBottom - height, width - 1,
                  height, colour(0));
  }
  out += line_at(kLeft, kHeight - kBottom, kWidth - kLeft, kHeight - kBottom, "axis");
  for (const double x : ticks(low, range, 5)) {
    out += words_at(kLeft + (x - low) / range * (kWidth - 2 * kLeft), kHeight - kBottom + 16,
                    number(x), "middle");
  }
  out += words_at(kWidth / 2.0, kHeight - 8, label, "middle");
  return out + "</svg>";
}

}  // namespace qama::cli
