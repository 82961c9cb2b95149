#include <algorithm>

#include "ops/pooling.h"
#include "runtime/engine/steps/steps.h"

namespace qama::runtime {

Status add_classifier(Builder& b) {
  const weights::Architecture& a = b.architecture();
  const std::int64_t dim = a.dim;
  QAMA_ASSIGN_OR_RETURN(const auto pooled, b.region("pooled", {dim}));
  QAMA_ASSIGN_OR_RETURN(const auto logits, b.region("logits", {a.classes}));
  if (a.pool == weights::Pool::max) {
    b.add(
        {"pool", "max_pool", "plain"},
        [dim](SampleRun& run, const float* x, float* y) { ops::max_pool(run.count, dim, x, y); },
        b.normed, pooled);
  } else {
    b.add(
        {"pool", "mean_pool", simd_name()},
        [dim](SampleRun& run, const float* x, float* y) { ops::mean_pool(run.count, dim, x, y); },
        b.normed, pooled);
  }
  b.tap("pooled", pooled, dim, false);
  QAMA_RETURN_IF_ERROR(b.add_linear({.name = "head",
                                     .tensor = "head",
                                     .bias = true,
                                     .in = dim,
                                     .out = a.classes,
                                     .from = pooled,
                                     .to = logits,
                                     .rows = {1}}));
  b.pipeline().steps.back()->info.op = "classifier";
  b.tap("logits", logits, a.classes, false);
  b.add(
      {"output", "copy", "plain"},
      [classes = a.classes](SampleRun& run, const float* from) {
        std::copy_n(from, classes, run.logits);
      },
      logits);
  return {};
}

}  // namespace qama::runtime
