#include "runtime/cli/explain/explanation.h"

#include <algorithm>
#include <cmath>

#include "runtime/cli/console.h"

namespace qama::cli {

std::string Explanation::verdict() const {
  return label + format(", %.1f %%", 100 * probability);
}

std::vector<std::string> Explanation::selected_words(const Layer& layer, std::int32_t t) const {
  std::vector<std::string> out;
  const auto n = static_cast<std::size_t>(layer.tokens);
  for (std::size_t i = 0; i < (words.empty() ? n : std::min(n, words.size())); ++i) {
    if (layer.mask[static_cast<std::size_t>(t) * n + i] == 0) continue;
    out.push_back(words.empty() ? std::to_string(i) : words[i]);
  }
  return out;
}

Moments moments(std::span<const double> values) {
  Moments out;
  if (values.empty()) return out;
  const auto n = static_cast<double>(values.size());
  for (const double v : values) out.mean += v / n;
  for (const double v : values) out.deviation += (v - out.mean) * (v - out.mean) / n;
  out.deviation = std::sqrt(out.deviation);
  return out;
}

double least_flip(const Layer& layer) {
  return *std::min_element(layer.flip_energy.begin(), layer.flip_energy.end());
}

}  // namespace qama::cli
