#include <algorithm>
#include <cmath>

#include "runtime/cli/console.h"
#include "runtime/cli/html/charts.h"
#include "runtime/cli/html/svg.h"

namespace qama::cli {
namespace {

constexpr double kWidth = 760;
constexpr double kHeight = 470;
constexpr double kRise = 190;   // pixels that the largest z stands above the lowest
constexpr double kBack = 190;   // pixels that the last row lies behind the first
constexpr double kShear = 170;  // and to the right of it
constexpr double kBase = kHeight - 60;

struct Point {
  double x, y;
};

std::string polygon(std::initializer_list<Point> points, const std::string& style) {
  std::string out = "<polygon points=\"";
  for (const Point& p : points) out += format("%.1f,%.1f ", p.x, p.y);
  return out + "\" " + style + "/>";
}

/// Where the grid lies on the picture. Every spin is a cell, so that a single row or column has a
/// surface, too.
struct Surface {
  std::span<const double> z;
  std::int32_t rows = 0, columns = 0;
  double plane = 0, low = 0, range = 0;

  [[nodiscard]] Point at(double row, double column, double value) const {
    const double across = (kWidth - kShear - 140) / columns;
    const double depth = row / rows;
    return Point{80 + column * across + depth * kShear,
                 kBase - depth * kBack - (value - low) / range * kRise};
  }

  /// The plane of the state itself: every flip that is worth nothing lies on it, better ones below.
  [[nodiscard]] std::string level() const {
    return polygon(
        {at(0, 0, plane), at(0, columns, plane), at(rows, columns, plane), at(rows, 0, plane)},
        "fill=\"#d62d2d\" fill-opacity=\"0.45\" stroke=\"#a01818\"");
  }

  [[nodiscard]] std::string cell(std::int32_t row, std::int32_t column) const {
    const double value = z[static_cast<std::size_t>(row) * static_cast<std::size_t>(columns) +
                           static_cast<std::size_t>(column)];
    const double near = row + 0.12;
    const double far = row + 0.88;
    return polygon({at(near, column, value), at(near, column + 1, value),
                    at(far, column + 1, value), at(far, column, value)},
                   "fill=\"" + warmth((value - plane) / range * 0.5 + 0.5) +
                       "\" stroke=\"#68727f\" stroke-width=\"0.4\"") +
           polygon({at(near, column, plane), at(near, column + 1, plane),
                    at(near, column + 1, value), at(near, column, value)},
                   "fill=\"#9aa8b8\" stroke=\"#7d8996\" stroke-width=\"0.3\"");
  }

  [[nodiscard]] std::string ticks() const {
    std::string out;
    const double step = tick_step(range, 5);
    for (double value = std::ceil(low / step) * step; value <= low + range; value += step) {
      const Point p = at(0, 0, value);
      out += line_at(p.x - 6, p.y, p.x, p.y, "#68727f") +
             words_at(p.x - 9, p.y + 4, number(value), "end");
    }
    return out;
  }

  /// Numbers of rows and columns.
  [[nodiscard]] std::string numbers() const {
    std::string out;
    for (std::int32_t row = 0; row < rows && rows <= 16; ++row) {
      const Point p = at(row + 0.5, columns, low);
      out += words_at(p.x + 4, p.y + 4, std::to_string(row), "start", " fill-opacity=\"0.6\"");
    }
    const std::int32_t every = std::max(columns / 8, 1);
    for (std::int32_t column = 0; column < columns; column += every) {
      const Point p = at(0, column + 0.5, low);
      out += words_at(p.x, p.y + 16, std::to_string(column), "middle", " fill-opacity=\"0.6\"");
    }
    return out;
  }
};

}  // namespace

std::string surface_chart(std::span<const double> z, std::int32_t rows, std::int32_t columns,
                          double plane, std::string_view row_label, std::string_view column_label,
                          std::string_view z_label) {
  if (rows < 1 || columns < 1 ||
      z.size() != static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns)) {
    return {};
  }
  const auto [least, greatest] = std::minmax_element(z.begin(), z.end());
  const double low = std::min(*least, plane);
  const double range = std::max(std::max(*greatest, plane) - low, 1e-12);
  const Surface surface{z, rows, columns, plane, low, range};
  std::string out = open_svg(static_cast<int>(kWidth), static_cast<int>(kHeight));
  out += surface.level();
  // From the back to the front, each head a ribbon of columns with their flips' energies.
  for (std::int32_t row = rows; row-- > 0;) {
    for (std::int32_t column = 0; column < columns; ++column) out += surface.cell(row, column);
  }
  out += surface.ticks();
  out += words_at(8, 16, z_label);
  out += words_at(surface.at(0, columns / 2.0, low).x, kBase + 34, column_label, "middle");
  const Point side = surface.at(rows / 2.0, columns, low);
  out += words_at(side.x + 16, side.y + 16, row_label);
  return out + surface.numbers() + "</svg>";
}

}  // namespace qama::cli
