// Plots as <svg>, one file a kind. To add a kind: a file and a function here. Every plot has a
// title, for those who do not see it, and fits a page of any width.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace qama::cli {

/// Horizontal bars made of parts, one bar a row, in one unit and on one scale.
struct BarRow {
  std::string name;
  std::vector<double> parts;
};
struct BarChart {
  std::string title;
  std::vector<std::string> part_names;
  std::vector<BarRow> rows;
  std::string unit;
  bool hatched = false;  ///< for figures that nobody measured
  double most = 0;       ///< longer bars are cut there, and say so; 0: the longest bar
};
[[nodiscard]] std::string bar_chart(const BarChart& chart);

/// Share of values at or below x, one line a series, logarithmic x.
struct Series {
  std::string name;
  std::vector<double> sorted;
};
[[nodiscard]] std::string cumulative_chart(std::string_view title,
                                           const std::vector<Series>& series,
                                           std::string_view unit);

/// Counts of values in equal bins.
[[nodiscard]] std::string histogram(std::span<const double> values, std::string_view label);

/// A value that stays until the next point, over time from 0 to `end`.
struct StepPoint {
  double at = 0;
  double value = 0;
};
[[nodiscard]] std::string step_chart(std::string_view title, std::span<const StepPoint> points,
                                     double end, std::string_view unit);

/// Coloured names: what the parts or lines of a chart are.
[[nodiscard]] std::string legend(const std::vector<std::string>& names);

/// A colour for every value. Values of one sign have one ramp from 0 to the largest of them; values
/// of both signs are blue below 0 and red above. `from` moves that 0, for values that are measured
/// from another level. kRoot: the ramp grows with the root, for values of which few are large.
class ColourScale {
 public:
  enum class Growth : std::uint8_t { kLinear, kRoot };
  explicit ColourScale(std::span<const double> values, double from = 0,
                       Growth growth = Growth::kLinear);
  [[nodiscard]] std::string operator()(double value, double light = 1) const;
  /// The scale itself, with numbers.
  [[nodiscard]] std::string bar(std::string_view title) const;

 private:
  double from_, low_, high_;
  Growth growth_;
};

/// Cells in rows, each with a text that shows when it is pointed at or reached by the arrow keys.
struct CellMap {
  std::string title;
  std::int32_t columns = 1;
  double side = 14;                         ///< of a cell, pixels
  double row_height = 0;                    ///< 0: cells are squares
  std::vector<std::string> fills = {};      ///< attributes of each cell
  std::vector<std::string> texts = {};      ///< of each cell
  std::vector<std::string> row_names = {};  ///< at the left; none, or one a row
  bool numbered = false;                    ///< numbers of the columns below
  std::string behind = {};                  ///< markup that lies behind the cells
};
inline constexpr double kMapLabels = 74;  ///< pixels of the names of rows
[[nodiscard]] std::string cell_map(const CellMap& map);

/// A surface z over a grid [rows][columns], lit from the left, seen from above and the front, and
/// the level plane z = `plane` in red.
struct SurfaceChart {
  std::string title;
  std::span<const double> z;
  std::int32_t rows = 0, columns = 0;
  double plane = 0;
  std::string row_label, column_label, z_label;
};
[[nodiscard]] std::string surface_chart(const SurfaceChart& chart);

}  // namespace qama::cli
