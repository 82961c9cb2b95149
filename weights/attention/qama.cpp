#include "weights/attention/kind.h"

namespace qama::weights {

AttentionRules qama_attention() noexcept {
  static constexpr Key kKeys[] = {
      word_key<&AttentionSpec::normalisation, kNormalisations>("normalisation"),
      word_key<&AttentionSpec::energy_norm, kEnergyNorms>("energy_norm"),
      real_key<&AttentionSpec::rho0>("rho0"), real_key<&AttentionSpec::gamma0>("gamma0")};
  return {.anneals = true,
          .keys = kKeys,
          .tensors = [](const AttentionSpec& spec, const AttentionShape& shape,
                        const std::string& prefix, TensorList& list) {
            list.add(prefix + "w_eps", {1, shape.dim_head}, {shape.heads, shape.dim_head});
            list.add_scale_shift(prefix + "coupling", shape.heads);
            list.add_scale_shift(prefix + "field", shape.heads);
            if (spec.energy_norm == EnergyNorm::batch) {
              list.add_scale_shift(prefix + "energy", shape.heads);
            } else if (spec.energy_norm == EnergyNorm::layer) {
              list.add_norm(prefix + "energy", shape.inner());
            }
          }};
}

}  // namespace qama::weights
