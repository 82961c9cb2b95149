#include "weights/attention/kind.h"

namespace qama::weights {

AttentionRules reformer_attention() noexcept {
  static constexpr Key kKeys[] = {integer_key<&AttentionSpec::hashes>("hashes", 1, kMaxHeads),
                                  integer_key<&AttentionSpec::buckets>("buckets", 2, kMaxDim),
                                  integer_key<&AttentionSpec::chunk>("chunk", 1, kMaxTokens)};
  return {.projections = 2,
          .keys = kKeys,
          .check_record =
              [](const AttentionSpec& spec, Bounds& bounds) {
                bounds.divides("attention.buckets: halves", 2, "buckets", spec.buckets);
              },
          .tensors =
              [](const AttentionSpec& spec, const AttentionShape& shape, const std::string& prefix,
                 TensorList& list) {
                list.add(prefix + "rotations", {spec.hashes, shape.dim_head, spec.buckets / 2});
              }};
}

}  // namespace qama::weights
