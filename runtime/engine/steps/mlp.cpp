#include "runtime/engine/steps/steps.h"

namespace qama::runtime {

Status add_mlp(Builder& b, std::int32_t block, const std::string& prefix,
               const std::string& tensor) {
  const weights::Architecture& a = b.architecture();
  QAMA_ASSIGN_OR_RETURN(const auto hidden, b.region(prefix + "hidden", {a.tokens(), a.mlp}));
  QAMA_RETURN_IF_ERROR(
      b.add_linear({.name = prefix + "mlp.fc1",
                    .block = block,
                    .tensor = tensor + "mlp.fc1",
                    .bias = true,
                    .in = a.dim,
                    .out = a.mlp,
                    .from = b.normed,
                    .to = hidden,
                    .activation = a.gelu == weights::Gelu::erf ? ops::Activation::gelu_erf
                                                               : ops::Activation::gelu_tanh}));
  return b.add_linear({.name = prefix + "mlp.fc2",
                       .block = block,
                       .tensor = tensor + "mlp.fc2",
                       .bias = true,
                       .in = a.mlp,
                       .out = a.dim,
                       .from = hidden,
                       .to = b.delta});
}

}  // namespace qama::runtime
