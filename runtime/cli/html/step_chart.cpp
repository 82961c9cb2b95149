#include <algorithm>
#include <cmath>

#include "runtime/cli/console.h"
#include "runtime/cli/html/charts.h"
#include "runtime/cli/html/svg.h"

namespace qama::cli {

std::string step_chart(std::string_view title, std::span<const StepPoint> points, double end,
                       std::string_view unit) {
  constexpr int kHeight = 300;
  constexpr int kTop = 18;
  constexpr int kBottom = 40;
  constexpr double kLeft = 8;  // per cent, for the values
  if (points.empty()) return {};
  const auto by_value = [](const StepPoint& a, const StepPoint& b) { return a.value < b.value; };
  const auto [least, greatest] = std::minmax_element(points.begin(), points.end(), by_value);
  // One value lies in the middle; of nearly equal ones, ticks must still be different numbers.
  const double spread = greatest->value - least->value;
  const double margin =
      std::max(0.05 * spread, std::max(std::fabs(least->value), 1.0) * (spread > 0 ? 1e-9 : 0.05));
  const double low = least->value - margin;
  const double range = spread + 2 * margin;
  const double last = std::max({end, points.back().at, 1e-9});
  const auto x_of = [&](double at) { return kLeft + at / last * (100 - kLeft); };
  const auto y_of = [&](double value) {
    return kTop + (1 - (value - low) / range) * (kHeight - kTop - kBottom);
  };
  std::string out = open_wide_svg(kHeight, title);
  const double step = tick_step(range, 5);
  // As many places as tell one tick from the next.
  const int places = static_cast<int>(std::clamp(std::ceil(-std::log10(step)), 0.0, 15.0));
  for (const double value : ticks(low, range, 5)) {
    out += format("<line class=\"grid\" x1=\"0\" y1=\"%.1f\" x2=\"100%%\" y2=\"%.1f\"/>",
                  y_of(value), y_of(value));
    out += words_at_percent(0, y_of(value) - 3, format("%.*f", places, value));
  }
  for (const double at : ticks(0, last, 6)) {
    out += line_at_percent(x_of(at), kTop, kHeight - kBottom);
    out += words_at_percent(x_of(at), kHeight - kBottom + 16, number(at));
  }
  out += words_at_percent(100, kHeight - 6, unit);
  const auto line = [&](double x1, double y1, double x2, double y2) {
    out += format(
        "<line stroke=\"%s\" stroke-width=\"2\" stroke-linecap=\"round\" x1=\"%.2f%%\" "
        "y1=\"%.1f\" x2=\"%.2f%%\" y2=\"%.1f\"/>",
        colour(0), x1, y1, x2, y2);
  };
  for (std::size_t k = 0; k < points.size(); ++k) {
    const bool is_last = k + 1 == points.size();
    const double x = x_of(points[k].at);
    const double y = y_of(points[k].value);
    const double next = is_last ? x_of(last) : x_of(points[k + 1].at);
    line(x, y, next, y);
    if (!is_last) line(next, y, next, y_of(points[k + 1].value));
    out +=
        format("<circle cx=\"%.2f%%\" cy=\"%.1f\" r=\"3\" fill=\"%s\"><title>", x, y, colour(0)) +
        format("%.17g at %.1f</title></circle>", points[k].value, points[k].at);
  }
  return out + "</svg>";
}

}  // namespace qama::cli
