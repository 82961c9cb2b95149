#include "weights/attention/kind.h"

namespace qama::weights {

AttentionRules linformer_attention() noexcept {
  static constexpr Key kKeys[] = {integer_key<&AttentionSpec::rank>("rank", 1, kMaxDim)};
  return {.keys = kKeys,
          .tensors = [](const AttentionSpec& spec, const AttentionShape& shape,
                        const std::string& prefix, TensorList& list) {
            list.add(prefix + "proj_k", {spec.rank, shape.tokens});
            list.add(prefix + "proj_v", {spec.rank, shape.tokens});
          }};
}

}  // namespace qama::weights
