#include "hal/base/quote.h"
#include "weights/attention/kind.h"

namespace qama::weights {

namespace {

std::int64_t blocks_of(const AttentionSpec& spec, const AttentionShape& shape) {
  return (shape.tokens + spec.block - 1) / spec.block;
}

/// Random blocks are block numbers.
Status check_numbers(const AttentionSpec& spec, const AttentionShape& shape,
                     const std::string& prefix, const TensorFile& file) {
  if (spec.random_blocks == 0) return {};
  const std::int64_t blocks = blocks_of(spec, shape);
  const std::string name = prefix + "random_blocks";
  QAMA_ASSIGN_OR_RETURN(const TensorView* tensor, file.tensor(name));
  QAMA_ASSIGN_OR_RETURN(const auto numbers, tensor->i32());
  for (const std::int32_t number : numbers) {
    if (number >= 0 && number < blocks) continue;
    return Error{ErrorCode::model_bad_value, "tensor " + quote(name) + ": block " +
                                                 std::to_string(number) + ", expected 0 to " +
                                                 std::to_string(blocks - 1)};
  }
  return {};
}

}  // namespace

AttentionRules bigbird_attention() noexcept {
  static constexpr Key kKeys[] = {
      integer_key<&AttentionSpec::block>("block", 1, kMaxTokens),
      integer_key<&AttentionSpec::window_blocks>("window_blocks", 0, kMaxTokens),
      integer_key<&AttentionSpec::global_blocks>("global_blocks", 0, kMaxTokens),
      integer_key<&AttentionSpec::random_blocks>("random_blocks", 0, kMaxDim)};
  return {
      .keys = kKeys,
      .tensors =
          [](const AttentionSpec& spec, const AttentionShape& shape, const std::string& prefix,
             TensorList& list) {
            if (spec.random_blocks == 0) return;
            list.add_i32(prefix + "random_blocks", {blocks_of(spec, shape), spec.random_blocks});
          },
      .check_tensors = check_numbers};
}

}  // namespace qama::weights
