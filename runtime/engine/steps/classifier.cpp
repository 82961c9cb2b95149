#include <algorithm>
#include <cmath>

#include "ops/pooling.h"
#include "runtime/engine/steps/steps.h"

namespace qama::runtime {
namespace {

/// The layer between pooling and the classifier: `from` -> what it gives.
Result<Region<float>> add_hidden(Builder& b, Region<float> from) {
  const weights::Architecture& a = b.architecture();
  const std::int64_t width = a.head_hidden;
  QAMA_ASSIGN_OR_RETURN(const auto hidden, b.region("head.hidden", {width}));
  QAMA_RETURN_IF_ERROR(b.add_linear({.name = "head.hidden",
                                     .tensor = "head.hidden",
                                     .bias = true,
                                     .in = a.pooled_width(),
                                     .out = width,
                                     .from = from,
                                     .to = hidden,
                                     .rows = {1}}));
  const bool tanh = a.head_activation == weights::HeadActivation::tanh;
  b.add(
      {"head.activation", tanh ? "tanh" : "relu", "plain"},
      [width, tanh](SampleRun& /*run*/, float* x) {
        for (std::int64_t i = 0; i < width; ++i)
          x[i] = tanh ? std::tanh(x[i]) : std::max(x[i], 0.0F);
      },
      hidden);
  return hidden;
}

}  // namespace

Status add_classifier(Builder& b) {
  const weights::Architecture& a = b.architecture();
  const std::int64_t dim = a.dim;
  QAMA_ASSIGN_OR_RETURN(const auto pooled, b.region("pooled", {a.pooled_width()}));
  QAMA_ASSIGN_OR_RETURN(const auto logits, b.region("logits", {a.classes}));
  if (a.pool == weights::Pool::max) {
    b.add(
        {"pool", "max_pool", "plain"},
        [dim](SampleRun& run, const float* x, float* y) { ops::max_pool(run.count, dim, x, y); },
        b.normed, pooled);
  } else if (a.pool == weights::Pool::class_token) {
    // They are the first tokens.
    b.add(
        {"pool", "class_tokens", "copy"},
        [width = a.pooled_width()](SampleRun& /*run*/, const float* x, float* y) {
          std::copy_n(x, width, y);
        },
        b.normed, pooled);
  } else {
    b.add(
        {"pool", "mean_pool", simd_name()},
        [dim](SampleRun& run, const float* x, float* y) { ops::mean_pool(run.count, dim, x, y); },
        b.normed, pooled);
  }
  b.tap("pooled", pooled, a.pooled_width(), false);
  Region<float> last = pooled;
  if (a.head_hidden > 0) {
    QAMA_ASSIGN_OR_RETURN(last, add_hidden(b, pooled));
  }
  QAMA_RETURN_IF_ERROR(b.add_linear({.name = "head",
                                     .tensor = "head",
                                     .bias = true,
                                     .in = a.head_hidden > 0 ? a.head_hidden : a.pooled_width(),
                                     .out = a.classes,
                                     .from = last,
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
