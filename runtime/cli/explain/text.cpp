#include <algorithm>

#include "hal/base/quote.h"
#include "runtime/cli/explain/report.h"

namespace qama::cli {
namespace {

/// '.' for nothing of a token, '#' for all of it, tenths from 1 to 9 between.
char mark(std::int32_t level, std::int32_t top) {
  if (level == 0) return '.';
  return level == top ? '#' : static_cast<char>('0' + std::clamp(10 * level / top, 1, 9));
}

/// A picture's tokens as they lie in it, as many heads side by side as 80 columns take.
void print_grids(const Explanation& e, const Layer& layer, Console& console) {
  const std::int32_t width = std::max(e.columns, 7) + 2;
  const std::int32_t side = std::max(78 / width, 1);
  for (std::int32_t first = 0; first < layer.heads; first += side) {
    for (std::int32_t row = -1; row < layer.tokens / e.columns; ++row) {
      std::string line;
      for (std::int32_t t = first; t < std::min(first + side, layer.heads); ++t) {
        std::string words = row < 0 ? "head " + std::to_string(t) : "";
        for (std::int32_t i = row * e.columns; row >= 0 && i < (row + 1) * e.columns; ++i)
          words += mark(layer.mask[static_cast<std::size_t>(t * layer.tokens + i)], layer.top());
        line += format("  %-*s", width - 2, words.c_str());
      }
      console.line(line.substr(0, line.find_last_not_of(' ') + 1));
    }
  }
}

constexpr std::size_t kColumns = 100;

/// The words that a head selected, or the numbers of the tokens, in lines of kColumns.
void print_words(const Explanation& e, const Layer& layer, std::int32_t t, Console& console) {
  const std::vector<std::string> words = e.selected_words(layer, t);
  std::string line = format("  head %d selected %zu of %d:", t, words.size(), layer.tokens);
  for (const std::string& word : words) {
    if (line.size() + 1 + word.size() > kColumns) {
      console.line(line);
      line = "   ";
    }
    const std::string fit = quote(word);  // for a terminal; its quotes are not shown
    line += " " + fit.substr(1, fit.size() - 2);
  }
  console.line(line);
}

}  // namespace

void print_explanation(const Explanation& e, Console& console) {
  console.line(e.input + ": " + e.verdict() + "  (" + e.solvers.text() + ")");
  for (const Layer& layer : e.layers) {
    const auto chosen = std::count_if(layer.mask.begin(), layer.mask.end(),
                                      [](std::int32_t level) { return level != 0; });
    const Moments m = moments(layer.output);
    console.line(
        format("layer %d: energy %.4f (without penalty %.4f); %td of %zu %s selected; a flip "
               "costs %.4f on average, "
               "%.4f at least; output mean %.3f, deviation %.3f",
               layer.block, layer.energy, layer.pure_energy, chosen, layer.mask.size(),
               layer.bits == 1 ? "spins" : "tokens", moments(layer.flip_energy).mean - layer.energy,
               least_flip(layer) - layer.energy, m.mean, m.deviation));
    if (e.columns > 0) print_grids(e, layer, console);
    for (std::int32_t t = 0; e.columns == 0 && t < layer.heads; ++t) {
      print_words(e, layer, t, console);
    }
  }
}

}  // namespace qama::cli
