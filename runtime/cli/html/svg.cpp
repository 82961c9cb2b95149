#include "runtime/cli/html/svg.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "runtime/cli/console.h"
#include "runtime/cli/html/page.h"

namespace qama::cli {
namespace {

constexpr const char* kPalette[] = {"#3b6fb6", "#e08a2b", "#4f9d69", "#b4473f", "#7d62a8",
                                    "#8a6d4f", "#c774a8", "#7a7f87", "#a9a53a", "#3aa3ad"};

using Rgb = std::array<double, 3>;
constexpr Rgb kViridis[] = {{68, 1, 84},    {65, 68, 135},  {42, 120, 142},
                            {34, 168, 132}, {122, 209, 81}, {253, 231, 37}};
constexpr Rgb kBlue = {42, 95, 170}, kWhite = {250, 250, 250}, kRed = {178, 44, 52};

std::string blend(const Rgb& from, const Rgb& to, double part, double light) {
  std::string out = "#";
  for (std::size_t k = 0; k < 3; ++k) {
    const double value = light * (from[k] + (to[k] - from[k]) * part);
    out += format("%02x", static_cast<unsigned>(std::lround(std::clamp(value, 0.0, 255.0))));
  }
  return out;
}

}  // namespace

const char* colour(std::size_t index) noexcept {
  return kPalette[index % std::size(kPalette)];
}

std::string ramp(double value, double light) {
  constexpr std::size_t kLast = std::size(kViridis) - 1;
  const double at = std::clamp(value, 0.0, 1.0) * kLast;
  const std::size_t below = std::min(static_cast<std::size_t>(at), kLast - 1);
  return blend(kViridis[below], kViridis[below + 1], at - static_cast<double>(below), light);
}

std::string warmth(double value) {
  const double v = std::clamp(value, -1.0, 1.0);
  return blend(kWhite, v < 0 ? kBlue : kRed, std::fabs(v), 1.0);
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

std::vector<double> ticks(double low, double range, int parts) {
  const double step = tick_step(range, parts);
  const double first = std::ceil(low / step);
  std::vector<double> out;
  // Counted: a step that is small against `low` would add nothing, for ever.
  for (int k = 0; k <= 2 * parts; ++k) {
    const double value = (first + k) * step;
    if (value > low + range) break;
    if (out.empty() || value > out.back()) out.push_back(value);
  }
  return out;
}

std::string open_svg(int width, int height, std::string_view title, const char* classes) {
  return format(
             "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"scaled %s\" viewBox=\"0 0 %d %d\" "
             "style=\"max-width:%dpx\" role=\"img\"><title>",
             classes, width, height, width) +
         escaped(title) + "</title>";
}

std::string open_wide_svg(int height, std::string_view title) {
  return format(
             "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"wide\" height=\"%d\" "
             "role=\"img\"><title>",
             height) +
         escaped(title) + "</title>";
}

std::string words_at(double x, double y, std::string_view words, const char* anchor,
                     const char* more) {
  return format("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\"%s>", x, y, anchor, more) +
         escaped(words) + "</text>";
}

std::string line_at(double x1, double y1, double x2, double y2, const char* kind) {
  return format("<line class=\"%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>", kind, x1,
                y1, x2, y2);
}

std::string words_at_percent(double x, double y, std::string_view words) {
  return format("<text x=\"%.2f%%\" y=\"%.1f\" text-anchor=\"%s\">", x, y,
                x < 3    ? "start"
                : x > 97 ? "end"
                         : "middle") +
         escaped(words) + "</text>";
}

std::string line_at_percent(double x, double y1, double y2) {
  return format("<line class=\"grid\" x1=\"%.2f%%\" y1=\"%.1f\" x2=\"%.2f%%\" y2=\"%.1f\"/>", x, y1,
                x, y2);
}

}  // namespace qama::cli
