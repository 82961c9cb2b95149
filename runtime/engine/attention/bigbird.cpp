#include "ops/attention/bigbird.h"

#include "runtime/engine/attention/attention.h"

namespace qama::runtime {

Status add_bigbird(Builder& b, const AttentionLayer& layer) {
  const weights::AttentionSpec& spec = b.architecture().attention_of(layer.block);
  ops::BigBirdSpec blocks{
      spec.block, spec.window_blocks, spec.global_blocks, spec.random_blocks, {}};
  if (spec.random_blocks > 0) {
    QAMA_ASSIGN_OR_RETURN(const auto* table,
                          b.model().file().tensor(layer.tensor + "random_blocks"));
    QAMA_ASSIGN_OR_RETURN(blocks.random, table->i32());
  }
  return add_mixing(b, layer, ops::BigBirdAttention::create(mixing_shape(b), blocks));
}

}  // namespace qama::runtime
