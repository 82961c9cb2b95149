#include "weights/model_file.h"

#include <algorithm>
#include <array>
#include <new>
#include <unordered_set>
#include <utility>

#include "hal/base/checked.h"
#include "hal/base/quote.h"
#include "weights/half.h"
#include "weights/strict_json.h"

namespace qama::weights {
namespace {

// Builds the list of expected tensors; all but the vocabulary and lists of numbers are floats.
class SpecList {
 public:
  void add(std::string name, std::vector<std::int64_t> shape,
           std::vector<std::int64_t> other = {}) {
    specs_.push_back({std::move(name), Dtype::f32, std::move(shape), std::move(other)});
  }
  void add_weight_bias(const std::string& name, std::vector<std::int64_t> weight,
                       std::int64_t bias) {
    add(name + ".weight", std::move(weight));
    add(name + ".bias", {bias});
  }
  void add_norm(const std::string& name, std::int64_t size) { add_weight_bias(name, {size}, size); }
  void add_scale_shift(const std::string& name, std::int64_t size) {
    add(name + ".scale", {size});
    add(name + ".shift", {size});
  }
  void add_i32(std::string name, std::vector<std::int64_t> shape) {
    specs_.push_back({std::move(name), Dtype::i32, std::move(shape), {}});
  }
  void add_u8(std::string name) { specs_.push_back({std::move(name), Dtype::u8, {kAnySize}, {}}); }
  [[nodiscard]] std::vector<TensorSpec> take() { return std::move(specs_); }

 private:
  std::vector<TensorSpec> specs_;
};

void add_attention(const Architecture& a, const std::string& prefix, SpecList& list) {
  const std::int64_t heads = a.heads;
  const std::int64_t inner = a.inner();
  list.add_norm(prefix + "norm", a.dim);
  list.add(prefix + "qkv.weight", {a.projections() * inner, a.dim});
  list.add(prefix + "out.weight", {a.dim, inner});
  switch (a.attention.kind) {
    case AttentionKind::softmax:
    case AttentionKind::longformer:
      break;
    case AttentionKind::bigbird:
      if (a.attention.random_blocks > 0) {
        const std::int64_t blocks = (a.tokens() + a.attention.block - 1) / a.attention.block;
        list.add_i32(prefix + "random_blocks", {blocks, a.attention.random_blocks});
      }
      break;
    case AttentionKind::linformer:
      list.add(prefix + "proj_k", {a.attention.rank, a.tokens()});
      list.add(prefix + "proj_v", {a.attention.rank, a.tokens()});
      break;
    case AttentionKind::performer:
      list.add(prefix + "features", {a.attention.features, a.dim_head});
      break;
    case AttentionKind::reformer:
      list.add(prefix + "rotations", {a.attention.hashes, a.dim_head, a.attention.buckets / 2});
      break;
    case AttentionKind::qama_v1:
      list.add_scale_shift(prefix + "coupling", heads);
      list.add_scale_shift(prefix + "field", heads);
      list.add_scale_shift(prefix + "energy", heads);
      break;
    case AttentionKind::qama:
      list.add(prefix + "w_eps", {1, a.dim_head}, {heads, a.dim_head});
      list.add_scale_shift(prefix + "coupling", heads);
      list.add_scale_shift(prefix + "field", heads);
      if (a.attention.energy_norm == EnergyNorm::batch) {
        list.add_scale_shift(prefix + "energy", heads);
      } else if (a.attention.energy_norm == EnergyNorm::layer) {
        list.add_norm(prefix + "energy", inner);
      }
      break;
  }
}

bool matches(std::span<const std::int64_t> got, std::span<const std::int64_t> expected) {
  return std::equal(got.begin(), got.end(), expected.begin(), expected.end(),
                    [](std::int64_t g, std::int64_t e) { return e == kAnySize || g == e; });
}

std::string expected_text(const TensorSpec& spec) {
  if (!spec.shape.empty() && spec.shape.front() == kAnySize) return "[bytes]";
  std::string text = shape_text(spec.shape);
  if (!spec.other.empty()) text += " or " + shape_text(spec.other);
  return text;
}

Status check_tensor(const TensorFile& file, const TensorSpec& spec) {
  QAMA_ASSIGN_OR_RETURN(const TensorView* tensor, file.tensor(spec.name));
  const std::string where = "tensor " + quote(spec.name);
  // Weights may be stored in half precision.
  const bool half = spec.dtype == Dtype::f32 && is_half(tensor->dtype);
  if (tensor->dtype != spec.dtype && !half) {
    return Error{ErrorCode::model_bad_dtype,
                 where + ": dtype " + std::string(dtype_name(tensor->dtype)) + ", expected " +
                     std::string(dtype_name(spec.dtype)) +
                     (spec.dtype == Dtype::f32 ? ", F16 or BF16" : "")};
  }
  if (!matches(tensor->shape, spec.shape) &&
      (spec.other.empty() || !matches(tensor->shape, spec.other))) {
    return Error{ErrorCode::model_bad_shape, where + ": shape " + shape_text(tensor->shape) +
                                                 ", expected " + expected_text(spec)};
  }
  return {};
}

Status check_tensors(const TensorFile& file, const Architecture& architecture) {
  std::unordered_set<std::string_view> known;
  const std::vector<TensorSpec> specs = expected_tensors(architecture);
  for (const TensorSpec& spec : specs) {
    QAMA_RETURN_IF_ERROR(check_tensor(file, spec));
    known.insert(spec.name);
  }
  for (const TensorView& tensor : file.tensors()) {
    if (!tensor.is_padding() && !known.contains(tensor.name)) {
      return Error{ErrorCode::model_unknown_tensor,
                   "tensor " + quote(tensor.name) + ": unknown to a " +
                       std::string(name_of(architecture.kind)) + " with " +
                       std::string(name_of(architecture.attention.kind)) + " attention of depth " +
                       std::to_string(architecture.depth)};
    }
  }
  return {};
}

// What is printed to a terminal must not steer it.
bool has_control_character(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7F;
  });
}

