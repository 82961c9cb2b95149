#include "ops/attention/linformer.h"

#include "runtime/engine/attention/attention.h"

namespace qama::runtime {

Status add_linformer(Builder& b, const AttentionLayer& layer) {
  const weights::AttentionSpec& spec = b.architecture().attention_of(layer.block);
  QAMA_ASSIGN_OR_RETURN(const auto proj_k, b.weight(layer.tensor + "proj_k"));
  QAMA_ASSIGN_OR_RETURN(const auto proj_v, b.weight(layer.tensor + "proj_v"));
  return add_mixing(b, layer,
                    ops::LinformerAttention::create(mixing_shape(b), spec.rank, proj_k, proj_v));
}

}  // namespace qama::runtime
