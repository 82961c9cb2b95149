// The forward pass of a model: all of its steps, in their order.
#pragma once

#include "runtime/engine/builder.h"

namespace qama::runtime {

/// Adds every step of the builder's model, then lays the arena out. The errors of the families of
/// steps (steps/steps.h, attention/attention.h).
Status add_forward(Builder& b);

}  // namespace qama::runtime
