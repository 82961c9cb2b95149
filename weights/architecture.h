// The architecture record of a model file: what the network is, how its input is prepared, and the
// sizes that follow from both. Parsed strictly (an unknown key, a missing one or a size out of
// bounds is an error) and written back in the same form. To add an attention kind or a field: add
// it to the struct, to both halves of architecture.cpp (parse, to_json) and, if it brings tensors,
// to model_file.cpp's expected_tensors(); a change that old readers would misread needs a new
// format_version.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "hal/base/result.h"
#include "hal/schedule.h"

namespace qama::weights {

/// Bounds on what a file may ask for, checked before anything is sized from it.
inline constexpr std::int32_t kMaxDim = 65536;  ///< any width: dim, mlp, dim_head, patch_dim, ...
inline constexpr std::int32_t kMaxDepth = 256;  ///< blocks
inline constexpr std::int32_t kMaxHeads = 64;
inline constexpr std::int32_t kMaxTokens = 1 << 20;      ///< tokens of a sample, before pooling too
inline constexpr std::int32_t kMaxVocabulary = 1 << 24;  ///< words
inline constexpr std::int32_t kMaxNeighbours = 16;       ///< on either side of a token
inline constexpr std::int32_t kMaxSelectionBits = 8;

enum class ModelKind : std::uint8_t { simple_vit, text_transformer };
enum class Gelu : std::uint8_t { erf, tanh };
enum class Pool : std::uint8_t {
  mean,
  max
};  ///< over the tokens, feature by feature; text: over the real, unpadded ones
/// One enumerator a kind of attention; a new kind is appended here and in the tables of
/// architecture.cpp.
enum class AttentionKind : std::uint8_t {
  softmax,
  qama,
  longformer,
  bigbird,
  linformer,
  performer,
  reformer,
  qama_v1  ///< the first version of the paper: Jensen-Shannon couplings, soft selection
};
/// What the couplings J and fields h are brought to before rho and lambda apply: nothing,
/// standardised per sample and head, or batch norm folded into the stored scale and shift.
enum class Normalisation : std::uint8_t { none, instance, batch };
/// What happens to the token energies before the output projection.
enum class EnergyNorm : std::uint8_t { none, layer, batch };

/// The JSON spelling: "simple_vit", "tanh", "instance", ...
[[nodiscard]] std::string_view name_of(ModelKind value) noexcept;
[[nodiscard]] std::string_view name_of(Gelu value) noexcept;
[[nodiscard]] std::string_view name_of(Pool value) noexcept;
[[nodiscard]] std::string_view name_of(AttentionKind value) noexcept;
[[nodiscard]] std::string_view name_of(Normalisation value) noexcept;
[[nodiscard]] std::string_view name_of(EnergyNorm value) noexcept;

/// The attention of every block. Fields of other kinds than `kind` keep their defaults.
struct AttentionSpec {
  AttentionKind kind = AttentionKind::softmax;

  // qama
  Normalisation normalisation = Normalisation::none;
  EnergyNorm energy_norm = EnergyNorm::none;
  double rho0 = 0.16;    ///< Eq. 10
  double gamma0 = 0.8;   ///< Eq. 10
  hal::Schedule anneal;  ///< qama_v1, too
  /// One schedule a block, or empty: every block's is `anneal`.
  std::vector<hal::Schedule> anneal_layers;
  std::uint64_t seed = 1;  ///< of the solver; qama_v1, too

  // longformer
  std::int32_t window = 0;         ///< tokens seen on either side
  std::int32_t global_tokens = 0;  ///< the first ones: see everything, are seen by everything
  // bigbird, in blocks of `block` tokens
  std::int32_t block = 0;
  std::int32_t window_blocks = 0;  ///< seen on either side
  std::int32_t global_blocks = 0;  ///< the first ones
  std::int32_t random_blocks = 0;  ///< seen besides; which ones is a tensor
  // linformer
  std::int32_t rank = 0;  ///< rows that keys and values are projected to
  // performer
  std::int32_t features = 0;  ///< random features of the softmax kernel
  // reformer
  std::int32_t hashes = 0;   ///< rounds
  std::int32_t buckets = 0;  ///< even
  std::int32_t chunk = 0;    ///< tokens
  // qama_v1
  std::int32_t bits = 0;   ///< of a selection x / (2^bits - 1)
  double quadratic = 0.0;  ///< coefficient of the coupling term
  double linear = 0.0;     ///< coefficient of the field term
  double penalty = 0.0;    ///< of equal bits in two heads, divided by the number of pairs of heads
  bool operator==(const AttentionSpec&) const = default;
};

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

