// The architecture record of a model file: what the network is, and the sizes that follow. How its
// input is prepared is preprocess.h. Parsed strictly (an unknown key, a missing one or a size out
// of bounds is an error) and written back in the same form. A kind of attention has a file in
// attention/. To add another field: here and in both halves of architecture.cpp (parse, to_json). A
// change that old readers would misread needs a new format_version.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hal/base/result.h"
#include "hal/schedule.h"
#include "weights/attention/spec.h"
#include "weights/limits.h"

namespace qama::weights {

enum class ModelKind : std::uint8_t { simple_vit, text_transformer, feature_transformer };
enum class Gelu : std::uint8_t { erf, tanh };
enum class Pool : std::uint8_t {
  mean,
  max,         ///< over the tokens, feature by feature; text: over the real, unpadded ones
  class_token  ///< an image's class tokens, one behind the other; else the first token
};
/// Where a block's layer norms stand: before attention and MLP, or behind the sum with what they
/// add.
enum class NormPlace : std::uint8_t { pre, post };
enum class HeadActivation : std::uint8_t { tanh, relu };
/// What the vocabulary of a text model has: words, or pieces of words that are found longest first
/// or by their scores. Pieces come with a table of characters (normaliser.h).
enum class Pieces : std::uint8_t { words, wordpiece, unigram };
/// The JSON spelling: "simple_vit", "tanh", "instance", ...
[[nodiscard]] std::string_view name_of(ModelKind value) noexcept;
[[nodiscard]] std::string_view name_of(Gelu value) noexcept;
[[nodiscard]] std::string_view name_of(Pool value) noexcept;
[[nodiscard]] std::string_view name_of(NormPlace value) noexcept;
[[nodiscard]] std::string_view name_of(HeadActivation value) noexcept;
[[nodiscard]] std::string_view name_of(Pieces value) noexcept;

/// A validated value: every number is inside its bounds, and what must divide does.
struct Architecture {
  ModelKind kind = ModelKind::simple_vit;

  // simple_vit only, 0 otherwise
  std::int32_t image_height = 0;
  std::int32_t image_width = 0;
  std::int32_t image_channels = 0;
  std::int32_t patch = 0;            ///< side of a square patch; divides height and width
  std::int32_t token_pool_rows = 1;  ///< average pooling of the token grid; divides its rows
  std::int32_t token_pool_cols = 1;
  std::int32_t class_tokens = 0;  ///< learned tokens before those of the patches
  bool patch_norms = true;        ///< layer norms before and behind the projection of the patches

  // text_transformer, and the first two of feature_transformer; 0 otherwise
  std::int32_t max_tokens = 0;  ///< of a text at most; of features: all of them, always
  std::int32_t embedding = 0;   ///< width of a token, before its projection to dim
  std::int32_t vocabulary = 0;  ///< words, with <pad> = 0 and <unk> = 1
  /// Tokens on either side whose vectors the projection to dim sees beside the token's own.
  std::int32_t neighbours = 0;
  /// Words of the longest n-gram that has a score; 0: the projection sees no scores. The score of a
  /// token is the sum of those of the n-grams that end with it.
  std::int32_t ngrams = 0;
  std::int32_t ngram_rows = 0;  ///< of the table of scores, in which n-grams share rows
  /// Positions are added to a token's vector, and a layer norm follows, before the projection.
  bool embedding_norm = false;
  bool embedding_projection = true;  ///< false: embedding is dim, and there is no projection
  Pieces pieces = Pieces::words;

  std::int32_t dim = 0;
  std::int32_t depth = 0;
  std::int32_t heads = 0;     ///< H
  std::int32_t dim_head = 0;  ///< D; heads * dim_head need not be dim
  std::int32_t mlp = 0;
  std::int32_t classes = 0;
  Gelu gelu = Gelu::erf;
  double norm_eps = 1e-5;  ///< of every layer norm and of the per-instance normalisation
  /// Of the layer norm of the patches, in the units of the normalised image, where it is not
  /// norm_eps: an empty patch with a camera's noise stays an empty patch.
  std::optional<double> patch_norm_eps;
  Pool pool = Pool::mean;
  /// post: no norm follows the last block.
  NormPlace norm = NormPlace::pre;
  bool qkv_bias = false;
  bool out_bias = false;          ///< of the projection behind the heads
  std::int32_t layer_groups = 0;  ///< blocks that have tensors; divides depth; 0: all of them
  std::int32_t head_hidden = 0;   ///< width of the layer before the classifier; 0: there is none
  HeadActivation head_activation = HeadActivation::tanh;  ///< behind that layer
  /// Linear layers whose matrix is stored in half precision compute in it; false: in floats.
  bool half_products = false;
  AttentionSpec attention;
  /// Blocks, rising, that have other_attention in its place, which does not anneal; never all.
  std::vector<std::int32_t> other_blocks;
  AttentionSpec other_attention;

