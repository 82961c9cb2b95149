// The page: the paper's Figures 3, 4 and 5 for every layer.
#include <algorithm>
#include <cmath>

#include "runtime/cli/explain/report.h"
#include "runtime/cli/html/charts.h"
#include "runtime/cli/html/page.h"
#include "runtime/cli/html/svg.h"

namespace qama::cli {
namespace {

constexpr double kSmallMap = 112;  // pixels: the masks, side by side
constexpr double kLargeMap = 252;  // the energies
constexpr double kLongMap = 660;   // tokens of a text, flips
constexpr std::int32_t kLongRow = 64;

std::string shape_of_picture(const weights::Architecture& a) {
  return format("%d %d", a.image_width, a.image_height);
}

/// The picture as squares of its pixels: shown once, and used again behind every mask.
std::string input_picture(const weights::Architecture& a, std::span<const std::uint8_t> pixels) {
  std::string out =
      open_svg(static_cast<int>(kSmallMap),
               static_cast<int>(kSmallMap * a.image_height / a.image_width), "The input") +
      "<symbol id=\"input\" viewBox=\"0 0 " + shape_of_picture(a) +
      "\" preserveAspectRatio=\"none\"><g shape-rendering=\"crispEdges\">";
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
  return out + "</g></symbol><use href=\"#input\" width=\"100%\" height=\"100%\"/></svg>";
}

/// Tokens in a row of a map.
std::int32_t row_of_tokens(const Explanation& e, const Layer& layer) {
  return e.columns > 0 ? e.columns : std::min(layer.tokens, kLongRow);
}

/// The side of a token in a map: `width` of a picture's row; of a text at most kLongMap.
double side_of_token(const Explanation& e, std::int32_t columns, double width) {
  return e.columns > 0 ? width / columns : std::min(kLongMap / columns, 24.0);
}

std::string figure(const std::string& content, const std::string& caption, double width) {
  return format("<figure style=\"width:%.0fpx\">", width) + content + "<figcaption>" +
         escaped(caption) + "</figcaption></figure>";
}

/// What the page says of one input.
class ExplanationPage {
 public:
  ExplanationPage(const Explanation& e, const weights::Architecture& a) : e_(e), a_(a) {}

  [[nodiscard]] HtmlPage write(std::span<const std::uint8_t> pixels) const {
    HtmlPage page("What the heads selected: " + e_.input,
                  e_.model_path + " says " + e_.verdict() + "; solved by " + e_.solvers.text());
    if (a_.is_image())
      page.markup(figure(input_picture(a_, pixels), "the input, as the model gets it", 240));
    page.text(
        "Point at a cell for its value. With a keyboard: go to a picture with Tab, and to its "
        "cells with the arrow keys.");
    for (const Layer& layer : e_.layers) {
      add_masks(page, layer);
      add_energies(page, layer);
      add_flips(page, layer);
    }
    page.script_for_maps();
    return page;
  }

 private:
  /// "token 12 (row 1, column 5)", or of a text "token 12 'film'".
  [[nodiscard]] std::string token_name(std::size_t i) const {
    std::string out = "token " + std::to_string(i);
    if (e_.columns > 0) {
      const auto columns = static_cast<std::size_t>(e_.columns);
      return out + format(" (row %zu, column %zu)", i / columns, i % columns);
    }
    return i < e_.words.size() ? out + " '" + e_.words[i] + "'" : out;
  }

  /// A text as it was read, each word the stronger marked the more heads selected it.
  [[nodiscard]] std::string marked_words(const Layer& layer) const {
    const auto n = static_cast<std::size_t>(layer.tokens);
    const auto heads = static_cast<std::size_t>(layer.heads);
    std::string out = "<p class=\"words\">";
    for (std::size_t i = 0; i < n && i < e_.words.size(); ++i) {
      double part = 0;
      std::string who;
      for (std::size_t t = 0; t < heads; ++t) {
        const std::int32_t level = layer.mask[t * n + i];
        part += static_cast<double>(level) / layer.top() / static_cast<double>(heads);
        if (level != 0) who += (who.empty() ? "" : ", ") + std::to_string(t);
      }
      std::string says = token_name(i) + (who.empty()  ? ": not selected"
                                          : heads == 1 ? ": selected"
                                                       : ": selected by head " + who);
      const bool unknown = i < e_.known.size() && !e_.known[i];
      if (unknown) says += ", not in the vocabulary";
      out += format("<span class=\"%s%s\" style=\"--part:%.2f\" title=\"", who.empty() ? "" : "on",
                    unknown ? " unknown" : "", part) +
             escaped(says) + "\">" + escaped(e_.words[i]) + "</span> ";
    }
    return out + "</p>";
  }

