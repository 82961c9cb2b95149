// What may follow a linear layer. A header of its own, because kernels include it and must include
// little else.
#pragma once

#include <cstdint>

namespace qama::ops {

/// gelu_erf is x Phi(x) (PyTorch's default); gelu_tanh its tanh approximation.
enum class Activation : std::uint8_t { none, gelu_erf, gelu_tanh };

}  // namespace qama::ops
