#include <algorithm>
#include <span>

#include "hal/base/aligned.h"
#include "ops/token_embedding.h"
#include "runtime/engine/steps/steps.h"

namespace qama::runtime {

Status add_text_embedding(Builder& b) {
  const weights::Architecture& a = b.architecture();
  QAMA_ASSIGN_OR_RETURN(const auto table, b.weight("embed.weight"));
  std::span<const float> scores;
  if (a.ngrams > 0) {
    QAMA_ASSIGN_OR_RETURN(scores, b.weight("embed.ngrams"));
  }
  QAMA_ASSIGN_OR_RETURN(const auto words, b.region("words", {a.tokens(), a.projected()}));
  b.add(
      {"embed.lookup", "token_embedding", "copy"},
      [op = ops::TokenEmbedding{table, a.embedding, a.neighbours, scores, a.ngrams}](
          SampleRun& run, float* to) { op.run(run.tokens, run.count, run.rows, to); },
      words);
  QAMA_RETURN_IF_ERROR(b.add_linear({.name = "embed.proj",
                                     .tensor = "embed.proj",
                                     .bias = true,
                                     .in = a.projected(),
                                     .out = a.dim,
                                     .from = words,
                                     .to = b.x}));
  QAMA_ASSIGN_OR_RETURN(const auto stored, b.weight("position"));
  AlignedBuffer<float> position(stored.size());
  std::copy(stored.begin(), stored.end(), position.data());
  b.add(
      {"embed.position", "add", "plain"},
      [position = std::move(position), dim = std::int64_t{a.dim}](SampleRun& run, float* x) {
        ops::add_position(run.count, dim, position.data(), x);
      },
      b.x);
  b.pipeline().weight_bytes += stored.size_bytes();
  return {};
}

}  // namespace qama::runtime
