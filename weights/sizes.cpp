// What follows from an architecture record without the rules of its kinds of attention: the part of
// architecture.h that boards have, too (flash.h).
#include <algorithm>
#include <cmath>

#include "weights/architecture.h"

namespace qama::weights {

const AttentionSpec& Architecture::attention_of(std::int32_t block) const noexcept {
  return std::binary_search(other_blocks.begin(), other_blocks.end(), block) ? other_attention
                                                                             : attention;
}

std::int32_t Architecture::spin_bits() const noexcept {
  return is_qama() ? std::max(attention.bits, 1) : 0;
}

double Architecture::rho(std::int32_t n) const noexcept {
  return n * attention.rho0;
}

double Architecture::lambda(std::int32_t n) const noexcept {
  if (heads <= 1) return 0.0;
  constexpr double kPi = 3.14159265358979323846;
  return n * std::sqrt(2.0 / kPi) / (heads - 1) * attention.gamma0;
}

const hal::Schedule& Architecture::anneal_of(std::int32_t block) const noexcept {
  const auto& layers = attention.anneal_layers;
  return layers.empty() ? attention.anneal : layers[static_cast<std::size_t>(block)];
}

}  // namespace qama::weights