Result<std::vector<std::string>> read_labels(std::string_view json, std::int32_t classes) {
  constexpr ErrorCode kCode = ErrorCode::model_bad_labels;
  QAMA_ASSIGN_OR_RETURN(const Json value, parse_strict_json(json, "labels", kCode));
  if (!value.is_array()) {
    return Error{kCode, std::string("labels: ") + value.type_name() + ", expected an array"};
  }
  if (value.size() != static_cast<std::size_t>(classes)) {
    return Error{kCode, "labels: " + std::to_string(value.size()) + ", expected " +
                            std::to_string(classes) + ", one a class"};
  }
  std::vector<std::string> labels;
  for (const Json& element : value) {
    const std::string where = "labels[" + std::to_string(labels.size()) + "]: ";
    if (!element.is_string()) {
      return Error{kCode, where + element.type_name() + ", expected a string"};
    }
    const auto& label = element.get_ref<const std::string&>();
    if (label.empty() || has_control_character(label)) {
      return Error{kCode, where + quote(label) + ", expected text without control characters"};
    }
    labels.push_back(label);
  }
  return labels;
}

Result<std::vector<std::string_view>> read_vocabulary(const TensorView& tensor,
                                                      std::int32_t expected) {
  constexpr ErrorCode kCode = ErrorCode::model_bad_vocabulary;
  std::string_view text(reinterpret_cast<const char*>(tensor.bytes.data()), tensor.bytes.size());
  if (text.ends_with('\n')) text.remove_suffix(1);
  const auto lines = std::count(text.begin(), text.end(), '\n') + 1;
  if (lines != expected) {
    return Error{kCode, "vocabulary: " + std::to_string(lines) + " words, expected " +
                            std::to_string(expected)};
  }
  std::vector<std::string_view> words;
  words.reserve(static_cast<std::size_t>(expected));
  std::unordered_set<std::string_view> seen;
  seen.reserve(static_cast<std::size_t>(expected));
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view word = text.substr(begin, end - begin);
    const std::string where = "vocabulary: word " + std::to_string(words.size()) + " is ";
    constexpr std::array<std::string_view, 2> kSpecial = {"<pad>", "<unk>"};
    if (words.size() < kSpecial.size() && word != kSpecial[words.size()]) {
      return Error{kCode, where + quote(word) + ", expected " + quote(kSpecial[words.size()])};
    }
    if (word.empty()) return Error{kCode, where + "empty"};
    if (!seen.insert(word).second) {
      return Error{kCode, where + quote(word) + ", which is there already"};
    }
    words.push_back(word);
    begin = end + 1;
  }
  return words;
}

