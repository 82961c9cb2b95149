#include "weights/attention/kind.h"

namespace qama::weights {

const AttentionRules& rules_of(AttentionKind kind) noexcept {
  static const AttentionRules kRules[] = {
#define QAMA_ATTENTION_KIND(kind) kind##_attention(),
#include "weights/attention/kinds.inc"
#undef QAMA_ATTENTION_KIND
  };
  return kRules[static_cast<std::size_t>(kind)];
}

std::string_view name_of(AttentionKind value) noexcept {
  return name_in(kAttentionKinds, value);
}
std::string_view name_of(Normalisation value) noexcept {
  return name_in(kNormalisations, value);
}
std::string_view name_of(EnergyNorm value) noexcept {
  return name_in(kEnergyNorms, value);
}

}  // namespace qama::weights
