#include "weights/attention/kind.h"

namespace qama::weights {

AttentionRules qama_v1_attention() noexcept {
  static constexpr Key kKeys[] = {integer_key<&AttentionSpec::bits>("bits", 1, kMaxSelectionBits),
                                  real_key<&AttentionSpec::quadratic>("quadratic"),
                                  real_key<&AttentionSpec::linear>("linear"),
                                  real_key<&AttentionSpec::penalty>("penalty")};
  return {.anneals = true,
          .keys = kKeys,
          .tensors = [](const AttentionSpec&, const AttentionShape& shape,
                        const std::string& prefix, TensorList& list) {
            list.add_scale_shift(prefix + "coupling", shape.heads);
            list.add_scale_shift(prefix + "field", shape.heads);
            list.add_scale_shift(prefix + "energy", shape.heads);
          }};
}

}  // namespace qama::weights
