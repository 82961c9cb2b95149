#include "ops/token_embedding.h"

#include <cstring>

namespace qama::ops {

void TokenEmbedding::run(const std::int32_t* ids, std::int64_t tokens, std::int64_t rows,
                         float* out) const noexcept {
  const std::size_t bytes = static_cast<std::size_t>(embedding) * sizeof(float);
  for (std::int64_t i = 0; i < tokens; ++i) {
    std::memcpy(out + i * embedding, table.data() + ids[i] * embedding, bytes);
  }
  std::memset(out + tokens * embedding, 0, static_cast<std::size_t>(rows - tokens) * bytes);
}

void add_position(std::int64_t tokens, std::int64_t dim, const float* position, float* x) noexcept {
  for (std::int64_t i = 0; i < tokens * dim; ++i) x[i] += position[i];
}

}  // namespace qama::ops
