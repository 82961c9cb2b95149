#include "weights/model_writer.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>

#include "hal/base/checked.h"
#include "hal/base/quote.h"
#include "hal/base/random.h"
#include "hal/platform/output_file.h"
#include "weights/half.h"
#include "weights/int8.h"
#include "weights/model_file.h"
#include "weights/strict_json.h"

namespace qama::weights {
namespace {

Error invalid(std::string message) {
  return Error{ErrorCode::invalid_argument, std::move(message)};
}

// The same numbers on every machine.
class Random {
 public:
  explicit Random(std::uint64_t seed) noexcept : stream_(seed) {}
  /// Uniform in [-1, 1), a multiple of 2^-23.
  float next() noexcept {
    const auto top = static_cast<std::int32_t>(stream_.next() >> 40U);
    return static_cast<float>(top - (1 << 23)) * 0x1p-23F;
  }

 private:
  SplitMix64 stream_;
};

// Scale of a random tensor around its centre: matrices keep the size of what goes through them
// (variance 1/inputs, as uniform numbers need sqrt(3/inputs), here without a square root so that it
// is the same on every platform), vectors of scale stay near 1 and offsets near 0.
struct Spread {
  float centre;
  float width;
};
Spread spread_of(const TensorSpec& spec) {
  if (spec.shape.size() == 1) {
    const bool is_scale = spec.name.ends_with("norm.weight") ||
                          spec.name.ends_with("norm1.weight") ||
                          spec.name.ends_with("norm2.weight") ||
                          spec.name.ends_with("energy.weight") || spec.name.ends_with(".scale");
    return {is_scale ? 1.0F : 0.0F, 0.1F};
  }
  if (spec.name == "position" || spec.name == "embed.weight") return {0.0F, 1.0F};
  float width = 1.0F;
  for (std::int64_t inputs = spec.shape.back(); inputs > 3; inputs /= 4) width *= 0.5F;
  return {0.0F, width};
}

std::string random_vocabulary(const Architecture& a) {
  const bool pieces = a.pieces != Pieces::words;
  std::string text = pieces ? "<pad>\n<unk>\n[CLS]\n[SEP]" : "<pad>\n<unk>";
  for (std::int32_t i = pieces ? kSpecialPieces : 2; i < a.vocabulary; ++i)
    text += "\nw" + std::to_string(i);
  return text;
}

}  // namespace

TensorFileWriter::TensorFileWriter(TensorFormat format) {
  set_metadata("format", std::string(format.name));
  set_metadata("format_version", std::string(format.version));
}

void TensorFileWriter::set_metadata(std::string key, std::string value) {
  for (MetadataEntry& entry : metadata_) {
    if (entry.key == key) {
      entry.value = std::move(value);
      return;
    }
  }
  metadata_.push_back({std::move(key), std::move(value)});
}

Status TensorFileWriter::add(std::string name, Dtype dtype, std::vector<std::int64_t> shape,
                             std::span<const std::byte> bytes) {
  const std::string where = "tensor " + quote(name) + ": ";
  if (name == "__metadata__" || name.starts_with(kPadPrefix)) {
    return invalid(where + "the name is reserved");
  }
  const bool taken = std::any_of(tensors_.begin(), tensors_.end(),
                                 [&](const Tensor& tensor) { return tensor.name == name; });
  if (taken) return invalid(where + "the name is taken");
  if (shape.size() > kMaxRank) {
    return invalid(where + "rank " + std::to_string(shape.size()) + ", expected at most " +
                   std::to_string(kMaxRank));
  }
  std::optional<std::uint64_t> expected = dtype_bytes(dtype);
  for (const std::int64_t size : shape) {
    expected = size >= 1 ? checked_mul(*expected, static_cast<std::uint64_t>(size)) : std::nullopt;
    if (!expected) {
      return invalid(where + "shape " + shape_text(shape) +
                     ", expected sizes from 1 and less than 2^64 bytes");
    }
  }
  if (*expected != bytes.size()) {
    return invalid(where + std::to_string(bytes.size()) + " bytes, expected " +
                   std::to_string(*expected) + " for shape " + shape_text(shape));
  }
  tensors_.push_back({std::move(name), dtype, std::move(shape),
                      std::vector<std::byte>(bytes.begin(), bytes.end())});
  return {};
}

Status TensorFileWriter::add_f32(std::string name, std::vector<std::int64_t> shape,
                                 std::span<const float> values) {
  return add(std::move(name), Dtype::f32, std::move(shape), std::as_bytes(values));
}
Status TensorFileWriter::add_i32(std::string name, std::vector<std::int64_t> shape,
                                 std::span<const std::int32_t> values) {
  return add(std::move(name), Dtype::i32, std::move(shape), std::as_bytes(values));
}
Status TensorFileWriter::add_u8(std::string name, std::vector<std::int64_t> shape,
                                std::span<const std::uint8_t> values) {
  return add(std::move(name), Dtype::u8, std::move(shape), std::as_bytes(values));
}

Result<std::vector<std::byte>> TensorFileWriter::serialise() const {
  nlohmann::ordered_json header;
  header["__metadata__"] = nullptr;  // comes first, is filled last
  std::vector<std::byte> data;
  std::size_t pads = 0;
  for (const Tensor& tensor : tensors_) {
    const std::size_t begin = round_up(data.size(), kTensorAlignment);
    if (begin != data.size()) {
      header[std::string(kPadPrefix) + std::to_string(pads++)] = {
          {"dtype", "U8"},
          {"shape", {begin - data.size()}},
          {"data_offsets", {data.size(), begin}}};
      data.resize(begin);
    }
    data.insert(data.end(), tensor.bytes.begin(), tensor.bytes.end());
    header[tensor.name] = {{"dtype", dtype_name(tensor.dtype)},
                           {"shape", tensor.shape},
                           {"data_offsets", {begin, data.size()}}};
  }
  if (tensors_.size() + pads > kMaxTensors) {
    return invalid("file: " + std::to_string(tensors_.size() + pads) +
                   " tensors with padding, expected at most " + std::to_string(kMaxTensors));
  }
  nlohmann::ordered_json metadata;
  for (const MetadataEntry& entry : metadata_) metadata[entry.key] = entry.value;
  metadata["sha256"] = std::string(kDigestDigits, '0');  // until all else is known
  header["__metadata__"] = std::move(metadata);

  using Handler = nlohmann::ordered_json::error_handler_t;
  std::string text = header.dump(-1, ' ', false, Handler::replace);
  if (text != header.dump(-1, ' ', false, Handler::ignore)) {
    return invalid("file: a name or a metadata value is not UTF-8");
  }
  constexpr std::size_t kLengthBytes = 8;
  text.resize(round_up(kLengthBytes + text.size(), kTensorAlignment) - kLengthBytes, ' ');
  if (text.size() > kMaxHeaderBytes) {
    return invalid("file: header of " + std::to_string(text.size()) + " bytes, expected at most " +
                   std::to_string(kMaxHeaderBytes));
  }
  std::vector<std::byte> out(kLengthBytes + text.size() + data.size());
  const std::uint64_t length = text.size();
  std::memcpy(out.data(), &length, kLengthBytes);
  std::memcpy(out.data() + kLengthBytes, text.data(), text.size());
  std::copy(data.begin(), data.end(),
            out.begin() + static_cast<std::ptrdiff_t>(kLengthBytes + text.size()));
  // Quotes inside of a JSON string have a backslash: this is found at the key alone.
  constexpr std::string_view kKey = "\"sha256\":\"";
  const std::size_t digits =
      kLengthBytes + text.find(std::string(kKey) + std::string(kDigestDigits, '0')) + kKey.size();
  const std::string seal = seal_of(out, digits);
  std::memcpy(out.data() + digits, seal.data(), seal.size());
  return out;
}

Status TensorFileWriter::write(const std::string& path) const {
  QAMA_ASSIGN_OR_RETURN(const std::vector<std::byte> bytes, serialise());
  return platform::write_file(path, bytes);
}

Result<TensorFileWriter> model_writer(const Architecture& architecture,
                                      const Preprocess& preprocess,
                                      const std::vector<std::string>& labels, std::string producer,
                                      std::string training) {
  QAMA_RETURN_IF_ERROR(architecture.validate());
  QAMA_RETURN_IF_ERROR(preprocess.validate(architecture));
  TensorFileWriter writer(kModelFormat);
  writer.set_metadata("architecture", architecture.to_json());
  writer.set_metadata("preprocess", preprocess.to_json());
  writer.set_metadata("labels", Json(labels).dump(-1, ' ', false, Json::error_handler_t::replace));
  writer.set_metadata("producer", std::move(producer));
  if (!training.empty()) writer.set_metadata("training", std::move(training));
  return writer;
}

Result<TensorFileWriter> model_copy(const ModelFile& model, const Architecture& architecture) {
  QAMA_ASSIGN_OR_RETURN(TensorFileWriter out,
                        model_writer(architecture, model.preprocess(), model.labels(),
                                     model.producer(), model.training()));
  for (const TensorView& tensor : model.tensors()) {
    if (tensor.is_padding()) continue;
    QAMA_RETURN_IF_ERROR(out.add(tensor.name, tensor.dtype, tensor.shape, tensor.bytes));
  }
  return out;
}

namespace {

/// A copy with another record, whose matrices add(writer, tensor, floats) adds.
template <typename Add>
Result<TensorFileWriter> matrix_copy(const ModelFile& model, const Architecture& architecture,
                                     const Add& add) {
  QAMA_ASSIGN_OR_RETURN(TensorFileWriter out,
                        model_writer(architecture, model.preprocess(), model.labels(),
                                     model.producer(), model.training()));
  for (const TensorView& tensor : model.tensors()) {
    if (tensor.is_padding()) continue;
    const bool matrix = tensor.shape.size() == 2 && tensor.shape[1] > 1;
    if (!matrix || (tensor.dtype != Dtype::f32 && !is_half(tensor.dtype))) {
      QAMA_RETURN_IF_ERROR(out.add(tensor.name, tensor.dtype, tensor.shape, tensor.bytes));
      continue;
    }
    QAMA_ASSIGN_OR_RETURN(const auto floats, model.f32(tensor.name));
    QAMA_RETURN_IF_ERROR(add(out, tensor, floats));
  }
  return out;
}

}  // namespace

Result<TensorFileWriter> int8_copy(const ModelFile& model) {
  return matrix_copy(
      model, model.architecture(),
      [](TensorFileWriter& out, const TensorView& tensor, std::span<const float> floats) -> Status {
        const auto columns = static_cast<std::size_t>(tensor.shape[1]);
        std::vector<std::int8_t> values(floats.size());
        std::vector<float> scales(floats.size() / columns);
        for (std::size_t r = 0; r < scales.size(); ++r) {
          quantise_row(floats.subspan(r * columns, columns),
                       std::span(values).subspan(r * columns, columns), scales[r]);
        }
        QAMA_RETURN_IF_ERROR(
            out.add(tensor.name, Dtype::i8, tensor.shape, std::as_bytes(std::span(values))));
        return out.add_f32(scales_of(tensor.name), {tensor.shape[0]}, scales);
      });
}

Result<TensorFileWriter> half_copy(const ModelFile& model, Dtype half) {
  Architecture architecture = model.architecture();
  architecture.half_products = true;
  return matrix_copy(
      model, architecture,
      [half](TensorFileWriter& out, const TensorView& tensor,
             std::span<const float> floats) -> Status {
        std::vector<std::uint16_t> values(floats.size());
        std::transform(floats.begin(), floats.end(), values.begin(), [half](float w) {
          return half == Dtype::f16 ? f16_from_float(w) : bf16_from_float(w);
        });
        return out.add(tensor.name, half, tensor.shape, std::as_bytes(std::span(values)));
      });
}

Result<TensorFileWriter> random_model(const Architecture& architecture, std::uint64_t seed) {
  QAMA_RETURN_IF_ERROR(architecture.validate());
  Preprocess preprocess;
  preprocess.kind = architecture.kind;
  if (architecture.pieces == Pieces::wordpiece) preprocess.tokeniser = Tokeniser::wordpiece;
  if (architecture.pieces == Pieces::unigram) preprocess.tokeniser = Tokeniser::unigram;
  preprocess.mean.assign(static_cast<std::size_t>(architecture.image_channels), 0.5);
  preprocess.stddev.assign(static_cast<std::size_t>(architecture.image_channels), 0.5);
  std::vector<std::string> labels;
  for (std::int32_t i = 0; i < architecture.classes; ++i) labels.push_back(std::to_string(i));
  QAMA_ASSIGN_OR_RETURN(TensorFileWriter writer,
                        model_writer(architecture, preprocess, labels, "qama random model"));

  Random random(seed);
  for (const TensorSpec& spec : expected_tensors(architecture)) {
    if (spec.dtype == Dtype::u8) {
      const std::string text =
          spec.name == "vocabulary" ? random_vocabulary(architecture) : "A\ta\n";
      QAMA_RETURN_IF_ERROR(writer.add(spec.name, Dtype::u8,
                                      {static_cast<std::int64_t>(text.size())},
                                      std::as_bytes(std::span(text))));
      continue;
    }
    if (spec.dtype == Dtype::i32) {  // block numbers, one row a block
      std::vector<std::int32_t> numbers;
      for (std::int64_t i = 0; i < spec.shape[0] * spec.shape[1]; ++i) {
        const double unit = 0.5 + 0.49 * static_cast<double>(random.next());
        numbers.push_back(static_cast<std::int32_t>(unit * static_cast<double>(spec.shape[0])));
      }
      QAMA_RETURN_IF_ERROR(writer.add_i32(spec.name, spec.shape, numbers));
      continue;
    }
    std::size_t count = 1;
    for (const std::int64_t size : spec.shape) count *= static_cast<std::size_t>(size);
    const Spread spread = spread_of(spec);
    std::vector<float> values(count);
    for (float& value : values) value = spread.centre + spread.width * random.next();
    QAMA_RETURN_IF_ERROR(writer.add_f32(spec.name, spec.shape, values));
  }
  return writer;
}

}  // namespace qama::weights
