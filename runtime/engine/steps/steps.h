// The families of steps around attention, in the order in which a plan adds them. A new one is a
// file beside this one, a declaration here and a call in forward.cpp. Attention has a folder of its
// own (attention/attention.h).
#pragma once

#include <cstdint>
#include <string>

#include "runtime/engine/builder.h"

namespace qama::runtime {

/// Bytes or floats of an image -> tokens in `x`.
Status add_image_embedding(Builder& b);
/// Words of a text -> tokens in `x`.
Status add_text_embedding(Builder& b);
/// Features -> tokens in `x`.
Status add_feature_embedding(Builder& b);
/// `normed` -> `delta`: the two linear layers of block `block`, whose names begin with `prefix` and
/// whose tensors begin with `tensor`.
Status add_mlp(Builder& b, std::int32_t block, const std::string& prefix,
               const std::string& tensor);
/// `normed` -> the sample's logits.
Status add_classifier(Builder& b);

}  // namespace qama::runtime
