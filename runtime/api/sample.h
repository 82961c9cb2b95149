// One sample as a session takes it, made from anything that holds one: pixels of any size, an
// encoded image, a file, FILE:INDEX of an IDX or .npy file, a text. To add a source: a function of
// SampleReader.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hal/base/result.h"
#include "runtime/engine/hooks.h"
#include "runtime/engine/model.h"
#include "runtime/engine/preprocess.h"
#include "runtime/engine/session.h"
#include "runtime/io/image.h"
#include "runtime/io/picture.h"
#include "weights/preprocess.h"

namespace qama::runtime {

/// Pixels of an image model, tokens of a text model, or features.
struct Sample {
  /// INDEX of an IDX or .npy file, else 0. It decides the solver's random numbers.
  std::uint64_t index = 0;
  std::vector<std::uint8_t> pixels;
  std::vector<std::int32_t> tokens;
  std::vector<float> features;
  Encoded text;                    ///< of a text: how many tokens it has
  std::vector<std::string> words;  ///< of a text: those that the model gets, a token each, folded
  io::PictureNotes picture;        ///< of a picture
  /// Why an answer says nothing of the sample (TEXT_EMPTY, IMAGE_BLANK), if it does.
  std::optional<Error> doubt;
};

/// How pictures become what the model sees, where it is not as the model's file says.
struct PictureOptions {
  std::optional<weights::Fit> fit;
  /// Automatic without it; but the images of a data set, if they have the model's size, are taken
  /// as they are.
  std::optional<io::Invert> invert;
};

/// Makes samples for one model. One thread at a time.
class SampleReader {
 public:
  /// `model_name` is for error sentences: the model's path.
  [[nodiscard]] static Result<SampleReader> create(std::shared_ptr<const Model> model,
                                                   std::string model_name,
                                                   PictureOptions pictures = {});
  void set_pictures(PictureOptions pictures) noexcept { pictures_ = pictures; }

  /// A file, FILE:INDEX, or "-" for standard input. NOT_FOUND, IO_ERROR, IMAGE_*, DATASET_*,
  /// INDEX_OUT_OF_RANGE, TEXT_BAD_ENCODING, MODEL_WRONG_KIND; of features also PROBLEM_BAD_VALUE.
  [[nodiscard]] Result<Sample> read(const std::string& name) const;
  /// The bytes of an image file; `name` is for error sentences, here and below. One with nothing to
  /// see is a sample with a doubt. IMAGE_*, MODEL_WRONG_KIND.
  [[nodiscard]] Result<Sample> encoded(std::span<const std::uint8_t> bytes,
                                       std::string_view name) const;
  /// A text; one without a known word is a sample with a doubt. TEXT_BAD_ENCODING,
  /// MODEL_WRONG_KIND.
  [[nodiscard]] Result<Sample> text(std::string_view words, std::string_view name) const;

  /// A picture of any size, or an image of a data set, into memory of the caller, input_pixels()
  /// bytes. Allocates nothing if the size is the model's. INVALID_ARGUMENT, IMAGE_TOO_LARGE,
  /// MODEL_WRONG_KIND.
  Result<io::PictureNotes> fit(const io::ImageView& image, std::span<std::uint8_t> pixels,
                               bool of_data_set = false) const;
  /// Null for other models than those of texts.
  [[nodiscard]] const Tokeniser* tokeniser() const noexcept {
    return tokeniser_ ? &*tokeniser_ : nullptr;
  }

 private:
  SampleReader(std::shared_ptr<const Model> model, std::string model_name, PictureOptions pictures)
      : model_(std::move(model)), model_name_(std::move(model_name)), pictures_(pictures) {}
  [[nodiscard]] Result<Sample> features(const std::string& path,
                                        std::optional<std::int64_t> index) const;
  [[nodiscard]] Result<Sample> picture(const io::Image& image, std::string_view name,
                                       bool of_data_set) const;
  std::shared_ptr<const Model> model_;
  std::string model_name_;
  PictureOptions pictures_;
  std::optional<Tokeniser> tokeniser_;
};

/// IMAGE_BLANK: nothing can be seen in the picture.
[[nodiscard]] Error blank(std::string_view name);

/// Runs one sample, batch position 0.
Status run_sample(Session& session, const Sample& sample, std::span<float> logits,
                  const Hooks& hooks = {});

/// MODEL_WRONG_KIND: the model classifies texts, or images or features of a size, not `what`.
[[nodiscard]] Error wrong_kind(std::string_view model_name, const Model& model,
                               std::string_view what);

}  // namespace qama::runtime
