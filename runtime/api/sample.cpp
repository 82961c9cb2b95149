#include "runtime/api/sample.h"

#include <charconv>

#include "hal/base/quote.h"
#include "hal/platform/file.h"
#include "runtime/io/idx_reader.h"
#include "runtime/io/npy_reader.h"
#include "runtime/io/text.h"

namespace qama::runtime {
namespace {

/// FILE and INDEX of "FILE:INDEX", if `name` is no file itself but FILE is one.
struct Indexed {
  std::string file;
  std::string index;
};

std::optional<Indexed> split_index(const std::string& name) {
  const std::size_t colon = name.rfind(':');
  if (colon == std::string::npos || colon == 0 || colon + 1 == name.size()) return std::nullopt;
  Indexed out{name.substr(0, colon), name.substr(colon + 1)};
  if (out.index.find_first_not_of("-0123456789") != std::string::npos) return std::nullopt;
  if (platform::file_bytes(name).ok() || !platform::file_bytes(out.file).ok()) return std::nullopt;
  return out;
}

Result<std::int64_t> number_of(const Indexed& indexed) {
  std::int64_t index = 0;
  const char* end = indexed.index.data() + indexed.index.size();
  const auto [stop, code] = std::from_chars(indexed.index.data(), end, index);
  if (code == std::errc() && stop == end) return index;
  return Error{ErrorCode::index_out_of_range, "index " + quote(indexed.index) + " of file " +
                                                  quote(indexed.file) +
                                                  " is not a number of a record"};
}

}  // namespace

Result<SampleReader> SampleReader::create(std::shared_ptr<const Model> model,
                                          std::string model_name, PictureOptions pictures) {
  SampleReader out(std::move(model), std::move(model_name), pictures);
  if (out.model_->architecture().is_text()) {
    QAMA_ASSIGN_OR_RETURN(out.tokeniser_, Tokeniser::create(out.model_));
  }
  return out;
}

Result<Sample> SampleReader::read(const std::string& name) const {
  const weights::Architecture& a = model_->architecture();
  const std::optional<Indexed> indexed = name == "-" ? std::nullopt : split_index(name);
  if (a.is_text()) {
    if (indexed) return wrong_kind(model_name_, *model_, "images of an IDX file");
    QAMA_ASSIGN_OR_RETURN(
        const std::vector<std::uint8_t> bytes,
        platform::read_file(name, io::kMaxTextBytes, ErrorCode::text_bad_encoding));
    return text({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, name);
  }
  if (a.is_features()) {
    if (!indexed) return features(name, std::nullopt);
    QAMA_ASSIGN_OR_RETURN(const std::int64_t index, number_of(*indexed));
    return features(indexed->file, index);
  }
  if (!indexed) {
    QAMA_ASSIGN_OR_RETURN(
        const std::vector<std::uint8_t> bytes,
        platform::read_file(name, io::kMaxImageFileBytes, ErrorCode::image_too_large));
    return encoded(bytes, name);
  }
  QAMA_ASSIGN_OR_RETURN(const std::int64_t index, number_of(*indexed));
  QAMA_ASSIGN_OR_RETURN(const io::Image image, io::read_idx_image(indexed->file, index));
  QAMA_ASSIGN_OR_RETURN(Sample out, picture(image, name, true));
  out.index = static_cast<std::uint64_t>(index);
  return out;
}

Result<Sample> SampleReader::encoded(std::span<const std::uint8_t> bytes,
                                     std::string_view name) const {
  if (!model_->architecture().is_image()) return wrong_kind(model_name_, *model_, "images");
  QAMA_ASSIGN_OR_RETURN(const io::Image image, io::decode_image(bytes, name));
  return picture(image, name, false);
}

Result<Sample> SampleReader::features(const std::string& path,
                                      std::optional<std::int64_t> index) const {
  const weights::Architecture& a = model_->architecture();
  Sample out;
  QAMA_ASSIGN_OR_RETURN(out.features,
                        io::read_npy_features(path, index, a.max_tokens, a.embedding));
  out.index = static_cast<std::uint64_t>(index.value_or(0));
  return out;
}

Result<Sample> SampleReader::picture(const io::Image& image, std::string_view name,
                                     bool of_data_set) const {
  Sample out;
  out.pixels.resize(model_->input_pixels());
  QAMA_ASSIGN_OR_RETURN(out.picture, fit(image, out.pixels, of_data_set));
  if (out.picture.blank) out.doubt = blank(name);
  return out;
}

Result<Sample> SampleReader::text(std::string_view words, std::string_view name) const {
  if (!tokeniser_) return wrong_kind(model_name_, *model_, "texts");
  QAMA_RETURN_IF_ERROR(io::check_utf8(words, name));
  Sample out;
  out.tokens.resize(static_cast<std::size_t>(model_->architecture().max_tokens));
  QAMA_ASSIGN_OR_RETURN(out.text, tokeniser_->encode(words, out.tokens));
  out.words = tokeniser_->words(words);
  if (out.text.words == 0) {
    out.doubt = Error{ErrorCode::text_empty, "text " + quote(name) + " has no word"};
  } else if (out.text.nothing_known()) {
    out.doubt = Error{ErrorCode::text_empty, "text " + quote(name) + ": none of its " +
                                                 std::to_string(out.text.words) +
                                                 " words is in the model's vocabulary"};
  }
  return out;
}

Result<io::PictureNotes> SampleReader::fit(const io::ImageView& image,
                                           std::span<std::uint8_t> pixels, bool of_data_set) const {
  if (!model_->architecture().is_image()) return wrong_kind(model_name_, *model_, "images");
  const weights::Architecture& a = model_->architecture();
  const weights::Preprocess& p = model_->preprocess();
  const io::PictureRules rules{
      a.image_height, a.image_width, a.image_channels, pictures_.fit.value_or(p.fit),
      p.background,   p.margin,      p.centre};
  const bool as_it_is =
      of_data_set && image.height == a.image_height && image.width == a.image_width;
  return io::prepare_picture(
      image, rules, pictures_.invert.value_or(as_it_is ? io::Invert::no : io::Invert::automatic),
      pixels);
}

Error blank(std::string_view name) {
  return {ErrorCode::image_blank,
          "picture " + quote(name) + " has one colour, there is nothing to see"};
}

Status run_sample(Session& session, const Sample& sample, std::span<float> logits,
                  const Hooks& hooks) {
  RunOptions options;
  options.first_sample = sample.index;
  options.hooks = hooks;
  const weights::Architecture& a = session.model().architecture();
  if (a.is_features()) return session.run_f32(sample.features, 1, logits, options);
  if (a.is_text()) {
    return session.run_tokens(sample.tokens, {&sample.text.length, 1}, logits, options);
  }
  return session.run_u8(sample.pixels, 1, logits, options);
}

Error wrong_kind(std::string_view model_name, const Model& model, std::string_view what) {
  const weights::Architecture& a = model.architecture();
  std::string takes(model.takes());
  if (a.is_image()) {
    takes += " of " + std::to_string(a.image_height) + " x " + std::to_string(a.image_width) +
             " x " + std::to_string(a.image_channels);
  } else if (a.is_features()) {
    takes += " of " + std::to_string(a.max_tokens) + " x " + std::to_string(a.embedding);
  }
  return {ErrorCode::model_wrong_kind,
          "model " + quote(model_name) + " classifies " + takes + ", not " + std::string(what)};
}

}  // namespace qama::runtime
