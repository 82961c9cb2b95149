#include "ops/attention/longformer.h"

#include "runtime/engine/attention/attention.h"

namespace qama::runtime {

Status add_longformer(Builder& b, const AttentionLayer& layer) {
  const weights::AttentionSpec& spec = b.architecture().attention_of(layer.block);
  return add_mixing(
      b, layer, ops::LongformerAttention::create(mixing_shape(b), spec.window, spec.global_tokens));
}

}  // namespace qama::runtime
