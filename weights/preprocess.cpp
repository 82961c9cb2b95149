#include "weights/preprocess.h"

#include <algorithm>

#include "weights/bounds.h"
#include "weights/strict_json.h"

namespace qama::weights {
namespace {

constexpr std::pair<std::string_view, ModelKind> kKinds[] = {
    {"image", ModelKind::simple_vit},
    {"text", ModelKind::text_transformer},
    {"features", ModelKind::feature_transformer}};
// The JSON spelling of every enumeration; both directions use these tables.
constexpr std::pair<std::string_view, Resize> kResizes[] = {{"bilinear", Resize::bilinear}};
constexpr std::pair<std::string_view, GrayFrom> kGrays[] = {{"luma", GrayFrom::luma}};
constexpr std::pair<std::string_view, Background> kBackgrounds[] = {
    {"any", Background::any}, {"dark", Background::dark}, {"light", Background::light}};
constexpr std::pair<std::string_view, Centre> kCentres[] = {{"box", Centre::box},
                                                            {"mass", Centre::mass}};
constexpr std::pair<std::string_view, Tokeniser> kTokenisers[] = {
    {"words", Tokeniser::words},
    {"penn_words", Tokeniser::penn_words},
    {"wordpiece", Tokeniser::wordpiece},
    {"unigram", Tokeniser::unigram}};
constexpr std::pair<std::string_view, Truncate> kTruncates[] = {{"head", Truncate::head},
                                                                {"ends", Truncate::ends}};

}  // namespace

std::string_view name_of(Resize value) noexcept {
  return name_in(kResizes, value);
}
std::string_view name_of(GrayFrom value) noexcept {
  return name_in(kGrays, value);
}
std::string_view name_of(Fit value) noexcept {
  return name_in(kFits, value);
}
std::string_view name_of(Background value) noexcept {
  return name_in(kBackgrounds, value);
}
std::string_view name_of(Centre value) noexcept {
  return name_in(kCentres, value);
}
std::string_view name_of(Tokeniser value) noexcept {
  return name_in(kTokenisers, value);
}
std::string_view name_of(Truncate value) noexcept {
  return name_in(kTruncates, value);
}

Status Preprocess::validate(const Architecture& architecture) const {
  Bounds bounds(ErrorCode::model_bad_preprocess, "preprocess");
  if (kind != architecture.kind) {
    const auto text = [](ModelKind k) { return "'" + std::string(name_in(kKinds, k)) + "'"; };
    bounds.fail("kind", text(kind), text(architecture.kind));
    return bounds.take();
  }
  if (kind == ModelKind::text_transformer) {
    Pieces pieces = Pieces::words;
    if (tokeniser == Tokeniser::wordpiece) pieces = Pieces::wordpiece;
    if (tokeniser == Tokeniser::unigram) pieces = Pieces::unigram;
    if (pieces != architecture.pieces) {
      bounds.fail("tokeniser", "'" + std::string(name_of(tokeniser)) + "'",
                  "one for a vocabulary of " + std::string(name_of(architecture.pieces)));
    }
    // The definition of a tokeniser of words includes lower case; "false" would name another one.
    if (!lowercase && pieces == Pieces::words) {
      bounds.fail("lowercase", "false",
                  "true with tokeniser '" + std::string(name_of(tokeniser)) + "'");
    }
    return bounds.take();
  }
  if (kind == ModelKind::feature_transformer) return bounds.take();
  const auto channels = static_cast<std::size_t>(architecture.image_channels);
  const std::string expected = std::to_string(channels) + " numbers, one a channel";
  if (mean.size() != channels) bounds.fail("mean", std::to_string(mean.size()), expected);
  if (stddev.size() != channels) bounds.fail("std", std::to_string(stddev.size()), expected);
  for (const double value : mean) bounds.real_range("mean", value, -kLargest, kLargest);
  for (const double value : stddev) bounds.real_range("std", value, kSmallest, kLargest);
  bounds.real_range("scale", scale, kSmallest, kLargest);
  if (fit == Fit::content) {
    if (channels != 1) bounds.fail("fit", "content", "another fit with more than one channel");
    if (background == Background::any)
      bounds.fail("background", "any", "dark or light with fit content");
    const std::int32_t side = std::min(architecture.image_height, architecture.image_width);
    bounds.range("margin", margin, 0, (side - 1) / 2);
  } else if (margin != 0 || centre != Centre::box) {
    bounds.fail("margin and centre", "given", "none with fit " + std::string(name_of(fit)));
  }
  return bounds.take();
}

Result<Preprocess> Preprocess::parse(std::string_view json, const Architecture& architecture) {
  constexpr ErrorCode kCode = ErrorCode::model_bad_preprocess;
  QAMA_ASSIGN_OR_RETURN(const Json value, parse_strict_json(json, "preprocess", kCode));
  Preprocess out;
  ObjectReader reader(value, "preprocess", kCode);
  reader.read("kind", out.kind, kKinds);
  if (out.kind == ModelKind::simple_vit) {
    reader.read("mean", out.mean);
    reader.read("std", out.stddev);
    reader.read("scale", out.scale);
    reader.read("resize", out.resize, kResizes);
    reader.read("gray", out.gray, kGrays);
    if (reader.optional("fit") != nullptr) reader.read("fit", out.fit, kFits);
    if (reader.optional("background") != nullptr) {
      reader.read("background", out.background, kBackgrounds);
    }
    if (reader.optional("margin") != nullptr) reader.read("margin", out.margin);
    if (reader.optional("centre") != nullptr) reader.read("centre", out.centre, kCentres);
  } else if (out.kind == ModelKind::text_transformer) {
    reader.read("tokeniser", out.tokeniser, kTokenisers);
    reader.read("lowercase", out.lowercase);
    reader.read("truncate", out.truncate, kTruncates);
  }
  QAMA_RETURN_IF_ERROR(reader.finish());
  QAMA_RETURN_IF_ERROR(out.validate(architecture));
  return out;
}

std::string Preprocess::to_json() const {
  nlohmann::ordered_json out;
  out["kind"] = name_in(kKinds, kind);
  if (kind == ModelKind::simple_vit) {
    out["mean"] = mean;
    out["std"] = stddev;
    out["scale"] = scale;
    out["resize"] = name_of(resize);
    out["gray"] = name_of(gray);
    const Preprocess defaults;
    if (fit != defaults.fit) out["fit"] = name_of(fit);
    if (background != defaults.background) out["background"] = name_of(background);
    if (margin != defaults.margin) out["margin"] = margin;
    if (centre != defaults.centre) out["centre"] = name_of(centre);
  } else if (kind == ModelKind::text_transformer) {
    out["tokeniser"] = name_of(tokeniser);
    out["lowercase"] = lowercase;
    out["truncate"] = name_of(truncate);
  }
  return out.dump();
}

}  // namespace qama::weights
