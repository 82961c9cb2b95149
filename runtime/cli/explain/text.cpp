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

constexpr std::size_t kColumns = 100;

/// The words that a head selected, in lines of kColumns.
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
    for (std::int32_t t = 0; t < layer.heads; ++t) {
      if (!e.words.empty()) {
        print_words(e, layer, t, console);
        continue;
      }
      std::string line = format("  head %d  ", t);
      for (std::int32_t i = 0; i < layer.tokens; ++i) {
        line +=
            mark(layer.mask[static_cast<std::size_t>(t) * static_cast<std::size_t>(layer.tokens) +
                            static_cast<std::size_t>(i)],
                 layer.top());
      }
      console.line(line);
    }
  }
}

}  // namespace qama::cli
