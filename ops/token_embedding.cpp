#include "ops/token_embedding.h"

#include <cstring>

namespace qama::ops {

void TokenEmbedding::run(const std::int32_t* ids, std::int64_t tokens, std::int64_t rows,
                         float* out) const noexcept {
  const std::size_t bytes = static_cast<std::size_t>(embedding) * sizeof(float);
  for (std::int64_t i = 0; i < tokens; ++i) {
    for (std::int64_t j = i - neighbours; j <= i + neighbours; ++j, out += embedding) {
      if (j < 0 || j >= tokens) {
        std::memset(out, 0, bytes);
      } else {
        row(ids[j], out);
      }
    }
    if (!scores.empty()) *out++ = score(ids, i);
  }
  std::memset(out, 0, static_cast<std::size_t>((rows - tokens) * width()) * sizeof(float));
}

void TokenEmbedding::row(std::int32_t id, float* out) const noexcept {
  const std::int64_t begin = id * embedding;
  if (small.empty()) {
    std::memcpy(out, table.data() + begin, static_cast<std::size_t>(embedding) * sizeof(float));
    return;
  }
  const float scale = scales[id];
  for (std::int64_t c = 0; c < embedding; ++c) {
    out[c] = static_cast<float>(small[static_cast<std::size_t>(begin + c)]) * scale;
  }
}

float TokenEmbedding::score(const std::int32_t* ids, std::int64_t i) const noexcept {
  float sum = 0.0F;
  std::uint32_t hash = 0;
  for (std::int64_t j = i; j >= 0 && j > i - ngrams; --j) {
    hash = ngram_hash(hash, ids[j]);
    sum += scores[hash % scores.size()];
  }
  return sum;
}

void add_position(std::int64_t tokens, std::int64_t dim, const float* position, float* x) noexcept {
  for (std::int64_t i = 0; i < tokens * dim; ++i) x[i] += position[i];
}

}  // namespace qama::ops
