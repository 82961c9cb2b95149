#include "runtime/cli/html/svg.h"

#include <algorithm>
#include <cmath>

#include "runtime/cli/console.h"
#include "runtime/cli/html/page.h"

namespace qama::cli {
namespace {

constexpr const char* kPalette[] = {"#3b6fb6", "#e08a2b", "#4f9d69", "#b4473f", "#7d62a8",
                                    "#8a6d4f", "#c774a8", "#7a7f87", "#a9a53a", "#3aa3ad"};

}  // namespace

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

std::string number(double value) {
  const double size = std::fabs(value);
  return format(size >= 100 ? "%.0f" : size >= 10 ? "%.1f" : size >= 1 ? "%.2f" : "%.3g", value);
}

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

std::string words_at(double x, double y, std::string_view words, const char* anchor,
                     const char* more) {
  return format("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\"%s>", x, y, anchor, more) +
         escaped(words) + "</text>";
}

std::string line_at(double x1, double y1, double x2, double y2, const char* stroke) {
  return format("<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\"/>", x1, y1, x2,
                y2, stroke);
}

}  // namespace qama::cli
