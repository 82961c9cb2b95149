#include <algorithm>
#include <cmath>

#include "runtime/cli/console.h"
#include "runtime/cli/html/charts.h"
#include "runtime/cli/html/svg.h"

namespace qama::cli {

std::string cumulative_chart(std::string_view title, const std::vector<Series>& series,
                             std::string_view unit) {
  constexpr int kHeight = 300;
  constexpr double kLeft = 5;  // per cent, for the shares
  constexpr int kTop = 18;
  constexpr int kBottom = 40;
  constexpr std::size_t kPoints = 160;
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
    return kLeft + (std::log10(std::max(v, low / 1.1)) - from) / (to - from) * (100 - kLeft);
  };
  const auto y_of = [&](double share) { return kTop + (1 - share) * (kHeight - kTop - kBottom); };
  std::string out = open_wide_svg(kHeight, title);
  for (const double share : {0.0, 0.5, 0.9, 1.0}) {
    out += format("<line class=\"grid\" x1=\"0\" y1=\"%.1f\" x2=\"100%%\" y2=\"%.1f\"/>",
                  y_of(share), y_of(share));
    out += words_at_percent(0, y_of(share) - 3, format("%.0f %%", 100 * share));
  }
  // Three numbers a decade where there is room for them.
  const bool few = to - from < 2.5;
  for (double power = std::floor(from); power <= to; power += 1) {
    for (const double factor : {1.0, 2.0, 5.0}) {
      const double value = factor * std::pow(10.0, power);
      if (value < low / 1.1 || value > high * 1.1) continue;
      out += line_at_percent(x_of(value), kTop, kHeight - kBottom);
      if (few || factor == 1)
        out += words_at_percent(x_of(value), kHeight - kBottom + 16, number(value));
    }
  }
  out += words_at_percent(100, kHeight - 6, unit);
  std::vector<std::string> names;
  for (std::size_t i = 0; i < series.size(); ++i) {
    const auto& sorted = series[i].sorted;
    names.push_back(series[i].name);
    const std::size_t step = std::max<std::size_t>(sorted.size() / kPoints, 1);
    const auto share = [&](std::size_t k) {
      return static_cast<double>(k + 1) / static_cast<double>(sorted.size());
    };
    for (std::size_t k = 0; k + 1 < sorted.size(); k += step) {
      const std::size_t next = std::min(k + step, sorted.size() - 1);
      out += format(
          "<line stroke=\"%s\" stroke-width=\"2\" stroke-linecap=\"round\" x1=\"%.2f%%\" "
          "y1=\"%.1f\" x2=\"%.2f%%\" y2=\"%.1f\"/>",
          colour(i), x_of(sorted[k]), y_of(share(k)), x_of(sorted[next]), y_of(share(next)));
    }
  }
  return out + "</svg>" + legend(names);
}

}  // namespace qama::cli
