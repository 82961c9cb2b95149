#include <algorithm>

#include "runtime/cli/console.h"
#include "runtime/cli/html/charts.h"
#include "runtime/cli/html/page.h"
#include "runtime/cli/html/svg.h"

namespace qama::cli {
namespace {

constexpr int kRowHeight = 46;
constexpr int kBarTop = 18;
constexpr int kBarHeight = 22;
/// What is left at the right for nothing but the end of the scale.
constexpr double kFullWidth = 96;  // per cent

double sum_of(const BarRow& row) {
  double sum = 0;
  for (const double part : row.parts) sum += part;
  return sum;
}

std::string bar_box(double x, int y, double width, const std::string& fill) {
  return format("<rect x=\"%.3f%%\" y=\"%d\" width=\"%.3f%%\" height=\"%d\" fill=\"", x, y, width,
                kBarHeight) +
         fill + "\"";
}

}  // namespace

std::string bar_chart(const BarChart& chart) {
  double most = chart.most;
  if (!(most > 0)) {
    for (const BarRow& row : chart.rows) most = std::max(most, sum_of(row));
  }
  if (!(most > 0)) most = 1;
  const int bars = static_cast<int>(chart.rows.size()) * kRowHeight;
  std::string out = open_wide_svg(bars + 22, chart.title);
  if (chart.hatched) {
    out +=
        "<defs><pattern id=\"hatch\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" "
        "patternTransform=\"rotate(45)\"><rect width=\"3\" height=\"6\" fill=\"#ffffff\" "
        "fill-opacity=\"0.55\"/></pattern></defs>";
  }
  for (const double value : ticks(0, most * 1.0001, 4)) {
    const double x = value / most * kFullWidth;
    out += line_at_percent(x, 0, bars);
    out += words_at_percent(x, bars + 16, number(value) + (value == 0 ? " " + chart.unit : ""));
  }
  int y = 0;
  for (const BarRow& row : chart.rows) {
    const double sum = sum_of(row);
    const bool cut = sum > most * 1.0001;
    out += words_at(0, y + 13, row.name);
    out += words_at_percent(100, y + 13, number(sum) + " " + chart.unit + (cut ? ", cut off" : ""));
    double x = 0;
    for (std::size_t i = 0; i < row.parts.size() && x < kFullWidth; ++i) {
      const double width = std::min(row.parts[i] / most * kFullWidth, kFullWidth - x);
      if (!(width > 0)) continue;
      const std::string name = i < chart.part_names.size() ? chart.part_names[i] : "";
      out += bar_box(x, y + kBarTop, width, colour(i)) + "><title>" +
             escaped(name + " " + number(row.parts[i]) + " " + chart.unit) + "</title></rect>";
      if (chart.hatched)
        out += bar_box(x, y + kBarTop, width, "url(#hatch)") + " pointer-events=\"none\"/>";
      x += width;
    }
    if (cut)
      out += format("<text class=\"cut\" x=\"%.1f%%\" y=\"%d\" text-anchor=\"end\">&#187;</text>",
                    kFullWidth, y + kBarTop + 17);
    y += kRowHeight;
  }
  return out + "</svg>" + legend(chart.part_names);
}

std::string legend(const std::vector<std::string>& names) {
  std::string out = "<ul class=\"legend\">";
  for (std::size_t i = 0; i < names.size(); ++i)
    out += format("<li><i style=\"background:%s\"></i>", colour(i)) + escaped(names[i]) + "</li>";
  return out + "</ul>";
}

}  // namespace qama::cli
