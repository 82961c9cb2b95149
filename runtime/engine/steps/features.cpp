#include <algorithm>

#include "runtime/engine/steps/steps.h"

namespace qama::runtime {

Status add_feature_embedding(Builder& b) {
  const weights::Architecture& a = b.architecture();
  QAMA_ASSIGN_OR_RETURN(const auto features, b.region("features", {a.tokens(), a.embedding}));
  // The projection is tied to memory of the arena, before it is known where a caller's input lies.
  b.add(
      {"embed.features", "copy", "copy"},
      [floats = b.model().input_floats()](SampleRun& run, float* to) {
        std::copy_n(run.floats, floats, to);
      },
      features);
  return b.add_linear({.name = "embed.proj",
                       .tensor = "embed.proj",
                       .bias = true,
                       .in = a.embedding,
                       .out = a.dim,
                       .from = features,
                       .to = b.x});
}

}  // namespace qama::runtime
