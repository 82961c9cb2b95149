// Plots as <svg>, one file a kind. To add a kind: a file and a function here.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace qama::cli {

/// Horizontal bars made of parts, one bar a row, in one unit.
struct BarRow {
  std::string name;
  std::vector<double> parts;
};
/// `hatched`: for figures that nobody measured.
[[nodiscard]] std::string bar_chart(const std::vector<std::string>& part_names,
                                    const std::vector<BarRow>& rows, std::string_view unit,
                                    bool hatched = false);

/// Share of values at or below x, one line a series, logarithmic x.
struct Series {
  std::string name;
  std::vector<double> sorted;
};
[[nodiscard]] std::string cumulative_chart(const std::vector<Series>& series,
                                           std::string_view unit);

/// Counts of values in equal bins.
[[nodiscard]] std::string histogram(std::span<const double> values, std::string_view label);

/// A surface z over a grid [rows][columns], seen from above and the front, and the level plane z =
/// `plane` in red.
[[nodiscard]] std::string surface_chart(std::span<const double> z, std::int32_t rows,
                                        std::int32_t columns, double plane,
                                        std::string_view row_label, std::string_view column_label,
                                        std::string_view z_label);

}  // namespace qama::cli
