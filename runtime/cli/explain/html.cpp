// The page: the paper's Figures 3, 4 and 5 for every layer.
#include <algorithm>
#include <cmath>

#include "runtime/cli/explain/report.h"
#include "runtime/cli/html/charts.h"
#include "runtime/cli/html/page.h"
#include "runtime/cli/html/svg.h"

namespace qama::cli {
namespace {

/// The picture as squares of its pixels, to be used again and again.
std::string picture_symbol(const weights::Architecture& a, std::span<const std::uint8_t> pixels) {
  std::string out = format(
      "<svg width=\"0\" height=\"0\" style=\"position:absolute\"><symbol id=\"input\" viewBox=\"0 "
      "0 %d %d\" "
      "preserveAspectRatio=\"none\">",
      a.image_width, a.image_height);
  const auto channels = static_cast<std::size_t>(a.image_channels);
  for (std::int32_t y = 0; y < a.image_height; ++y) {
    for (std::int32_t x = 0; x < a.image_width; ++x) {
      const std::size_t at =
          (static_cast<std::size_t>(y) * static_cast<std::size_t>(a.image_width) +
           static_cast<std::size_t>(x)) *
          channels;
      const int red = pixels[at];
      const int green = channels >= 3 ? pixels[at + 1] : red;
      const int blue = channels >= 3 ? pixels[at + 2] : red;
      // A little larger than the pixel, so that no seam shows.
      out +=
          format("<rect x=\"%d\" y=\"%d\" width=\"1.05\" height=\"1.05\" fill=\"#%02x%02x%02x\"/>",
                 x, y, red, green, blue);
    }
  }
  return out + "</symbol></svg>";
}

/// A cell's style: from dark (nothing of the token selected) to clear, over the picture or yellow
/// without.
std::string shade(double part, bool picture) {
  const auto blend = [part](int dark, int clear) {
    return static_cast<int>(std::lround(dark + (clear - dark) * part));
  };
  if (!picture)
    return format("fill=\"#%02x%02x%02x\"", blend(0x2b, 0xff), blend(0x34, 0xd3),
                  blend(0x40, 0x4d));
  return format("fill=\"#%02x%02x%02x\" fill-opacity=\"%.2f\"", blend(0x10, 0xff),
                blend(0x18, 0xd3), blend(0x20, 0x4d), 0.78 - 0.56 * part);
}

/// Tokens as cells over the picture; `cell` gives a cell's style from its index.
template <typename Cell>
std::string token_grid(const weights::Architecture& a, std::int32_t tokens, bool picture, int size,
                       const Cell& cell) {
  const std::int32_t columns =
      a.is_image() ? a.grid_cols() / a.token_pool_cols : std::min(tokens, 32);
  const std::int32_t rows = (tokens + columns - 1) / columns;
  const double step = static_cast<double>(size) / columns;
  const double height = step * rows;
  std::string out = format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%.0f\" viewBox=\"0 0 %d "
      "%.2f\">",
      size, height, size, height);
  if (picture) out += format("<use href=\"#input\" width=\"%d\" height=\"%.2f\"/>", size, height);
  for (std::int32_t i = 0; i < tokens; ++i) {
    out += format(
               "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" stroke=\"#8893a0\" "
               "stroke-width=\"0.3\" ",
               step * (i % columns), step * (i / columns), step, step) +
           cell(static_cast<std::size_t>(i)) + "/>";
  }
  return out + "</svg>";
}
std::string figure(const std::string& svg, const std::string& caption) {
  return "<figure>" + svg + "<figcaption>" + escaped(caption) + "</figcaption></figure>";
}

/// Figure 3: which tokens every head selected.
void add_masks(HtmlPage& page, const weights::Architecture& a, const Layer& layer) {
  const bool picture = a.is_image();
  const auto n = static_cast<std::size_t>(layer.tokens);
  const auto heads = static_cast<std::size_t>(layer.heads);
  page.heading("Layer " + std::to_string(layer.block) +
               ": masks of the heads (the paper's Fig. 3)");
  page.text(layer.bits == 1 ? "A token that a head selected is clear, the others are dark."
                            : "The more of a token a head selected, the clearer it is.");
  std::string masks = "<div class=\"row\">";
  for (std::size_t t = 0; t < heads; ++t) {
    const std::span<const std::int32_t> levels(layer.mask.data() + t * n, n);
    const auto count =
        std::count_if(levels.begin(), levels.end(), [](std::int32_t level) { return level != 0; });
    masks += figure(
        token_grid(a, layer.tokens, picture, picture ? 112 : 480,
                   [&](std::size_t i) {
                     return shade(static_cast<double>(levels[i]) / layer.top(), picture);
                   }),
        "head " + std::to_string(t) + ": " + std::to_string(count) + " of " + std::to_string(n));
  }
  if (picture)
    masks += figure(
        "<svg width=\"112\" height=\"112\"><use href=\"#input\" width=\"112\" "
        "height=\"112\"/></svg>",
        "input");
  page.markup(masks + "</div>");
}

/// Figure 4: the energy of every token, and the distribution of the layer's output.
void add_energies(HtmlPage& page, const weights::Architecture& a, const Layer& layer) {
  const bool picture = a.is_image();
  const auto n = static_cast<std::size_t>(layer.tokens);
  const auto heads = static_cast<std::size_t>(layer.heads);
  page.heading("Layer " + std::to_string(layer.block) +
               ": energy of the tokens and output (Fig. 4)");
  std::vector<double> average(n);
  for (std::size_t k = 0; k < layer.token_energy.size(); ++k)
    average[k % n] += layer.token_energy[k] / static_cast<double>(heads);
  const auto ends = std::minmax_element(average.begin(), average.end());
  const double least = *ends.first;
  const double greatest = *ends.second;
  const double range = std::max(greatest - least, 1e-12);
  const Moments m = moments(layer.output);
  page.text(
      format("Energy without the penalty: %.2f in all. Output of the layer: mean %.3f, "
             "standard deviation %.3f.",
             layer.pure_energy, m.mean, m.deviation));
  page.markup(
      "<div class=\"row\">" +
      figure(token_grid(a, layer.tokens, false, picture ? 240 : 480,
                        [&](std::size_t i) {
                          return "fill=\"" + warmth((greatest - average[i]) / range) +
                                 "\"><title>" + format("token %zu: %.3f", i, average[i]) +
                                 "</title></rect><rect width=\"0\" height=\"0\" ";
                        }),
             format("energy a token, mean over the heads: red %.2f, blue %.2f", least, greatest)) +
      figure(histogram(layer.output, "values of the layer's output"),
             "distribution of the layer's output") +
      "</div>");
}

/// Figure 5: the energy after every single flip, against the energy of the answer.
void add_flips(HtmlPage& page, const Layer& layer) {
  page.heading("Layer " + std::to_string(layer.block) + ": energy after one flip (Fig. 5)");
  page.text(format(
      "Red plane: energy of the answer, %.2f. Surface: energy after flipping one spin, %.2f on "
      "average, %.2f at "
      "least; nothing below the plane means that no single flip makes the answer better.",
      layer.energy, moments(layer.flip_energy).mean, least_flip(layer)));
  page.markup(surface_chart(layer.flip_energy, layer.heads, layer.tokens * layer.bits, layer.energy,
                            "head", layer.bits == 1 ? "token" : "bit of a token", "energy"));
}

}  // namespace

Status write_explanation_html(const Explanation& e, const weights::Architecture& a,
                              std::span<const std::uint8_t> pixels, const std::string& path) {
  HtmlPage page("What the heads selected: " + e.input,
                e.model_path + " says " + e.verdict() + "; solved by " + e.solvers.text());
  if (a.is_image()) page.markup(picture_symbol(a, pixels));
  for (const Layer& layer : e.layers) {
    add_masks(page, a, layer);
    add_energies(page, a, layer);
    add_flips(page, layer);
  }
  return page.write(path);
}

}  // namespace qama::cli
