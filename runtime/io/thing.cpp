// 1. A quadratic surface is fitted to the picture's border, then to all pixels that lie near it.
// 2. What is left over is the thing, its noise, specks. The noise is measured; what must count
// rises
//    well above it. The stronger side says whether the thing is brighter or darker.
// 3. Pixels that rise are joined to parts. A part without a strong pixel is light and shadow. Small
//    parts are specks. The box holds the parts that are left.
#include "runtime/io/thing.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <iterator>

namespace qama::io {
namespace {

constexpr std::size_t kTerms = 6;
constexpr float kLeastRise = 4;         ///< levels that count as more than rounding
constexpr float kLeastPeak = 16;        ///< levels; less is nothing to see
constexpr float kNoises = 5;            ///< deviations of the noise that count as more than noise
constexpr float kStrong = 0.4F;         ///< of the peak: a part has a pixel of this
constexpr float kWeak = 0.04F;          ///< of the peak: a part ends here
constexpr double kClear = 0.1;          ///< of a side: clear of the picture's edge
constexpr double kSpeck = 0.02;         ///< of the largest part's pixels
constexpr std::size_t kSamples = 4096;  ///< pixels that the surface is fitted to, about

float median(std::vector<float>& values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// The value that a part `share` of the values does not exceed.
float quantile(std::vector<float> values, double share) {
  if (values.empty()) return 0;
  const auto at = static_cast<std::size_t>(share * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(at), values.end());
  return values[at];
}

using Terms = std::array<double, kTerms>;

/// Level = sum of coefficients times 1, x, y, x^2, xy, y^2, with x and y from -1 to 1.
class Surface {
 public:
  Surface(std::int32_t width, std::int32_t height) : width_(width), height_(height) {}

  [[nodiscard]] float at(std::int32_t x, std::int32_t y) const {
    const Terms t = terms(x, y);
    double sum = 0;
    for (std::size_t i = 0; i < kTerms; ++i) sum += coefficients_[i] * t[i];
    return static_cast<float>(sum);
  }

  /// Weighted least squares over some pixels, with the first `count` terms. Terms that the pixels
  /// say nothing of stay near 0.
  void fit(const Levels& picture, const std::vector<std::size_t>& pixels,
           const std::vector<float>& weights, std::size_t count) {
    std::array<std::array<double, kTerms + 1>, kTerms> m{};
    for (std::size_t k = 0; k < pixels.size(); ++k) {
      const Terms t =
          terms(static_cast<std::int32_t>(pixels[k] % static_cast<std::size_t>(width_)),
                static_cast<std::int32_t>(pixels[k] / static_cast<std::size_t>(width_)));
      for (std::size_t i = 0; i < count; ++i) {
        for (std::size_t j = 0; j < count; ++j) m[i][j] += weights[k] * t[i] * t[j];
        m[i][kTerms] += weights[k] * t[i] * picture.values[pixels[k]];
      }
    }
    for (std::size_t i = 1; i < count; ++i) m[i][i] += 1e-3 * (m[0][0] + 1);
    m[0][0] += 1e-9;
    coefficients_ = {};
    for (std::size_t i = 0; i < count; ++i) {  // positive definite: no pivoting
      for (std::size_t r = i + 1; r < count; ++r) {
        const double factor = m[r][i] / m[i][i];
        for (std::size_t c = i; c <= kTerms; ++c) m[r][c] -= factor * m[i][c];
      }
    }
    for (std::size_t i = count; i-- > 0;) {
      double sum = m[i][kTerms];
      for (std::size_t c = i + 1; c < count; ++c) sum -= m[i][c] * coefficients_[c];
      coefficients_[i] = sum / m[i][i];
    }
  }

 private:
  [[nodiscard]] Terms terms(std::int32_t x, std::int32_t y) const {
    const double u = (2.0 * x + 1) / width_ - 1;
    const double v = (2.0 * y + 1) / height_ - 1;
    return {1, u, v, u * u, u * v, v * v};
  }
  std::int32_t width_, height_;
  Terms coefficients_{};
};

/// Every pixel minus the background; `noise` is the deviation of the background's pixels.
std::vector<float> without_background(const Levels& picture, float& noise) {
  const auto width = static_cast<std::size_t>(picture.width);
  const auto height = static_cast<std::size_t>(picture.height);
  const std::size_t frame = std::max<std::size_t>(1, std::min(width, height) / 20);
  std::vector<std::size_t> border, all;
  for (std::size_t y = 0; y < height; ++y) {
    for (std::size_t x = 0; x < width; ++x) {
      if (x < frame || y < frame || x + frame >= width || y + frame >= height) {
        border.push_back(y * width + x);
      }
    }
  }
  const auto thinned = [](const std::vector<std::size_t>& from) {
    std::vector<std::size_t> out;
    const std::size_t step = from.size() / kSamples + 1;
    for (std::size_t i = 0; i < from.size(); i += step) out.push_back(from[i]);
    return out;
  };
  border = thinned(border);
  // An odd step walks over columns, too, whatever the width.
  const std::size_t step = (width * height / kSamples) | 1;
  for (std::size_t i = 0; i < width * height; i += step) all.push_back(i);

  Surface surface(picture.width, picture.height);
  std::vector<float> weights(border.size(), 1.0F), left;
  const auto residuals = [&](const std::vector<std::size_t>& pixels) {
    left.clear();
    for (const std::size_t at : pixels) {
      left.push_back(picture.values[at] - surface.at(static_cast<std::int32_t>(at % width),
                                                     static_cast<std::int32_t>(at / width)));
    }
  };
  // A drawn or printed background is one level, and then nothing else needs to be guessed: where a
  // thing covers most of the border, only a part of it is left.
  std::array<std::size_t, 256> count{};
  for (const std::size_t at : border) {
    ++count[static_cast<std::size_t>(std::clamp(picture.values[at] + 0.5F, 0.0F, 255.0F))];
  }
  const auto mode =
      static_cast<std::size_t>(std::max_element(count.begin(), count.end()) - count.begin());
  std::size_t alike = count[mode];
  if (mode > 0) alike += count[mode - 1];
  if (mode < 255) alike += count[mode + 1];
  if (10 * alike >= 3 * border.size()) {
    noise = 0.5F;
    std::vector<float> out(picture.values.size());
    std::transform(picture.values.begin(), picture.values.end(), out.begin(),
                   [mode](float level) { return level - static_cast<float>(mode); });
    return out;
  }
  // Least absolute deviations: half of the border, less one pixel, may belong to something else.
  for (const std::size_t terms : {1, 1, 1, 3, 3, 3, 3, 3, 3, 3, 3}) {
    surface.fit(picture, border, weights, terms);
    residuals(border);
    for (std::size_t k = 0; k < left.size(); ++k)
      weights[k] = 1 / std::max(1.0F, std::fabs(left[k]));
  }
  // Least squares over what lies near it: of the border, then of the whole picture.
  float deviation = 0;
  for (int round = 0; round < 7; ++round) {
    const std::vector<std::size_t>& pixels = round < 3 ? border : all;
    residuals(pixels);
    std::vector<float> distance;
    for (const float r : left) distance.push_back(std::fabs(r));
    const float spread = round < 3 ? 1.4826F * median(distance) : deviation;
    const float bound = 2.5F * std::max(1.0F, spread);
    weights.assign(pixels.size(), 0.0F);
    std::vector<float> near;
    for (std::size_t k = 0; k < pixels.size(); ++k) {
      if (std::fabs(left[k]) > bound) continue;
      weights[k] = 1;
      near.push_back(std::fabs(left[k]));
    }
    if (near.size() * 5 < pixels.size()) break;  // the thing fills it
    deviation = 1.4826F * median(near);
    surface.fit(picture, pixels, weights, kTerms);
  }
  residuals(border);
  std::vector<float> near;
  for (const float r : left) near.push_back(std::fabs(r));
  // The lower half: a thing may reach over the border.
  noise = std::min(1.4826F * median(near), 2 * std::max(0.5F, deviation));

  std::vector<float> out(picture.values.size());
  for (std::size_t y = 0; y < height; ++y) {
    for (std::size_t x = 0; x < width; ++x) {
      out[y * width + x] = picture.values[y * width + x] -
                           surface.at(static_cast<std::int32_t>(x), static_cast<std::int32_t>(y));
    }
  }
  return out;
}

/// Pixels that touch each other.
struct Part {
  std::int32_t left = 0, top = 0, right = 0, bottom = 0;  ///< right and bottom are inside
  std::size_t pixels = 0;
  std::size_t edge = 0;  ///< pixels on the picture's edge
  float peak = 0;
  bool kept = true;
};

/// `label` of a pixel: the number of its part, from 1; 0 outside.
std::vector<Part> find_parts(const std::vector<float>& rise, std::int32_t width,
                             std::int32_t height, float threshold,
                             std::vector<std::int32_t>& label) {
  std::vector<Part> parts;
  label.assign(rise.size(), 0);
  std::vector<std::int32_t> open;
  for (std::int32_t start = 0; start < width * height; ++start) {
    if (rise[static_cast<std::size_t>(start)] < threshold ||
        label[static_cast<std::size_t>(start)] != 0) {
      continue;
    }
    Part part{width, height, -1, -1};
    const auto number = static_cast<std::int32_t>(parts.size()) + 1;
    label[static_cast<std::size_t>(start)] = number;
    open.assign(1, start);
    while (!open.empty()) {
      const std::int32_t at = open.back();
      open.pop_back();
      const std::int32_t x = at % width, y = at / width;
      part.left = std::min(part.left, x);
      part.top = std::min(part.top, y);
      part.right = std::max(part.right, x);
      part.bottom = std::max(part.bottom, y);
      part.peak = std::max(part.peak, rise[static_cast<std::size_t>(at)]);
      part.edge += x == 0 || y == 0 || x == width - 1 || y == height - 1 ? 1 : 0;
      ++part.pixels;
      for (std::int32_t ny = std::max(0, y - 1); ny <= std::min(height - 1, y + 1); ++ny) {
        for (std::int32_t nx = std::max(0, x - 1); nx <= std::min(width - 1, x + 1); ++nx) {
          const std::int32_t next = ny * width + nx;
          if (rise[static_cast<std::size_t>(next)] < threshold ||
              label[static_cast<std::size_t>(next)] != 0) {
            continue;
          }
          label[static_cast<std::size_t>(next)] = number;
          open.push_back(next);
        }
      }
    }
    parts.push_back(part);
  }
  return parts;
}

/// Marks the parts that are not the thing.
void drop_parts(std::vector<Part>& parts, std::int32_t width, std::int32_t height, float strong) {
  const auto perimeter = static_cast<double>(2 * (width + height));
  const auto area = static_cast<double>(width) * height;
  std::size_t largest = 0;
  bool inside = false;  // something of size lies clear of the edge
  for (Part& part : parts) {
    part.kept = part.peak >= strong;
    if (!part.kept) continue;
    largest = std::max(largest, part.pixels);
    inside = inside || (part.edge == 0 && static_cast<double>(part.pixels) >= 0.002 * area);
  }
  if (inside) {
    // Then a frame, or the end of a shadow or of the table, is none of it.
    largest = 0;
    for (Part& part : parts) {
      part.kept = part.kept && static_cast<double>(part.edge) < 0.05 * perimeter;
      if (part.kept) largest = std::max(largest, part.pixels);
    }
  }
  for (Part& part : parts) {
    part.kept =
        part.kept && static_cast<double>(part.pixels) >= kSpeck * static_cast<double>(largest);
  }
}

/// The pixels from left to right and from top to bottom, the last ones included.
struct Box {
  std::int32_t left = INT32_MAX, top = INT32_MAX, right = -1, bottom = -1;

  /// Whether it keeps a distance of a share of the picture's sides from all edges.
  [[nodiscard]] bool is_clear(const Levels& picture, double share) const {
    const double across = share * picture.width, down = share * picture.height;
    return left > across && top > down && picture.width - 1 - right > across &&
           picture.height - 1 - bottom > down;
  }
};

Box box_of(const std::vector<Part>& parts) {
  Box out;
  for (const Part& part : parts) {
    if (!part.kept) continue;
    out.left = std::min(out.left, part.left);
    out.top = std::min(out.top, part.top);
    out.right = std::max(out.right, part.right);
    out.bottom = std::max(out.bottom, part.bottom);
  }
  return out;
}

}  // namespace

Thing find_thing(const Levels& picture, Contrast contrast) {
  float noise = 0;
  std::vector<float> rise = without_background(picture, noise);
  std::vector<float> distance(rise.size());
  std::transform(rise.begin(), rise.end(), distance.begin(), [](float r) { return std::fabs(r); });
  const float least = std::max(kLeastRise, kNoises * noise);
  Thing out;
  if (contrast == Contrast::found) {
    // The strong pixels decide, by their sums: shadows are weak, and specks are few.
    const float bound = std::max(least, kStrong * quantile(distance, 0.999));
    double above = 0, below = 0;
    for (const float r : rise) {
      above += r > bound ? r : 0;
      below -= r < -bound ? r : 0;
    }
    out.darker = below > above;
  } else {
    out.darker = contrast == Contrast::darker;
  }
  for (float& r : rise) r = std::max(0.0F, out.darker ? -r : r);

  std::vector<float> risen;
  std::copy_if(rise.begin(), rise.end(), std::back_inserter(risen),
               [least](float r) { return r >= least; });
  if (risen.empty()) return out;
  const float peak = quantile(std::move(risen), 0.9);
  if (peak < kLeastPeak) return out;
  std::vector<std::int32_t> label;
  const float strong = std::max(least, kStrong * peak);
  std::vector<Part> parts =
      find_parts(rise, picture.width, picture.height, std::max(least, kWeak * peak), label);
  drop_parts(parts, picture.width, picture.height, strong);
  Box box = box_of(parts);
  if (!box.is_clear(picture, 0)) {
    // What reaches the edge is weak, and what is strong stays clear of it: the lines of paper.
    std::vector<std::int32_t> strong_label;
    std::vector<Part> strong_parts =
        find_parts(rise, picture.width, picture.height, strong, strong_label);
    drop_parts(strong_parts, picture.width, picture.height, strong);
    const Box strong_box = box_of(strong_parts);
    if (strong_box.is_clear(picture, kClear)) {
      box = strong_box;
      parts = std::move(strong_parts);
      label = std::move(strong_label);
    }
  }
  const auto [left, top, right, bottom] = box;
  if (right < 0) return out;
  out.found = true;
  out.left = left;
  out.top = top;
  out.width = right - left + 1;
  out.height = bottom - top + 1;
  const auto kept = [&](std::int32_t x, std::int32_t y) {
    const std::int32_t number = label[static_cast<std::size_t>(y * picture.width + x)];
    return number != 0 && parts[static_cast<std::size_t>(number) - 1].kept;
  };
  // A part's soft edge lies a pixel beyond it.
  for (std::int32_t y = top; y <= bottom; ++y) {
    for (std::int32_t x = left; x <= right; ++x) {
      bool own = false;
      for (std::int32_t ny = std::max(0, y - 1); ny <= std::min(picture.height - 1, y + 1); ++ny) {
        for (std::int32_t nx = std::max(0, x - 1); nx <= std::min(picture.width - 1, x + 1); ++nx) {
          own = own || kept(nx, ny);
        }
      }
      out.rise.push_back(own ? rise[static_cast<std::size_t>(y * picture.width + x)] : 0.0F);
    }
  }
  return out;
}

}  // namespace qama::io
