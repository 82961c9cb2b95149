#include <algorithm>

#include "runtime/cli/console.h"
#include "runtime/cli/html/charts.h"
#include "runtime/cli/html/page.h"
#include "runtime/cli/html/svg.h"

namespace qama::cli {

std::string bar_chart(const std::vector<std::string>& part_names, const std::vector<BarRow>& rows,
                      std::string_view unit, bool hatched) {
  constexpr int kWidth = 1000;
  constexpr int kLeft = 230;
  constexpr int kRight = 90;
  constexpr int kBar = 26;
  constexpr int kGap = 12;
  double most = 0;
  for (const BarRow& row : rows) {
    double sum = 0;
    for (const double part : row.parts) sum += part;
    most = std::max(most, sum);
  }
  if (!(most > 0)) most = 1;
  const double step = tick_step(most, 6);
  const double scale = (kWidth - kLeft - kRight) / most;
  const int bars = static_cast<int>(rows.size()) * (kBar + kGap);
  const int legend_rows = static_cast<int>((part_names.size() + 4) / 5);
  std::string out = open_svg(kWidth, bars + 40 + 20 * legend_rows);
  if (hatched) {
    out +=
        "<defs><pattern id=\"hatch\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" "
        "patternTransform=\"rotate(45)\"><rect width=\"3\" height=\"6\" fill=\"#ffffff\" "
        "fill-opacity=\"0.55\"/></pattern></defs>";
  }
  for (double x = 0; x <= most * 1.0001; x += step) {
    out += line_at(kLeft + x * scale, 0, kLeft + x * scale, bars);
    out += words_at(kLeft + x * scale, bars + 16, number(x), "middle");
  }
  out += words_at(kWidth - kRight + 12, bars + 16, unit);
  int y = kGap / 2;
  for (const BarRow& row : rows) {
    out += words_at(kLeft - 10, y + kBar * 0.7, row.name, "end");
    double x = kLeft;
    double sum = 0;
    for (std::size_t i = 0; i < row.parts.size(); ++i) {
      const double width = row.parts[i] * scale;
      const std::string box = format(
          "<rect x=\"%.2f\" y=\"%d\" width=\"%.2f\" height=\"%d\" fill=\"", x, y, width, kBar);
      const std::string name = i < part_names.size() ? part_names[i] : "";
      out += box + colour(i) + "\"><title>" +
             escaped(name + " " + number(row.parts[i]) + " " + std::string(unit)) +
             "</title></rect>";
      if (hatched) out += box + "url(#hatch)\"/>";
      x += width;
      sum += row.parts[i];
    }
    out += words_at(x + 6, y + kBar * 0.7, number(sum));
    y += kBar + kGap;
  }
  for (std::size_t i = 0; i < part_names.size(); ++i) {
    const double lx = 10 + static_cast<double>(i % 5) * 196;
    const double ly = bars + 36 + 20 * static_cast<double>(i / 5);
    out += format("<rect x=\"%.1f\" y=\"%.1f\" width=\"12\" height=\"12\" fill=\"%s\"/>", lx,
                  ly - 10, colour(i));
    out += words_at(lx + 17, ly, part_names[i]);
  }
  return out + "</svg>";
}

}  // namespace qama::cli
