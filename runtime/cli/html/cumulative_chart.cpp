#include <algorithm>
#include <cmath>

#include "runtime/cli/console.h"
#include "runtime/cli/html/charts.h"
#include "runtime/cli/html/svg.h"

namespace qama::cli {

std::string cumulative_chart(const std::vector<Series>& series, std::string_view unit) {
  constexpr int kWidth = 1000;
  constexpr int kHeight = 300;
  constexpr int kLeft = 60;
  constexpr int kRight = 30;
  constexpr int kTop = 14;
  constexpr int kBottom = 56;
  double low = HUGE_VAL;
  double high = 0;
  for (const Series& s : series) {
    for (const double value : s.sorted) {
      if (value > 0) low = std::min(low, value);
      high = std::max(high, value);
    }
  }
  if (!(high > 0)) return {};
  const double from = std::log10(low / 1.1);
  const double to = std::log10(high * 1.1);
  const auto x_of = [&](double v) {
    return kLeft +
           (std::log10(std::max(v, low / 1.1)) - from) / (to - from) * (kWidth - kLeft - kRight);
  };
  const auto y_of = [&](double share) { return kTop + (1 - share) * (kHeight - kTop - kBottom); };
  std::string out = open_svg(kWidth, kHeight);
  for (const double share : {0.0, 0.5, 0.9, 0.99, 1.0}) {
    out += line_at(kLeft, y_of(share), kWidth - kRight, y_of(share));
    if (share != 0.99)
      out += words_at(kLeft - 8, y_of(share) + 4, format("%.0f %%", 100 * share), "end");
  }
  for (double power = std::floor(from); power <= to; power += 1) {
    for (const double factor : {1.0, 2.0, 5.0}) {
      const double value = factor * std::pow(10.0, power);
      if (value < low / 1.1 || value > high * 1.1) continue;
      out += line_at(x_of(value), kTop, x_of(value), kHeight - kBottom);
      out += words_at(x_of(value), kHeight - kBottom + 16, number(value), "middle");
    }
  }
  out += words_at(kWidth - kRight, kHeight - kBottom + 32, unit, "end");
  for (std::size_t i = 0; i < series.size(); ++i) {
    const auto& sorted = series[i].sorted;
    out += format("<polyline fill=\"none\" stroke-width=\"2\" stroke=\"%s\" points=\"", colour(i));
    const std::size_t step = std::max<std::size_t>(sorted.size() / 400, 1);
    for (std::size_t k = 0; k < sorted.size(); k += step) {
      out += format("%.1f,%.1f ", x_of(sorted[k]),
                    y_of(static_cast<double>(k + 1) / static_cast<double>(sorted.size())));
    }
    if (!sorted.empty()) out += format("%.1f,%.1f", x_of(sorted.back()), y_of(1));
    out += "\"/>";
    const double lx = kLeft + static_cast<double>(i) * 300;
    out += format("<rect x=\"%.1f\" y=\"%d\" width=\"12\" height=\"12\" fill=\"%s\"/>", lx,
                  kHeight - 16, colour(i));
    out += words_at(lx + 17, kHeight - 6, series[i].name);
  }
  return out + "</svg>";
}

}  // namespace qama::cli
