// What the plots are drawn with: colours, numbers, ticks, lines and words.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace qama::cli {

/// Colour `index` of the palette, "#rrggbb".
[[nodiscard]] const char* colour(std::size_t index) noexcept;
/// Blue (0) over white (0.5) to red (1).
[[nodiscard]] std::string warmth(double value);

/// A number with about three digits, for axes and labels.
[[nodiscard]] std::string number(double value);
/// A round step that divides `range` into about `parts`.
[[nodiscard]] double tick_step(double range, int parts);
/// The opening tag; the plot closes it.
[[nodiscard]] std::string open_svg(int width, int height);
/// `anchor`: start, middle or end; `more`: attributes.
[[nodiscard]] std::string words_at(double x, double y, std::string_view words,
                                   const char* anchor = "start", const char* more = "");
[[nodiscard]] std::string line_at(double x1, double y1, double x2, double y2,
                                  const char* stroke = "#d9dee5");

}  // namespace qama::cli
