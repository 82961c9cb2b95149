// Preprocessing as the model file says: bytes of an image to normalised floats, text to token ids.
// Reading and resizing files of images is runtime/io; this is what every caller of the engine
// needs.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hal/base/result.h"
#include "runtime/engine/model.h"

namespace qama::runtime {

/// u8 [height][width][channels] to f32 [channels][height][width], value = (byte / scale - mean[c])
/// / std[c]. Built once from a model, then applied without allocation.
class ImageNormaliser {
 public:
  /// Precondition: an image model.
  explicit ImageNormaliser(const Model& model);
  /// Precondition: both have height * width * channels elements.
  void apply(const std::uint8_t* pixels, float* out) const noexcept;

 private:
  std::int32_t plane_ = 0;  // height * width
  std::int32_t channels_ = 0;
  std::vector<float> table_;  // [channels][256]
};

/// The token of a word that the vocabulary lacks.
inline constexpr std::int32_t kUnknownWord = 1;

/// What encoding came to.
struct Encoded {
  std::int32_t length = 0;   ///< tokens that the model gets; 1 where a text has none
  std::int32_t around = 0;   ///< of those, tokens that are around every text
  std::int64_t words = 0;    ///< tokens of the whole text; 0: it is empty
  std::int32_t unknown = 0;  ///< of those that the model gets and its vocabulary lacks

  [[nodiscard]] bool truncated() const noexcept { return words > length - around; }
  /// Not one word for the model to go by: an empty text, or unknown words only.
  [[nodiscard]] bool nothing_known() const noexcept {
    return words == 0 || unknown == length - around;
  }
};

/// The tokeniser "words" of the model file: folds the text (fold.h) and lower-cases ASCII; tokens
/// are maximal runs of [a-z0-9'] and of bytes from 0x80 up, any other character is a token of its
/// own; a word that the vocabulary lacks is 1, an empty text is one such word; max_tokens are kept,
/// the first ones or those of both ends. "penn_words" also cuts contractions as the Penn Treebank
/// does, for models that learnt from such text: a longer word that ends in n't, 's, 'm, 'd, 're,
/// 've or 'll is two tokens
/// ("don't": "do", "n't"). The tokenisers "wordpiece" and "unigram" (pieces.h) give pieces of words
/// between [CLS] and [SEP], which count as two of max_tokens.
class Tokeniser {
 public:
  /// MODEL_WRONG_KIND for an image model. Keeps the model alive.
  [[nodiscard]] static Result<Tokeniser> create(std::shared_ptr<const Model> model);
  ~Tokeniser();
  Tokeniser(Tokeniser&&) noexcept;
  Tokeniser& operator=(Tokeniser&&) noexcept;

  /// Fills `ids` (max_tokens elements, 0 behind the text). Allocates nothing. INVALID_ARGUMENT if
  /// `ids` has another size.
  Result<Encoded> encode(std::string_view text, std::span<std::int32_t> ids) const;
  /// The tokens that the model gets, folded, in the text's own capitals; one empty word for a text
  /// without any.
  [[nodiscard]] std::vector<std::string> words(std::string_view text) const;

 private:
  struct Impl;
  explicit Tokeniser(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace qama::runtime