// BigBird's random blocks are block numbers.
Status check_block_numbers(const TensorFile& file, const Architecture& a) {
  if (a.attention.kind != AttentionKind::bigbird || a.attention.random_blocks == 0) return {};
  const std::int32_t blocks = (a.tokens() + a.attention.block - 1) / a.attention.block;
  for (std::int32_t i = 0; i < a.depth; ++i) {
    const std::string name = "blocks." + std::to_string(i) + ".attn.random_blocks";
    QAMA_ASSIGN_OR_RETURN(const TensorView* tensor, file.tensor(name));
    QAMA_ASSIGN_OR_RETURN(const auto numbers, tensor->i32());
    for (const std::int32_t number : numbers) {
      if (number >= 0 && number < blocks) continue;
      return Error{ErrorCode::model_bad_value, "tensor " + quote(name) + ": block " +
                                                   std::to_string(number) + ", expected 0 to " +
                                                   std::to_string(blocks - 1)};
    }
  }
  return {};
}

Status check_training(std::string_view json) {
  QAMA_ASSIGN_OR_RETURN(const Json value,
                        parse_strict_json(json, "training", ErrorCode::model_bad_metadata));
  if (value.is_object()) return {};
  return Error{ErrorCode::model_bad_metadata,
               std::string("training: ") + value.type_name() + ", expected an object"};
}

}  // namespace

std::vector<TensorSpec> expected_tensors(const Architecture& a) {
  SpecList list;
  if (a.is_image()) {
    list.add_norm("patch.norm1", a.patch_dim());
    list.add_weight_bias("patch.linear", {a.dim, a.patch_dim()}, a.dim);
    list.add_norm("patch.norm2", a.dim);
  } else {
    list.add_u8("vocabulary");
    list.add("embed.weight", {a.vocabulary, a.embedding});
    list.add_weight_bias("embed.proj", {a.dim, a.projected()}, a.dim);
  }
  list.add("position", {a.tokens_before_pool(), a.dim});
  for (std::int32_t i = 0; i < a.depth; ++i) {
    const std::string block = "blocks." + std::to_string(i) + ".";
    add_attention(a, block + "attn.", list);
    list.add_norm(block + "mlp.norm", a.dim);
    list.add_weight_bias(block + "mlp.fc1", {a.mlp, a.dim}, a.mlp);
    list.add_weight_bias(block + "mlp.fc2", {a.dim, a.mlp}, a.dim);
  }
  list.add_norm("norm", a.dim);
  list.add_weight_bias("head", {a.classes, a.dim}, a.classes);
  return list.take();
}

Result<std::shared_ptr<const ModelFile>> ModelFile::open(const std::string& path) {
  QAMA_ASSIGN_OR_RETURN(auto file, TensorFile::open(path, kModelFormat));
  return check(std::move(file));
}

Result<std::shared_ptr<const ModelFile>> ModelFile::from_memory(std::span<const std::byte> data) {
  QAMA_ASSIGN_OR_RETURN(auto file, TensorFile::from_memory(data, kModelFormat));
  return check(std::move(file));
}

