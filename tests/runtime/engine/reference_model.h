// An independent forward pass in double with xtensor, straight from the model file's tensors and
// weights/FORMAT.md and the equations in HACKING.md: shares no code with ops/ or runtime/. Slow and
// plain.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "weights/model_file.h"

namespace qama::test {

/// Every named intermediate of one sample, flat, with the golden files' names; "block.i.spins" too.
using Intermediates = std::map<std::string, std::vector<double>>;

/// Spins of block i of a sample, [heads][tokens].
using Spins = std::vector<std::vector<std::uint8_t>>;

/// `image` [channels][height][width], already normalised.
Intermediates reference_image_forward(const weights::ModelFile& file,
                                      const std::vector<float>& image, const Spins& spins);
/// `features` [tokens][width].
Intermediates reference_feature_forward(const weights::ModelFile& file,
                                        const std::vector<float>& features, const Spins& spins);
/// `tokens`: the real ones only.
Intermediates reference_text_forward(const weights::ModelFile& file,
                                     const std::vector<std::int32_t>& tokens, const Spins& spins);

}  // namespace qama::test
