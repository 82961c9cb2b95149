#include <algorithm>
#include <span>

#include "hal/base/aligned.h"
#include "ops/token_embedding.h"
#include "runtime/engine/steps/steps.h"
#include "weights/int8.h"

namespace qama::runtime {
namespace {

/// `words` = norm(`words` + position).
Status add_normed_position(Builder& b, Region<float> words) {
  QAMA_ASSIGN_OR_RETURN(const auto stored, b.weight("position"));
  AlignedBuffer<float> position(stored.size());
  std::copy(stored.begin(), stored.end(), position.data());
  QAMA_ASSIGN_OR_RETURN(auto norm, b.layer_norm("embed.norm"));
  b.add(
      {"embed.norm", "position+layer_norm", simd_name()},
      [norm = std::move(norm), position = std::move(position)](SampleRun& run, float* x) {
        norm.run_residual(run.rows, x, position.data(), x);
      },
      words);
  b.pipeline().weight_bytes += stored.size_bytes();
  return {};
}

}  // namespace

Status add_text_embedding(Builder& b) {
  const weights::Architecture& a = b.architecture();
  // Both stay the model file's own, as large as they are.
  const weights::ModelFile& file = b.model().file();
  QAMA_ASSIGN_OR_RETURN(const weights::Int8Matrix small,
                        weights::int8_matrix(file, "embed.weight"));
  std::span<const float> table;
  if (small.empty()) {
    QAMA_ASSIGN_OR_RETURN(table, file.f32("embed.weight"));
  }
  std::span<const float> scores;
  if (a.ngrams > 0) {
    QAMA_ASSIGN_OR_RETURN(scores, file.f32("embed.ngrams"));
  }
  Region<float> words = b.x;
  if (a.embedding_projection) {
    QAMA_ASSIGN_OR_RETURN(words, b.region("words", {a.tokens(), a.projected()}));
  }
  b.add(
      {"embed.lookup", "token_embedding", small.empty() ? "copy" : "int8:copy"},
      [op = ops::TokenEmbedding{table, a.embedding, a.neighbours, scores, a.ngrams, small.values,
                                small.scales}](SampleRun& run, float* to) {
        op.run(run.tokens, run.count, run.rows, to);
      },
      words);
  // With a norm of the vectors, their positions come before it, and so before the projection.
  if (a.embedding_norm) QAMA_RETURN_IF_ERROR(add_normed_position(b, words));
  if (a.embedding_projection) {
    QAMA_RETURN_IF_ERROR(b.add_linear({.name = "embed.proj",
                                       .tensor = "embed.proj",
                                       .bias = true,
                                       .in = a.projected(),
                                       .out = a.dim,
                                       .from = words,
                                       .to = b.x}));
  }
  if (a.embedding_norm) return {};
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
