#include <algorithm>
#include <cmath>

#include "runtime/cli/console.h"
#include "runtime/cli/html/charts.h"
#include "runtime/cli/html/svg.h"

namespace qama::cli {
namespace {

constexpr double kWidth = 640;
constexpr double kHeight = 430;
constexpr double kLeft = 70;
constexpr double kRise = 190;   // pixels that the largest z stands above the lowest
constexpr double kBack = 150;   // pixels that the last row lies behind the first
constexpr double kShear = 130;  // and to the right of it
constexpr double kBase = kHeight - 64;

struct Point {
  double x, y;
};

std::string polygon(std::initializer_list<Point> points, const std::string& style) {
  std::string out = "<polygon points=\"";
  for (const Point& p : points) out += format("%.1f,%.1f ", p.x, p.y);
  return out + "\" " + style + "/>";
}

/// Where the grid lies on the picture. A single row or column is drawn twice: a ribbon.
class Surface {
 public:
  explicit Surface(const SurfaceChart& chart)
      : chart_(chart),
        rows_(std::max(chart.rows, 2)),
        columns_(std::max(chart.columns, 2)),
        colours_(chart.z, chart.plane, ColourScale::Growth::kRoot) {
    const auto [least, greatest] = std::minmax_element(chart.z.begin(), chart.z.end());
    low_ = std::min(*least, chart.plane);
    range_ = std::max(std::max(*greatest, chart.plane) - low_, 1e-12);
  }

  /// The plane of the answer itself, a little larger than the surface. A flip that is worth nothing
  /// lies on it, a better one below.
  [[nodiscard]] std::string level() const {
    const double plane = chart_.plane;
    const double across = 0.03 * (columns_ - 1);
    const double back = 0.06 * (rows_ - 1);
    const double right = columns_ - 1 + across;
    const double far = rows_ - 1 + back;
    return polygon({at(-back, -across, plane), at(-back, right, plane), at(far, right, plane),
                    at(far, -across, plane)},
                   "fill=\"#d62d2d\" fill-opacity=\"0.5\" stroke=\"#d62d2d\"");
  }

  /// From the back to the front and from the left to the right: what is nearer hides what is not.
  [[nodiscard]] std::string cells() const {
    std::string out;
    for (std::int32_t row = rows_ - 1; row-- > 0;) {
      for (std::int32_t column = 0; column + 1 < columns_; ++column) out += cell(row, column);
      out += wall(row, columns_ - 1, row + 1, columns_ - 1);
    }
    for (std::int32_t column = 0; column + 1 < columns_; ++column)
      out += wall(0, column, 0, column + 1);
    return out;
  }

  [[nodiscard]] std::string labels() const {
    std::string out = words_at(8, 16, chart_.z_label);
    for (const double value : ticks(low_, range_, 7)) {
      const Point p = at(0, 0, value);
      out += line_at(p.x - 6, p.y, p.x, p.y, "axis") +
             words_at(p.x - 9, p.y + 4, number(value), "end");
    }
    const std::int32_t every = std::max(columns_ / 6, 1);
    for (std::int32_t column = 0; column < columns_; column += every) {
      const Point p = at(0, column, low_);
      out += words_at(p.x, p.y + 26, std::to_string(column), "middle");
    }
    out += words_at(at(0, (columns_ - 1) / 2.0, low_).x, kBase + 52, chart_.column_label, "middle");
    if (chart_.rows < 2) return out;
    for (std::int32_t row = 0; row < rows_; row += std::max((rows_ + 3) / 4, 1)) {
      const Point p = at(row, columns_ - 1, low_);
      out += words_at(p.x + 22, p.y + 8, std::to_string(row));
    }
    const Point side = at((rows_ - 1) / 2.0, columns_ - 1, low_);
    return out + words_at(side.x + 44, side.y + 26, chart_.row_label);
  }

 private:
  [[nodiscard]] Point at(double row, double column, double value) const {
    const double across = (kWidth - kShear - kLeft - 40) / (columns_ - 1);
    const double depth = row / (rows_ - 1);
    return {kLeft + column * across + depth * kShear,
            kBase - depth * kBack - (value - low_) / range_ * kRise};
  }
  [[nodiscard]] double z(std::int32_t row, std::int32_t column) const {
    const std::int32_t r = std::min(row, chart_.rows - 1);
    const std::int32_t c = std::min(column, chart_.columns - 1);
    return chart_.z[static_cast<std::size_t>(r) * static_cast<std::size_t>(chart_.columns) +
                    static_cast<std::size_t>(c)];
  }
  [[nodiscard]] Point top(std::int32_t row, std::int32_t column) const {
    return at(row, column, z(row, column));
  }

  /// The face between four spins, as bright as light from the left and the front makes it.
  [[nodiscard]] std::string cell(std::int32_t row, std::int32_t column) const {
    const double a = z(row, column), b = z(row, column + 1);
    const double c = z(row + 1, column + 1), d = z(row + 1, column);
    const double unit = kRise / range_;
    const double x = (b + c - a - d) / 2 * unit / 24;
    const double y = (c + d - a - b) / 2 * unit / 48;
    const double facing = (0.5 * x + 0.35 * y + 0.8) / std::sqrt(x * x + y * y + 1);
    const double light = 0.62 + 0.55 * std::clamp(facing, 0.0, 1.0);
    return polygon(
        {top(row, column), top(row, column + 1), top(row + 1, column + 1), top(row + 1, column)},
        "fill=\"" + colours_((a + b + c + d) / 4, light) + "\" class=\"face\"");
  }

  /// From the surface down to the plane, along an edge that is seen from outside.
  [[nodiscard]] std::string wall(std::int32_t row, std::int32_t column, std::int32_t to_row,
                                 std::int32_t to_column) const {
    return polygon({top(row, column), top(to_row, to_column), at(to_row, to_column, chart_.plane),
                    at(row, column, chart_.plane)},
                   "class=\"wall\"");
  }

  const SurfaceChart& chart_;
  std::int32_t rows_, columns_;
  double low_ = 0, range_ = 0;
  ColourScale colours_;
};

}  // namespace

std::string surface_chart(const SurfaceChart& chart) {
  if (chart.rows < 1 || chart.columns < 1 ||
      chart.z.size() !=
          static_cast<std::size_t>(chart.rows) * static_cast<std::size_t>(chart.columns)) {
    return {};
  }
  const Surface surface(chart);
  return open_svg(static_cast<int>(kWidth), static_cast<int>(kHeight), chart.title, "surface") +
         surface.level() + surface.cells() + surface.labels() + "</svg>";
}

}  // namespace qama::cli
