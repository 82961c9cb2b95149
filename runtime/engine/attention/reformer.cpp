#include "ops/attention/reformer.h"

#include "runtime/engine/attention/attention.h"

namespace qama::runtime {

Status add_reformer(Builder& b, const AttentionLayer& layer) {
  const weights::AttentionSpec& spec = b.architecture().attention_of(layer.block);
  QAMA_ASSIGN_OR_RETURN(const auto rotations, b.weight(layer.tensor + "rotations"));
  return add_mixing(b, layer,
                    ops::ReformerAttention::create(
                        mixing_shape(b), {spec.hashes, spec.buckets, spec.chunk, rotations}));
}

}  // namespace qama::runtime
