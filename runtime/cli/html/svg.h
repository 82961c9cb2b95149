// What the plots are drawn with: colours, numbers, ticks, lines and words. Colours that follow the
// reader's choice of a light or a dark page are classes of the page's style (page.cpp).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace qama::cli {

/// Colour `index` of the palette, "#rrggbb".
[[nodiscard]] const char* colour(std::size_t index) noexcept;
/// Dark violet (0) over green to yellow (1): viridis, `light` times as bright.
[[nodiscard]] std::string ramp(double value, double light = 1.0);
/// Blue (-1) over white (0) to red (1).
[[nodiscard]] std::string warmth(double value);

/// A number with about three digits, for axes and labels.
[[nodiscard]] std::string number(double value);
/// A round step that divides `range` into about `parts`.
[[nodiscard]] double tick_step(double range, int parts);
/// The multiples of that step from `low` to `low + range`, in order.
[[nodiscard]] std::vector<double> ticks(double low, double range, int parts);
/// The opening tag of a picture that is as wide as the page lets it, at most `width` pixels; what
/// is in it grows with it. `title` is its name for those who do not see it.
[[nodiscard]] std::string open_svg(int width, int height, std::string_view title,
                                   const char* classes = "");
/// One that is as wide as the page and `height` pixels high; x is in per cent of the width.
[[nodiscard]] std::string open_wide_svg(int height, std::string_view title);
/// `anchor`: start, middle or end; `more`: attributes.
[[nodiscard]] std::string words_at(double x, double y, std::string_view words,
                                   const char* anchor = "start", const char* more = "");
/// `kind`: a class, "grid" or "axis".
[[nodiscard]] std::string line_at(double x1, double y1, double x2, double y2,
                                  const char* kind = "grid");
/// The same in a wide picture. Words near its ends are drawn inwards.
[[nodiscard]] std::string words_at_percent(double x, double y, std::string_view words);
[[nodiscard]] std::string line_at_percent(double x, double y1, double y2);

}  // namespace qama::cli
