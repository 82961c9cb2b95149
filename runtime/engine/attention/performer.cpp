#include "ops/attention/performer.h"

#include "runtime/engine/attention/attention.h"

namespace qama::runtime {

Status add_performer(Builder& b, const AttentionLayer& layer) {
  const weights::AttentionSpec& spec = b.architecture().attention_of(layer.block);
  QAMA_ASSIGN_OR_RETURN(const auto features, b.weight(layer.tensor + "features"));
  return add_mixing(b, layer,
                    ops::PerformerAttention::create(mixing_shape(b), spec.features, features));
}

}  // namespace qama::runtime
