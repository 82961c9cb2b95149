#include "weights/attention/kind.h"

namespace qama::weights {

AttentionRules softmax_attention() noexcept {
  return {};
}

}  // namespace qama::weights
