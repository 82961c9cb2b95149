#include "runtime/api/watcher.h"

#include <algorithm>
#include <string>

namespace qama::runtime {

void Watcher::problem(const LayerProblem& p) {
  WatchedLayer layer;
  layer.block = p.layer;
  layer.sample = p.sample;
  layer.heads = p.heads;
  layer.tokens = p.tokens;
  layers.push_back(std::move(layer));
  layers.back().bits = p.bits;
  if (p.factors.empty()) {
    take_integers(*p.problem);
  } else {
    take_factors(p);
  }
}

void Watcher::spins(std::string_view /*name*/, std::int32_t /*sample*/,
                    std::span<const std::uint8_t> values) {
  if (layers.empty()) return;
  WatchedLayer& layer = layers.back();
  const auto bits = static_cast<std::size_t>(layer.bits);
  const std::size_t n = static_cast<std::size_t>(layer.tokens) * bits;  // spins a head
  const auto heads = static_cast<std::size_t>(layer.heads);
  const std::size_t all = values.size() / heads;  // the model's; a text may have fewer tokens
  std::vector<std::uint8_t> spins(heads * n);
  layer.mask.assign(spins.size() / bits, 0);
  std::vector<double> selected(n);  // heads that select a spin's token
  for (std::size_t t = 0; t < heads; ++t) {
    for (std::size_t i = 0; i < n; ++i) {
      const std::size_t k = t * n + i;
      spins[k] = values[t * all + i];
      layer.mask[k / bits] =
          static_cast<std::uint8_t>(layer.mask[k / bits] | spins[k] << (k % bits));
      selected[i] += spins[k];
    }
  }
  double penalty = 0;
  for (const double count : selected) penalty += lambda_ * count * (count - 1) / 2;
  // Flipping s changes the energy by (1 - 2 s) times the spin's field.
  layer.flip_cost.assign(spins.size(), 0);
  for (std::size_t t = 0; t < heads; ++t) {
    for (std::size_t i = 0; i < n; ++i) {
      const std::size_t k = t * n + i;
      double inner = 0;
      const double* row = couplings_.data() + k * n;
      for (std::size_t j = 0; j < n; ++j) inner += spins[t * n + j] != 0 ? row[j] : 0;
      const double pull = fields_[k] + inner;
      const double own = spins[k];
      layer.pure_energy -= own * (fields_[k] + inner / 2);
      layer.flip_cost[k] = (1 - 2 * own) * (lambda_ * (selected[i] - own) - pull);
    }
  }
  layer.energy = layer.pure_energy + penalty;
  for (const double delta : layer.flip_cost) layer.flip_energy.push_back(layer.energy + delta);
}

void Watcher::energies(std::string_view /*name*/, std::int32_t /*sample*/,
                       std::span<const double> values) {
  if (layers.empty()) return;
  WatchedLayer& layer = layers.back();
  const auto heads = static_cast<std::size_t>(layer.heads);
  for (std::size_t t = 0; t < heads; ++t) {
    const auto head =
        values.subspan(t * (values.size() / heads), static_cast<std::size_t>(layer.tokens));
    // A token that is not selected has -0.
    for (const double energy : head) layer.token_energy.push_back(energy + 0.0);
  }
}

void Watcher::tensor(std::string_view name, std::int32_t /*sample*/,
                     std::span<const float> values) {
  if (layers.empty() || name != "block." + std::to_string(layers.back().block) + ".attn_out")
    return;
  WatchedLayer& layer = layers.back();
  const std::size_t rows = static_cast<std::size_t>(layer.tokens);
  const std::size_t used = rows <= values.size()
                               ? values.size() / std::max<std::size_t>(all_tokens, 1) * rows
                               : values.size();
  layer.output.assign(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(used));
}

void Watcher::take_factors(const LayerProblem& p) {
  lambda_ = p.lambda;
  const auto n = static_cast<std::size_t>(p.tokens);
  const auto stride = static_cast<std::size_t>(p.stride);
  const auto width = static_cast<std::size_t>(p.dim_head);
  couplings_.assign(static_cast<std::size_t>(p.heads) * n * n, 0.0);
  fields_.clear();
  for (std::size_t t = 0; t < static_cast<std::size_t>(p.heads); ++t) {
    double* head = couplings_.data() + t * n * n;
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = i + 1; j < n; ++j) {
        double sum = 0;
        for (std::size_t d = 0; d < width; ++d) {
          const float* column = p.factors.data() + (t * width + d) * stride;
          const double product = static_cast<double>(column[i]) * static_cast<double>(column[j]);
          sum += d + static_cast<std::size_t>(p.negative) < width ? product : -product;
        }
        head[i * n + j] = head[j * n + i] = p.coupling_scale[t] * sum + p.coupling_shift[t];
      }
      fields_.push_back(p.fields[t * stride + i]);
    }
  }
}

void Watcher::take_integers(const hal::DenseView& p) {
  lambda_ = p.penalty / p.scale;
  const auto n = static_cast<std::size_t>(p.shape.tokens);
  const auto stride = static_cast<std::size_t>(hal::row_stride(p.shape.tokens));
  couplings_.clear();
  fields_.clear();
  for (std::size_t k = 0; k < static_cast<std::size_t>(p.shape.heads) * n; ++k) {
    for (std::size_t j = 0; j < n; ++j) couplings_.push_back(p.couplings[k * stride + j] / p.scale);
    fields_.push_back(p.fields[k / n * stride + k % n] / p.scale);
  }
}

}  // namespace qama::runtime