  bool operator==(const Architecture&) const = default;

  [[nodiscard]] bool is_image() const noexcept { return kind == ModelKind::simple_vit; }
  [[nodiscard]] bool is_text() const noexcept { return kind == ModelKind::text_transformer; }
  /// Tokens of another network, [tokens][embedding] floats.
  [[nodiscard]] bool is_features() const noexcept { return kind == ModelKind::feature_transformer; }
  /// What block `block` has, 0 <= block < depth.
  [[nodiscard]] const AttentionSpec& attention_of(std::int32_t block) const noexcept;
  /// Attention that anneals, of either version: in some blocks, or in this one.
  [[nodiscard]] bool is_qama() const noexcept;
  [[nodiscard]] bool is_qama(std::int32_t block) const noexcept;
  /// Binary variables a token and head; 0 where nothing is annealed.
  [[nodiscard]] std::int32_t spin_bits() const noexcept;
  /// Binary variables a head of a sample; spin i * spin_bits() + k is bit k of token i.
  [[nodiscard]] std::int32_t spins_per_head() const noexcept { return tokens() * spin_bits(); }
  /// Of a block: what qkv projects to: queries, keys and values, or (reformer) shared queries and
  /// values.
  [[nodiscard]] std::int32_t projections(std::int32_t block) const noexcept;
  /// Of a block: whether one norm serves all projections, with its own tensors.
  [[nodiscard]] bool one_norm(std::int32_t block) const noexcept;
  /// Of a block: whether a linear map is behind the heads; if not, they are as wide as the model.
  [[nodiscard]] bool projects(std::int32_t block) const noexcept;

  /// Rows and columns of the patch grid; 0 without an image.
  [[nodiscard]] std::int32_t grid_rows() const noexcept {
    return patch > 0 ? image_height / patch : 0;
  }
  [[nodiscard]] std::int32_t grid_cols() const noexcept {
    return patch > 0 ? image_width / patch : 0;
  }
  /// Class tokens and patches of an image before token pooling, or max_tokens: the rows of
  /// `position`, if there is one.
  [[nodiscard]] std::int32_t tokens_before_pool() const noexcept {
    return is_image() ? class_tokens + grid_rows() * grid_cols() : max_tokens;
  }
  /// N, the tokens that the blocks see (text: at most).
  [[nodiscard]] std::int32_t tokens() const noexcept {
    return is_image() ? tokens_before_pool() / (token_pool_rows * token_pool_cols) : max_tokens;
  }
  /// patch * patch * channels; 0 without an image.
  [[nodiscard]] std::int32_t patch_dim() const noexcept { return patch * patch * image_channels; }
  /// What embed.proj projects to dim, numbers a token: the features, or the vectors of a text's
  /// token and its neighbours, and the score of its n-grams.
  [[nodiscard]] std::int32_t projected() const noexcept {
    return (2 * neighbours + 1) * embedding + (ngrams > 0 ? 1 : 0);
  }
  /// Of a row of `position`.
  [[nodiscard]] std::int32_t position_width() const noexcept {
    return embedding_norm ? embedding : dim;
  }
  /// What the head gets from pooling.
  [[nodiscard]] std::int32_t pooled_width() const noexcept {
    return pool == Pool::class_token && is_image() ? class_tokens * dim : dim;
  }
  /// The blocks that have tensors, and which of them block `block` computes with.
  [[nodiscard]] std::int32_t groups() const noexcept {
    return layer_groups > 0 ? layer_groups : depth;
  }
  [[nodiscard]] std::int32_t group_of(std::int32_t block) const noexcept {
    return block / (depth / groups());
  }
  /// The first block that computes with the tensors of group `group`.
  [[nodiscard]] std::int32_t block_of(std::int32_t group) const noexcept {
    return group * (depth / groups());
  }
  /// heads * dim_head, at most 2^22.
  [[nodiscard]] std::int32_t inner() const noexcept { return heads * dim_head; }

  /// Eq. 10 for a sample of n tokens: rho = n rho0.
  [[nodiscard]] double rho(std::int32_t n) const noexcept;
  /// Eq. 10 for a sample of n tokens: lambda = n sqrt(2/pi) / (H-1) gamma0; 0 where H = 1.
  [[nodiscard]] double lambda(std::int32_t n) const noexcept;

  /// The schedule of block `block`, 0 <= block < depth.
  [[nodiscard]] const hal::Schedule& anneal_of(std::int32_t block) const noexcept;

  /// Parses and validates the JSON record. MODEL_BAD_ARCHITECTURE, MODEL_DUPLICATE_KEY.
  [[nodiscard]] static Result<Architecture> parse(std::string_view json);
  /// The bounds alone, for records built in code. MODEL_BAD_ARCHITECTURE.
  [[nodiscard]] Status validate() const;
  /// The record as JSON; parse(to_json()) gives the same value.
  [[nodiscard]] std::string to_json() const;
};

}  // namespace qama::weights
