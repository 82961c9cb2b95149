#include "weights/attention/kind.h"

namespace qama::weights {

AttentionRules longformer_attention() noexcept {
  static constexpr Key kKeys[] = {
      integer_key<&AttentionSpec::window>("window", 0, kMaxTokens),
      integer_key<&AttentionSpec::global_tokens>("global_tokens", 0, kMaxTokens)};
  return {.keys = kKeys};
}

}  // namespace qama::weights