  // text_transformer only, 0 otherwise
  std::int32_t max_tokens = 0;
  std::int32_t vocabulary = 0;  ///< words, with <pad> = 0 and <unk> = 1
  std::int32_t embedding = 0;   ///< width of the token table, before its projection to dim
  /// Tokens on either side whose vectors the projection to dim sees beside the token's own.
  std::int32_t neighbours = 0;

  std::int32_t dim = 0;
  std::int32_t depth = 0;
  std::int32_t heads = 0;     ///< H
  std::int32_t dim_head = 0;  ///< D; heads * dim_head need not be dim
  std::int32_t mlp = 0;
  std::int32_t classes = 0;
  Gelu gelu = Gelu::erf;
  double norm_eps = 1e-5;  ///< of every layer norm and of the per-instance normalisation
  Pool pool = Pool::mean;
  AttentionSpec attention;

  bool operator==(const Architecture&) const = default;

  [[nodiscard]] bool is_image() const noexcept { return kind == ModelKind::simple_vit; }
  [[nodiscard]] bool is_text() const noexcept { return kind == ModelKind::text_transformer; }
  /// Attention that anneals, of either version.
  [[nodiscard]] bool is_qama() const noexcept {
    return attention.kind == AttentionKind::qama || attention.kind == AttentionKind::qama_v1;
  }
  /// Binary variables a token and head; 0 where nothing is annealed.
  [[nodiscard]] std::int32_t spin_bits() const noexcept {
    return attention.kind == AttentionKind::qama_v1 ? attention.bits : is_qama() ? 1 : 0;
  }
  /// Binary variables a head of a sample; spin i * spin_bits() + k is bit k of token i.
  [[nodiscard]] std::int32_t spins_per_head() const noexcept { return tokens() * spin_bits(); }
  /// What qkv projects to: queries, keys and values, or (reformer) shared queries and values.
  [[nodiscard]] std::int32_t projections() const noexcept {
    return attention.kind == AttentionKind::reformer ? 2 : 3;
  }

  /// Rows and columns of the patch grid; 0 for text.
  [[nodiscard]] std::int32_t grid_rows() const noexcept {
    return patch > 0 ? image_height / patch : 0;
  }
  [[nodiscard]] std::int32_t grid_cols() const noexcept {
    return patch > 0 ? image_width / patch : 0;
  }
  /// Rows of `position`: patches of an image before token pooling, or max_tokens.
  [[nodiscard]] std::int32_t tokens_before_pool() const noexcept {
    return is_image() ? grid_rows() * grid_cols() : max_tokens;
  }
  /// N, the tokens that the blocks see (text: at most).
  [[nodiscard]] std::int32_t tokens() const noexcept {
    return is_image() ? tokens_before_pool() / (token_pool_rows * token_pool_cols) : max_tokens;
  }
  /// patch * patch * channels; 0 for text.
  [[nodiscard]] std::int32_t patch_dim() const noexcept { return patch * patch * image_channels; }
  /// What embed.proj projects to dim, numbers a token: the vectors of a text's token and its
  /// neighbours.
  [[nodiscard]] std::int32_t projected() const noexcept { return (2 * neighbours + 1) * embedding; }
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

enum class Resize : std::uint8_t { bilinear };              ///< an image of another size
enum class GrayFrom : std::uint8_t { luma };                ///< colour image, one-channel model
enum class Tokeniser : std::uint8_t { words, penn_words };  ///< see runtime's text preprocessing
enum class Truncate : std::uint8_t { head };  ///< the first max_tokens tokens are kept

[[nodiscard]] std::string_view name_of(Resize value) noexcept;
[[nodiscard]] std::string_view name_of(GrayFrom value) noexcept;
[[nodiscard]] std::string_view name_of(Tokeniser value) noexcept;
[[nodiscard]] std::string_view name_of(Truncate value) noexcept;

/// How bytes become the network's input. Image: value = (byte / scale - mean[c]) / stddev[c].
struct Preprocess {
  ModelKind kind = ModelKind::simple_vit;  ///< image or text; equals the architecture's

  // image
  std::vector<double> mean;    ///< one a channel
  std::vector<double> stddev;  ///< one a channel, > 0
  double scale = 255.0;        ///< > 0
  Resize resize = Resize::bilinear;
  GrayFrom gray = GrayFrom::luma;

  // text
  Tokeniser tokeniser = Tokeniser::words;
  bool lowercase = true;
  Truncate truncate = Truncate::head;

  bool operator==(const Preprocess&) const = default;

  /// Parses and validates against `architecture`. MODEL_BAD_PREPROCESS, MODEL_DUPLICATE_KEY.
  [[nodiscard]] static Result<Preprocess> parse(std::string_view json,
                                                const Architecture& architecture);
  /// The bounds alone, for records built in code. MODEL_BAD_PREPROCESS.
  [[nodiscard]] Status validate(const Architecture& architecture) const;
  [[nodiscard]] std::string to_json() const;
};

}  // namespace qama::weights
