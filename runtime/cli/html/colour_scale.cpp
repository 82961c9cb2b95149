#include <algorithm>
#include <cmath>

#include "runtime/cli/console.h"
#include "runtime/cli/html/charts.h"
#include "runtime/cli/html/svg.h"

namespace qama::cli {

ColourScale::ColourScale(std::span<const double> values, double from, Growth growth)
    : from_(from), low_(0), high_(0), growth_(growth) {
  for (const double value : values) {
    low_ = std::min(low_, value - from);
    high_ = std::max(high_, value - from);
  }
  // A trace of the other sign, as rounding leaves it, does not make a quantity two-sided.
  constexpr double kTrace = 0.01;
  if (-low_ < kTrace * high_) low_ = 0;
  if (high_ < -kTrace * low_) high_ = 0;
  if (low_ == 0 && high_ == 0) high_ = 1e-12;
}

std::string ColourScale::operator()(double value, double light) const {
  const double v = value - from_;
  if (low_ == 0 || high_ == 0) {
    const double part = std::clamp(v / (low_ == 0 ? high_ : low_), 0.0, 1.0);
    return ramp(growth_ == Growth::kRoot ? std::sqrt(part) : part, light);
  }
  return warmth(v / std::max(-low_, high_));
}

std::string ColourScale::bar(std::string_view title) const {
  constexpr int kWidth = 260;
  constexpr int kSteps = 84;  // of three pixels
  const bool both = low_ < 0 && high_ > 0;
  const double begin = both ? -std::max(-low_, high_) : 0;
  const double end = both ? -begin : high_ > 0 ? high_ : low_;
  // What lies at a part of the bar.
  const auto at = [&](double part) {
    return from_ + begin + (end - begin) * (growth_ == Growth::kRoot && !both ? part * part : part);
  };
  std::string out = open_svg(kWidth, 34, title, "scale");
  out += "<g shape-rendering=\"crispEdges\">";
  constexpr double kStep = (kWidth - 8.0) / kSteps;
  for (int k = 0; k < kSteps; ++k) {
    out += format("<rect x=\"%.2f\" y=\"0\" width=\"%.2f\" height=\"14\" fill=\"%s\"/>",
                  4 + k * kStep, kStep + 0.3, (*this)(at((k + 0.5) / kSteps)).c_str());
  }
  out += "</g>";
  out += words_at(4, 30, number(at(0)), "start");
  out += words_at(kWidth / 2.0, 30, number(at(0.5)), "middle");
  out += words_at(kWidth - 4, 30, number(at(1)), "end");
  return out + "</svg>";
}

}  // namespace qama::cli
