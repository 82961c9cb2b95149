// One HTML page with plots that stands alone: style and SVG inside, no script, nothing fetched.
// `qama profile` and `qama explain` write theirs with it. A new kind of plot is a function that
// returns an <svg>.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hal/base/result.h"

namespace qama::cli {

/// Text with &, <, > and quotes made harmless; bytes that are no printable ASCII or UTF-8 stay.
[[nodiscard]] std::string escaped(std::string_view text);

/// Colour `index` of the palette, "#rrggbb".
[[nodiscard]] const char* colour(std::size_t index) noexcept;
/// Blue (0) over white (0.5) to red (1).
[[nodiscard]] std::string warmth(double value);

class HtmlPage {
 public:
  HtmlPage(std::string_view title, std::string_view subtitle);
  void heading(std::string_view text);
  /// A paragraph of plain text.
  void text(std::string_view words);
  /// Markup that is already safe: an <svg>, a <figure>.
  void markup(std::string_view html);
  /// The first column is left-aligned text, the others are numbers or words, right-aligned.
  void table(const std::vector<std::string>& head,
             const std::vector<std::vector<std::string>>& rows);
  /// Writes the page. IO_ERROR.
  Status write(const std::string& path);

 private:
  std::string html_;
};

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
