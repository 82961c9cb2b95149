// What a model file may ask for at most, checked before anything is sized from it.
#pragma once

#include <cstdint>

namespace qama::weights {

inline constexpr std::int32_t kMaxDim = 65536;  ///< any width: dim, mlp, dim_head, patch_dim, ...
inline constexpr std::int32_t kMaxDepth = 256;  ///< blocks
inline constexpr std::int32_t kMaxHeads = 64;
inline constexpr std::int32_t kMaxTokens = 1 << 20;      ///< tokens of a sample, before pooling too
inline constexpr std::int32_t kMaxFeatures = 1 << 28;    ///< numbers of a sample of features
inline constexpr std::int32_t kMaxVocabulary = 1 << 24;  ///< words
inline constexpr std::int32_t kSpecialPieces = 4;        ///< <pad>, <unk>, [CLS], [SEP]
inline constexpr std::int32_t kMaxNeighbours = 16;       ///< on either side of a token
inline constexpr std::int32_t kMaxNgram = 8;             ///< words that have a score together
inline constexpr std::int32_t kMaxSelectionBits = 8;
inline constexpr std::int32_t kMaxClassTokens = 16;  ///< before those of the patches

}  // namespace qama::weights