Result<std::shared_ptr<const ModelFile>> ModelFile::check(std::shared_ptr<const TensorFile> file) {
  constexpr ErrorCode kCode = ErrorCode::model_bad_metadata;
  constexpr std::string_view kKnown[] = {"format", "format_version", "architecture", "preprocess",
                                         "labels", "sha256",         "producer",     "training"};
  for (const MetadataEntry& entry : file->all_metadata()) {
    if (std::find(std::begin(kKnown), std::end(kKnown), entry.key) == std::end(kKnown)) {
      return Error{kCode, "__metadata__: unknown key " + quote(entry.key)};
    }
  }
  for (const std::string_view key : kKnown) {
    if (key != "training" && file->metadata(key) == nullptr) {
      return Error{kCode, "__metadata__: key '" + std::string(key) + "' missing"};
    }
  }

  const std::shared_ptr<ModelFile> model(new ModelFile());
  QAMA_ASSIGN_OR_RETURN(model->architecture_, Architecture::parse(*file->metadata("architecture")));
  QAMA_ASSIGN_OR_RETURN(model->preprocess_,
                        Preprocess::parse(*file->metadata("preprocess"), model->architecture_));
  QAMA_ASSIGN_OR_RETURN(model->labels_,
                        read_labels(*file->metadata("labels"), model->architecture_.classes));
  model->producer_ = *file->metadata("producer");
  if (has_control_character(model->producer_)) {
    return Error{kCode, "__metadata__.producer: " + quote(model->producer_) +
                            ", expected text without control characters"};
  }
  if (const std::string* training = file->metadata("training")) {
    QAMA_RETURN_IF_ERROR(check_training(*training));
    model->training_ = *training;
  }

  QAMA_RETURN_IF_ERROR(check_tensors(*file, model->architecture_));
  QAMA_RETURN_IF_ERROR(check_block_numbers(*file, model->architecture_));
  if (model->architecture_.is_text()) {
    QAMA_ASSIGN_OR_RETURN(model->vocabulary_, read_vocabulary(*file->find("vocabulary"),
                                                              model->architecture_.vocabulary));
  }
  for (const TensorView& tensor : file->tensors()) {
    const bool half = is_half(tensor.dtype);
    if (tensor.dtype != Dtype::f32 && !half) continue;
    model->parameters_ += static_cast<std::int64_t>(tensor.elements());
    if (half) QAMA_RETURN_IF_ERROR(model->widen(tensor));
  }
  model->file_ = std::move(file);
  return std::shared_ptr<const ModelFile>(model);
}

Result<std::span<const float>> ModelFile::f32(std::string_view name) const {
  QAMA_ASSIGN_OR_RETURN(const TensorView* found, file_->tensor(name));
  const auto wide = widened_.find(found->name);
  if (wide != widened_.end()) return wide->second.span();
  return found->f32();
}

Status ModelFile::widen(const TensorView& tensor) {
  const std::size_t count = tensor.elements();
  if (!checked_mul(count, sizeof(float))) {
    return Error{ErrorCode::size_overflow,
                 "tensor " + quote(tensor.name) + ": does not fit this machine's addresses"};
  }
  AlignedBuffer<float> out;
  try {
    out.resize(count);
  } catch (const std::bad_alloc&) {
    return Error{ErrorCode::out_of_memory,
                 "tensor " + quote(tensor.name) + ": no memory to widen it"};
  }
  const auto* half = reinterpret_cast<const std::uint16_t*>(tensor.bytes.data());
  const auto to_float = tensor.dtype == Dtype::f16 ? float_from_f16 : float_from_bf16;
  for (std::size_t i = 0; i < count; ++i) out.data()[i] = to_float(half[i]);
  widened_.emplace(tensor.name, std::move(out));
  return {};
}

}  // namespace qama::weights