  /// Figure 3: which tokens every head selected.
  void add_masks(HtmlPage& page, const Layer& layer) const {
    const bool picture = e_.columns > 0;
    const auto n = static_cast<std::size_t>(layer.tokens);
    const std::string number = std::to_string(layer.block);
    page.heading("Layer " + number + ": masks of the heads (the paper's Fig. 3)");
    if (!picture && !e_.words.empty()) {
      page.text(layer.heads == 1 ? "The words that the head selected are marked."
                                 : "The more heads selected a word, the stronger it is marked.");
      page.markup(marked_words(layer));
      if (layer.heads == 1) return;
    } else {
      page.text(layer.bits == 1 ? "A token that a head selected is bright, the others are dark."
                                : "The more of a token a head selected, the brighter it is.");
    }
    std::string masks = "<div class=\"row\">";
    for (std::int32_t t = 0; t < layer.heads; ++t) {
      CellMap map;
      map.columns = row_of_tokens(e_, layer);
      map.side = side_of_token(e_, map.columns, kSmallMap);
      const double width = map.side * map.columns;
      if (picture)
        map.behind = format("<use href=\"#input\" width=\"%.0f\" height=\"%.2f\"/>", width,
                            map.side * (layer.tokens / map.columns));
      std::int32_t count = 0;
      for (std::size_t i = 0; i < n; ++i) {
        const std::int32_t level = layer.mask[static_cast<std::size_t>(t) * n + i];
        const double part = static_cast<double>(level) / layer.top();
        count += level != 0 ? 1 : 0;
        map.fills.push_back(mask_fill(part));
        map.texts.push_back(format("head %d, ", t) + token_name(i) +
                            (level == 0        ? ": not selected"
                             : layer.bits == 1 ? ": selected"
                                               : format(": %d of %d", level, layer.top())));
      }
      const std::string says =
          "head " + std::to_string(t) + ": " + std::to_string(count) + " of " + std::to_string(n);
      map.title = "Layer " + number + ", tokens that a head selected, " + says;
      masks += figure(cell_map(map), says, width);
    }
    page.markup(masks + "</div>");
    page.value_line();
  }

  /// Nothing of the token selected: dark, above the picture; all of it: orange and clear.
  [[nodiscard]] std::string mask_fill(double part) const {
    const auto mix = [part](int dark, int clear) {
      return static_cast<int>(std::lround(dark + (clear - dark) * part));
    };
    return format("fill=\"#%02x%02x%02x\" fill-opacity=\"%.2f\"", mix(0x20, 0xff), mix(0x2a, 0x95),
                  mix(0x36, 0x1e), e_.columns > 0 ? 0.72 - 0.3 * part : 1.0);
  }

  /// Figure 4: the energy of every token, and the distribution of the layer's output.
  void add_energies(HtmlPage& page, const Layer& layer) const {
    const auto n = static_cast<std::size_t>(layer.tokens);
    const std::string number = std::to_string(layer.block);
    page.heading("Layer " + number + ": energy of the tokens and output (Fig. 4)");
    std::vector<double> average(n);
    for (std::size_t k = 0; k < layer.token_energy.size(); ++k)
      average[k % n] += layer.token_energy[k] / layer.heads;
    const Moments m = moments(layer.output);
    page.text(
        format("Energy of the layer without the penalty: %.2f. Output of the layer: mean %.3f, "
               "standard deviation %.3f.",
               layer.pure_energy, m.mean, m.deviation));
    const ColourScale scale(average);
    CellMap map;
    map.title = "Layer " + number + ", energy of every token, mean over the heads";
    map.columns = row_of_tokens(e_, layer);
    map.side = side_of_token(e_, map.columns, kLargeMap);
    for (std::size_t i = 0; i < n; ++i) {
      map.fills.push_back("fill=\"" + scale(average[i]) + "\"");
      map.texts.push_back(token_name(i) + format(": %.3f", average[i]));
    }
    page.markup("<div class=\"row\">" +
                figure(cell_map(map) + scale.bar("Scale of the energies"),
                       "energy of a token, mean over the heads",
                       std::max(map.side * map.columns, kLargeMap)) +
                figure(histogram(layer.output, "values of the layer's output"),
                       "distribution of the layer's output", 420) +
                "</div>");
    page.value_line();
  }

