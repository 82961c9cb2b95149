#include "runtime/engine/forward.h"

#include <string>

#include "runtime/engine/attention/attention.h"
#include "runtime/engine/steps/steps.h"

namespace qama::runtime {
namespace {

/// `region` becomes one of its own, [N][dim]: each norm and each sum has one, because the arena
/// gives a region's place to others where it is not alive.
Status renew(Builder& b, std::string name, Region<float>& region) {
  const weights::Architecture& a = b.architecture();
  QAMA_ASSIGN_OR_RETURN(region, b.region(std::move(name), {a.tokens(), a.dim}));
  return {};
}

/// Attention and MLP read the stream itself; a norm takes its place behind each of them.
Status add_post_norm_block(Builder& b, std::int32_t block, const std::string& prefix,
                           const std::string& tensor) {
  const std::int64_t dim = b.architecture().dim;
  if (b.architecture().one_norm(block)) {
    b.normed = b.x;
  } else {
    QAMA_RETURN_IF_ERROR(renew(b, prefix + "attn.normed", b.normed));
    QAMA_RETURN_IF_ERROR(b.add_norm(prefix + "attn.standardise", "", block));
  }
  QAMA_RETURN_IF_ERROR(renew(b, prefix + "attn.delta", b.delta));
  QAMA_RETURN_IF_ERROR(add_attention(b, {block, prefix, tensor + "attn."}));
  b.tap(prefix + "attn_out", b.delta, dim);
  b.normed = b.x;
  b.leave_delta();
  QAMA_RETURN_IF_ERROR(b.add_norm(prefix + "attn.norm", tensor + "attn.norm", block));
  QAMA_RETURN_IF_ERROR(renew(b, prefix + "mlp.delta", b.delta));
  QAMA_RETURN_IF_ERROR(add_mlp(b, block, prefix, tensor));
  b.leave_delta();
  QAMA_RETURN_IF_ERROR(b.add_norm(prefix + "mlp.norm", tensor + "mlp.norm", block));
  b.tap(prefix + "out", b.x, dim);
  return {};
}

Status add_block(Builder& b, std::int32_t block) {
  const std::string prefix = "block." + std::to_string(block) + ".";
  const std::string tensor = "blocks." + std::to_string(b.architecture().group_of(block)) + ".";
  if (b.architecture().norm == weights::NormPlace::post) {
    return add_post_norm_block(b, block, prefix, tensor);
  }
  const std::int64_t dim = b.architecture().dim;
  // A kind with norms of its own has them in the weights behind the standardised rows.
  QAMA_RETURN_IF_ERROR(renew(b, prefix + "attn.normed", b.normed));
  QAMA_RETURN_IF_ERROR(b.add_norm(
      prefix + "attn.norm", b.architecture().one_norm(block) ? tensor + "attn.norm" : "", block));
  b.tap(prefix + "attn_norm", b.normed, dim);
  QAMA_RETURN_IF_ERROR(renew(b, prefix + "attn.delta", b.delta));
  QAMA_RETURN_IF_ERROR(add_attention(b, {block, prefix, tensor + "attn."}));
  b.tap(prefix + "attn_out", b.delta, dim);
  b.leave_delta();
  QAMA_RETURN_IF_ERROR(renew(b, prefix + "mlp.normed", b.normed));
  QAMA_RETURN_IF_ERROR(b.add_norm(prefix + "mlp.norm", tensor + "mlp.norm", block));
  QAMA_RETURN_IF_ERROR(renew(b, prefix + "mlp.delta", b.delta));
  QAMA_RETURN_IF_ERROR(add_mlp(b, block, prefix, tensor));
  b.leave_delta(prefix + "out");
  return {};
}

}  // namespace

Status add_forward(Builder& b) {
  const weights::Architecture& a = b.architecture();
  QAMA_RETURN_IF_ERROR(b.start());
  QAMA_RETURN_IF_ERROR(a.is_image()  ? add_image_embedding(b)
                       : a.is_text() ? add_text_embedding(b)
                                     : add_feature_embedding(b));
  b.tap("embed", b.x, a.dim);
  for (std::int32_t block = 0; block < a.depth; ++block) {
    b.forget_weights();
    QAMA_RETURN_IF_ERROR(add_block(b, block));
  }
  if (a.norm == weights::NormPlace::pre) {
    QAMA_RETURN_IF_ERROR(renew(b, "normed", b.normed));
    QAMA_RETURN_IF_ERROR(b.add_norm("norm", "norm", -1));
  } else {
    b.normed = b.x;
  }
  b.tap("norm", b.normed, a.dim);
  QAMA_RETURN_IF_ERROR(add_classifier(b));
  return b.finish();
}

}  // namespace qama::runtime
