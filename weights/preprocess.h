// The preprocess record of a model file: how a picture or a text becomes the network's input.
// Features are the input as they are.
// Parsed as strictly as the architecture (architecture.h). runtime/io/picture.h does what the
// record of pictures says. A key that says what was done before it existed is not written, so that
// programs older than the key read such a file.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "weights/architecture.h"

namespace qama::weights {

enum class Resize : std::uint8_t { bilinear };  ///< an image of another size
enum class GrayFrom : std::uint8_t { luma };    ///< colour image, one-channel model
/// See runtime's text preprocessing. The last two are those of `Pieces`, and belong to models whose
/// vocabulary has such pieces.
enum class Tokeniser : std::uint8_t { words, penn_words, wordpiece, unigram };
/// What is kept of a text: the first max_tokens tokens, or half of them and the last ones.
enum class Truncate : std::uint8_t { head, ends };
/// How a picture of another size is brought to the model's: the whole picture, its middle, the
/// whole one with bars, or the thing that it shows.
enum class Fit : std::uint8_t { stretch, crop, pad, content };
/// What lies behind the things of the training set: dark (0), light (255) or anything.
enum class Background : std::uint8_t { any, dark, light };
/// What of the thing lies in the middle, with Fit::content.
enum class Centre : std::uint8_t { box, mass };

/// The JSON spelling, which the program's options share.
inline constexpr std::pair<std::string_view, Fit> kFits[] = {
    {"stretch", Fit::stretch}, {"crop", Fit::crop}, {"pad", Fit::pad}, {"content", Fit::content}};

[[nodiscard]] std::string_view name_of(Resize value) noexcept;
[[nodiscard]] std::string_view name_of(GrayFrom value) noexcept;
[[nodiscard]] std::string_view name_of(Fit value) noexcept;
[[nodiscard]] std::string_view name_of(Background value) noexcept;
[[nodiscard]] std::string_view name_of(Centre value) noexcept;
[[nodiscard]] std::string_view name_of(Tokeniser value) noexcept;
[[nodiscard]] std::string_view name_of(Truncate value) noexcept;

/// How bytes become the network's input. Image: value = (byte / scale - mean[c]) / stddev[c]. Of
/// features, nothing but the kind is said.
struct Preprocess {
  ModelKind kind = ModelKind::simple_vit;  ///< equals the architecture's

  // image
  std::vector<double> mean;    ///< one a channel
  std::vector<double> stddev;  ///< one a channel, > 0
  double scale = 255.0;        ///< > 0
  Resize resize = Resize::bilinear;
  GrayFrom gray = GrayFrom::luma;
  Fit fit = Fit::stretch;  ///< content: one channel, and a background that is dark or light
  Background background = Background::any;
  std::int32_t margin = 0;      ///< content only: pixels left free on each side of the longer side
  Centre centre = Centre::box;  ///< content only

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