  /// Figure 5: the energy after every single flip, against the energy of the answer.
  void add_flips(HtmlPage& page, const Layer& layer) const {
    const std::int32_t spins = layer.tokens * layer.bits;
    const std::string number = std::to_string(layer.block);
    page.heading("Layer " + number + ": energy after one flip (Fig. 5)");
    page.text(format(
        "Red plane: energy of the answer, %.2f. Surface: energy after flipping one spin, %.2f on "
        "average, %.2f at least. Nothing below the plane means that no single flip makes the "
        "answer better.",
        layer.energy, moments(layer.flip_energy).mean, least_flip(layer)));
    SurfaceChart surface;
    surface.title = "Layer " + number + ", energy after flipping one spin, by head and token";
    surface.rows = layer.heads;
    surface.columns = spins;
    surface.plane = layer.energy;
    surface.row_label = "head";
    surface.column_label = layer.bits == 1 ? "token" : "bit of a token";
    surface.z_label = "energy";
    std::vector<double> z = layer.flip_energy;
    if (layer.heads == 1 && spins > kLongRow) {  // a long head in rows, as in the map below
      surface.rows = (spins + kLongRow - 1) / kLongRow;
      surface.columns = kLongRow;
      surface.row_label = "row";
      surface.column_label += " of the row";
      z.resize(static_cast<std::size_t>(surface.rows * surface.columns), layer.energy);
    }
    surface.z = z;
    page.markup(surface_chart(surface));
    page.markup(figure(
        cell_map(flip_map(layer)) + ColourScale(costs_of(layer), 0, ColourScale::Growth::kRoot)
                                        .bar("Scale of what a flip costs"),
        "what flipping a spin costs, head by head", kLongMap));
    page.value_line();
  }

  [[nodiscard]] static std::vector<double> costs_of(const Layer& layer) {
    std::vector<double> costs;
    for (const double energy : layer.flip_energy) costs.push_back(energy - layer.energy);
    return costs;
  }

  /// Heads x spins; a long head has several rows.
  [[nodiscard]] CellMap flip_map(const Layer& layer) const {
    const std::vector<double> costs = costs_of(layer);
    const ColourScale scale(costs, 0, ColourScale::Growth::kRoot);
    const std::int32_t spins = layer.tokens * layer.bits;
    CellMap map;
    map.title = "Layer " + std::to_string(layer.block) +
                ", what flipping a spin costs: a row a head, a column a token";
    map.columns = std::min(spins, kLongRow);
    map.numbered = spins <= kLongRow;
    map.side = std::min((kLongMap - kMapLabels) / map.columns, 24.0);
    map.row_height = 24;
    const std::int32_t lines = (spins + map.columns - 1) / map.columns;
    for (std::int32_t t = 0; t < layer.heads; ++t) {
      for (std::int32_t line = 0; line < lines; ++line)
        map.row_names.push_back(line == 0 ? "head " + std::to_string(t) : "");
      for (std::int32_t i = 0; i < lines * map.columns; ++i) {
        if (i >= spins) {  // the rest of a head's last row
          map.fills.emplace_back("fill=\"none\"");
          map.texts.emplace_back();
          continue;
        }
        const auto k = static_cast<std::size_t>(t * spins + i);
        map.fills.push_back("fill=\"" + scale(costs[k]) + "\"");
        std::string who = "head " + std::to_string(t) + ", " +
                          token_name(static_cast<std::size_t>(i / layer.bits));
        if (layer.bits > 1) who += ", bit " + std::to_string(i % layer.bits);
        map.texts.push_back(
            who + format(": flipping costs %.3f, to %.3f", costs[k], layer.flip_energy[k]));
      }
    }
    return map;
  }

  const Explanation& e_;
  const weights::Architecture& a_;
};

}  // namespace

Status write_explanation_html(const Explanation& e, const weights::Architecture& a,
                              std::span<const std::uint8_t> pixels, const std::string& path) {
  return ExplanationPage(e, a).write(pixels).write(path);
}

}  // namespace qama::cli
