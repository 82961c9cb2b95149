#include <algorithm>

#include "runtime/cli/explain/report.h"

namespace qama::cli {
namespace {

/// '.' for nothing of a token, '#' for all of it, tenths from 1 to 9 between.
char mark(std::int32_t level, std::int32_t top) {
  if (level == 0) return '.';
  return level == top ? '#' : static_cast<char>('0' + std::clamp(10 * level / top, 1, 9));
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
