#include "weights/attention/kind.h"

namespace qama::weights {

AttentionRules qama_bilinear_attention() noexcept {
  static constexpr Key kKeys[] = {real_key<&AttentionSpec::rho0>("rho0"),
                                  real_key<&AttentionSpec::gamma0>("gamma0")};
  return {.anneals = true,
          .one_norm = false,
          .projects = [](const AttentionSpec&) { return false; },
          .keys = kKeys,
          .tensors =
              [](const AttentionSpec&, const AttentionShape& shape, const std::string& prefix,
                 TensorList& list) {
                for (const char* of : {"norm_q", "norm_k", "norm_v"}) {
                  list.add_norm(prefix + of, shape.dim);
                }
                list.add(prefix + "w_eps", {1, shape.dim_head}, {shape.heads, shape.dim_head});
              }};
}

}  // namespace qama::weights
