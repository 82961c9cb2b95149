#include "weights/attention/kind.h"

namespace qama::weights {

AttentionRules performer_attention() noexcept {
  static constexpr Key kKeys[] = {integer_key<&AttentionSpec::features>("features", 1, kMaxDim)};
  return {.keys = kKeys,
          .tensors = [](const AttentionSpec& spec, const AttentionShape& shape,
                        const std::string& prefix, TensorList& list) {
            list.add(prefix + "features", {spec.features, shape.dim_head});
          }};
}

}  // namespace qama::weights
