#include "weights/attention/kind.h"

namespace qama::weights {

AttentionRules softmax_attention() noexcept {
  static constexpr Key kKeys[] = {optional_key<&AttentionSpec::projection>("projection")};
  return {.projects = [](const AttentionSpec& spec) { return spec.projection; }, .keys = kKeys};
}

}  // namespace qama::weights
