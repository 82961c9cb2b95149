#include "runtime/cli/inputs.h"

#include <charconv>

#include "hal/base/quote.h"
#include "hal/platform/file.h"
#include "runtime/cli/arguments.h"
#include "runtime/io/idx_reader.h"
#include "runtime/io/image.h"
#include "runtime/io/text.h"

namespace qama::cli {
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

}  // namespace

Result<InputReader> InputReader::create(std::shared_ptr<const runtime::Model> model,
                                        std::string model_path) {
  InputReader out(std::move(model), std::move(model_path));
  if (out.model_->architecture().is_text()) {
    QAMA_ASSIGN_OR_RETURN(out.tokeniser_, runtime::Tokeniser::create(out.model_));
  }
  return out;
}

Result<Input> InputReader::read(const std::string& name) const {
  const weights::Architecture& a = model_->architecture();
  const std::optional<Indexed> indexed = name == "-" ? std::nullopt : split_index(name);
  if (a.is_text()) {
    if (indexed) return wrong_kind(model_path_, *model_, "images of an IDX file");
    QAMA_ASSIGN_OR_RETURN(
        const std::vector<std::uint8_t> bytes,
        platform::read_file(name, io::kMaxTextBytes, ErrorCode::text_bad_encoding));
    const std::string_view words(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return text(words, name);
  }
  io::Image image;
  Input out;
  if (indexed) {
    std::int64_t index = 0;
    const char* end = indexed->index.data() + indexed->index.size();
    const auto [stop, code] = std::from_chars(indexed->index.data(), end, index);
    if (code != std::errc() || stop != end) {
      return Error{ErrorCode::index_out_of_range, "index " + quote(indexed->index) + " of file " +
                                                      quote(indexed->file) +
                                                      " is not a number of a record"};
    }
    QAMA_ASSIGN_OR_RETURN(image, io::read_idx_image(indexed->file, index));
    out.index = static_cast<std::uint64_t>(index);
  } else {
    QAMA_ASSIGN_OR_RETURN(
        const std::vector<std::uint8_t> bytes,
        platform::read_file(name, io::kMaxImageFileBytes, ErrorCode::image_too_large));
    QAMA_ASSIGN_OR_RETURN(image, io::decode_image(bytes, name));
  }
  QAMA_ASSIGN_OR_RETURN(out.pixels,
                        io::fit_image(image, a.image_height, a.image_width, a.image_channels));
  return out;
}

Result<Input> InputReader::text(std::string_view words, const std::string& name) const {
  if (!tokeniser_) return wrong_kind(model_path_, *model_, "texts");
  QAMA_RETURN_IF_ERROR(io::check_utf8(words, name));
  Input out;
  out.tokens.resize(static_cast<std::size_t>(model_->architecture().max_tokens));
  QAMA_ASSIGN_OR_RETURN(out.length, tokeniser_->encode(words, out.tokens));
  return out;
}

Status run_input(runtime::Session& session, const Input& input, std::span<float> logits,
                 const runtime::Hooks& hooks) {
  runtime::RunOptions options;
  options.first_sample = input.index;
  options.hooks = hooks;
  if (session.model().architecture().is_text()) {
    return session.run_tokens(input.tokens, {&input.length, 1}, logits, options);
  }
  return session.run_u8(input.pixels, 1, logits, options);
}

}  // namespace qama::cli
