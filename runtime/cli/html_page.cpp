#include "runtime/cli/html_page.h"

#include <algorithm>
#include <cmath>
#include <fstream>

#include "hal/base/quote.h"
#include "runtime/cli/console.h"

namespace qama::cli {
namespace {

constexpr const char* kPalette[] = {"#3b6fb6", "#e08a2b", "#4f9d69", "#b4473f", "#7d62a8",
                                    "#8a6d4f", "#c774a8", "#7a7f87", "#a9a53a", "#3aa3ad"};

constexpr const char* kStyle = R"(
body{font:15px/1.5 system-ui,"Segoe UI","DejaVu Sans",sans-serif;color:#1d2530;
background:#fff;max-width:1060px;margin:2rem auto;padding:0 1.5rem}
h1{font-size:1.5rem;margin:0}
h2{font-size:1.1rem;margin:2.2rem 0 .4rem;border-bottom:1px solid #d9dee5;padding-bottom:.2rem}
p{margin:.4rem 0;max-width:52rem}.sub{color:#5b6673}
table{border-collapse:collapse;margin:.6rem 0;font-variant-numeric:tabular-nums;font-size:13.5px}
th,td{padding:.18rem .7rem;text-align:right;border-bottom:1px solid #eceff3;white-space:nowrap}
th{font-weight:600;border-bottom:1px solid #aab3bf}
th:first-child,td:first-child{text-align:left;padding-left:0}
svg{max-width:100%;height:auto;margin:.5rem 0}
svg text{font:12px system-ui,"DejaVu Sans",sans-serif;fill:#1d2530}
.row{display:flex;flex-wrap:wrap;gap:1rem}.row figure{margin:0}
figcaption{font-size:12.5px;color:#5b6673}
)";

std::string number(double value) {
  const double size = std::fabs(value);
  return format(size >= 100 ? "%.0f" : size >= 10 ? "%.1f" : size >= 1 ? "%.2f" : "%.3g", value);
}

/// A round step that divides `range` into about `parts`.
double tick_step(double range, int parts) {
  if (!(range > 0)) return 1;
  const double raw = range / parts;
  const double power = std::pow(10.0, std::floor(std::log10(raw)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (raw <= factor * power) return factor * power;
  }
  return 10 * power;
}

std::string open_svg(int width, int height) {
  return format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" "
      "role=\"img\">",
      width, height, width, height);
}

std::string words_at(double x, double y, std::string_view words, const char* anchor = "start",
                     const char* more = "") {
  return format("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\"%s>", x, y, anchor, more) +
         escaped(words) + "</text>";
}

std::string line_at(double x1, double y1, double x2, double y2, const char* stroke = "#d9dee5") {
  return format("<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\"/>", x1, y1, x2,
                y2, stroke);
}

}  // namespace

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

const char* colour(std::size_t index) noexcept {
  return kPalette[index % std::size(kPalette)];
}

std::string warmth(double value) {
  const double v = std::clamp(value, 0.0, 1.0);
  const double away = std::fabs(v - 0.5) * 2;
  const auto blend = [away](double end) {
    return static_cast<int>(std::lround(250 + (end - 250) * away));
  };
  return v < 0.5 ? format("#%02x%02x%02x", blend(42), blend(95), blend(170))
                 : format("#%02x%02x%02x", blend(178), blend(44), blend(52));
}

HtmlPage::HtmlPage(std::string_view title, std::string_view subtitle) {
  html_ =
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width\"><title>" +
      escaped(title) + "</title><style>" + kStyle + "</style></head><body>\n<h1>" + escaped(title) +
      "</h1>\n<p class=\"sub\">" + escaped(subtitle) + "</p>\n";
}

void HtmlPage::heading(std::string_view text) {
  html_ += "<h2>" + escaped(text) + "</h2>\n";
}
void HtmlPage::text(std::string_view words) {
  html_ += "<p>" + escaped(words) + "</p>\n";
}
void HtmlPage::markup(std::string_view html) {
  html_ += html;
  html_ += '\n';
}

void HtmlPage::table(const std::vector<std::string>& head,
                     const std::vector<std::vector<std::string>>& rows) {
  html_ += "<table><tr>";
  for (const std::string& cell : head) html_ += "<th>" + escaped(cell) + "</th>";
  html_ += "</tr>\n";
  for (const auto& row : rows) {
    html_ += "<tr>";
    for (const std::string& cell : row) html_ += "<td>" + escaped(cell) + "</td>";
    html_ += "</tr>\n";
  }
  html_ += "</table>\n";
}

Status HtmlPage::write(const std::string& path) {
  std::ofstream file(path, std::ios::binary);
  file << html_ << "</body></html>\n";
  if (file.flush().good()) return {};
  return Error{ErrorCode::io_error, "file " + quote(path) + " cannot be written"};
}

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

std::string histogram(std::span<const double> values, std::string_view label) {
  constexpr int kWidth = 420;
  constexpr int kHeight = 240;
  constexpr int kLeft = 16;
  constexpr int kBottom = 44;
  constexpr std::size_t kBins = 40;
  if (values.empty()) return {};
  const auto [least, greatest] = std::minmax_element(values.begin(), values.end());
  const double low = *least;
  const double range = std::max(*greatest - low, 1e-12);
  std::vector<double> counts(kBins);
  for (const double v : values) {
    const double bin = (v - low) / range * kBins;
    counts[std::min(static_cast<std::size_t>(std::max(bin, 0.0)), kBins - 1)] += 1;
  }
  const double most = *std::max_element(counts.begin(), counts.end());
  const double width = static_cast<double>(kWidth - 2 * kLeft) / kBins;
  std::string out = open_svg(kWidth, kHeight);
  for (std::size_t i = 0; i < kBins; ++i) {
    const double height = counts[i] / most * (kHeight - kBottom - 10);
    out += format("<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\"/>",
                  kLeft + static_cast<double>(i) * width, kHeight - kBottom - height, width - 1,
                  height, colour(0));
  }
  out += line_at(kLeft, kHeight - kBottom, kWidth - kLeft, kHeight - kBottom, "#aab3bf");
  const double step = tick_step(range, 5);
  for (double x = std::ceil(low / step) * step; x <= low + range; x += step) {
    out += words_at(kLeft + (x - low) / range * (kWidth - 2 * kLeft), kHeight - kBottom + 16,
                    number(std::fabs(x) < step * 1e-6 ? 0 : x), "middle");
  }
  out += words_at(kWidth / 2.0, kHeight - 8, label, "middle");
  return out + "</svg>";
}

std::string surface_chart(std::span<const double> z, std::int32_t rows, std::int32_t columns,
                          double plane, std::string_view row_label, std::string_view column_label,
                          std::string_view z_label) {
  constexpr double kWidth = 760;
  constexpr double kHeight = 470;
  constexpr double kRise = 190;   // pixels that the largest z stands above the lowest
  constexpr double kBack = 190;   // pixels that the last row lies behind the first
  constexpr double kShear = 170;  // and to the right of it
  if (rows < 1 || columns < 1 ||
      z.size() != static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns))
    return {};
  const auto [least, greatest] = std::minmax_element(z.begin(), z.end());
  const double low = std::min(*least, plane);
  const double range = std::max(std::max(*greatest, plane) - low, 1e-12);
  const double base_y = kHeight - 60;
  // Every spin is a cell, so that a single row or column has a surface, too.
  const double across = (kWidth - kShear - 140) / columns;
  struct Point {
    double x, y;
  };
  const auto at = [&](double row, double column, double value) {
    const double depth = row / rows;
    return Point{80 + column * across + depth * kShear,
                 base_y - depth * kBack - (value - low) / range * kRise};
  };
  const auto polygon = [](std::initializer_list<Point> points, const std::string& style) {
    std::string out = "<polygon points=\"";
    for (const Point& p : points) out += format("%.1f,%.1f ", p.x, p.y);
    return out + "\" " + style + "/>";
  };
  std::string out = open_svg(static_cast<int>(kWidth), static_cast<int>(kHeight));
  const double last_row = rows;
  const double last_column = columns;
  // The plane of the state itself: every flip that is worth nothing lies on it, better ones below.
  const std::string red = "fill=\"#d62d2d\" fill-opacity=\"0.45\" stroke=\"#a01818\"";
  out += polygon({at(0, 0, plane), at(0, last_column, plane), at(last_row, last_column, plane),
                  at(last_row, 0, plane)},
                 red);
  // From the back to the front, each head a ribbon of columns with their flips' energies.
  for (std::int32_t row = rows; row-- > 0;) {
    for (std::int32_t column = 0; column < columns; ++column) {
      const double value = z[static_cast<std::size_t>(row) * static_cast<std::size_t>(columns) +
                             static_cast<std::size_t>(column)];
      const std::string fill = "fill=\"" + warmth((value - plane) / range * 0.5 + 0.5) +
                               "\" stroke=\"#68727f\" stroke-width=\"0.4\"";
      const double near = row + 0.12;
      const double far = row + 0.88;
      out += polygon({at(near, column, value), at(near, column + 1, value),
                      at(far, column + 1, value), at(far, column, value)},
                     fill);
      const std::string shade = "fill=\"#9aa8b8\" stroke=\"#7d8996\" stroke-width=\"0.3\"";
      out += polygon({at(near, column, plane), at(near, column + 1, plane),
                      at(near, column + 1, value), at(near, column, value)},
                     shade);
    }
  }
  const double step = tick_step(range, 5);
  for (double value = std::ceil(low / step) * step; value <= low + range; value += step) {
    const Point p = at(0, 0, value);
    out += line_at(p.x - 6, p.y, p.x, p.y, "#68727f") +
           words_at(p.x - 9, p.y + 4, number(value), "end");
  }
  out += words_at(8, 16, z_label);
  out += words_at(at(0, last_column / 2, low).x, base_y + 34, column_label, "middle");
  const Point side = at(last_row / 2, last_column, low);
  out += words_at(side.x + 16, side.y + 16, row_label);
  for (std::int32_t row = 0; row < rows; ++row) {
    const Point p = at(row + 0.5, last_column, low);
    if (rows <= 16)
      out += words_at(p.x + 4, p.y + 4, std::to_string(row), "start", " fill-opacity=\"0.6\"");
  }
  const std::int32_t every = std::max(columns / 8, 1);
  for (std::int32_t column = 0; column < columns; column += every) {
    const Point p = at(0, column + 0.5, low);
    out += words_at(p.x, p.y + 16, std::to_string(column), "middle", " fill-opacity=\"0.6\"");
  }
  return out + "</svg>";
}

}  // namespace qama::cli
