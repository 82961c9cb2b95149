#include "weights/model_file.h"

#include <algorithm>
#include <array>
#include <new>
#include <unordered_set>
#include <utility>

#include "hal/base/checked.h"
#include "hal/base/quote.h"
#include "weights/attention/kind.h"
#include "weights/half.h"
#include "weights/int8.h"
#include "weights/signature.h"
#include "weights/strict_json.h"

namespace qama::weights {
namespace {

AttentionShape shape_of(const Architecture& a) {
  return {a.dim, a.heads, a.dim_head, a.tokens()};
}

std::string attention_prefix(std::int32_t block) {
  return "blocks." + std::to_string(block) + ".attn.";
}

void add_attention(const Architecture& a, std::int32_t group, TensorList& list) {
  const std::string prefix = attention_prefix(group);
  const std::int32_t block = a.block_of(group);
  const AttentionSpec& own = a.attention_of(block);
  const AttentionRules& rules = rules_of(own.kind);
  if (rules.one_norm || a.norm == NormPlace::post) list.add_norm(prefix + "norm", a.dim);
  const std::int64_t projected = std::int64_t{rules.projections} * a.inner();
  list.add(prefix + "qkv.weight", {projected, a.dim});
  if (a.qkv_bias) list.add(prefix + "qkv.bias", {projected});
  if (a.projects(block)) list.add(prefix + "out.weight", {a.dim, a.inner()});
  if (a.out_bias) list.add(prefix + "out.bias", {a.dim});
  if (rules.tensors != nullptr) rules.tensors(own, shape_of(a), prefix, list);
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
  // Weights may be stored in half precision, and matrices in int8.
  const bool weight = spec.dtype == Dtype::f32;
  const bool matrix = weight && spec.shape.size() == 2 && spec.shape[1] > 1;
  const bool small = (weight && is_half(tensor->dtype)) || (matrix && tensor->dtype == Dtype::i8);
  if (tensor->dtype != spec.dtype && !small) {
    return Error{ErrorCode::model_bad_dtype,
                 where + ": dtype " + std::string(dtype_name(tensor->dtype)) + ", expected " +
                     std::string(dtype_name(spec.dtype)) +
                     (matrix   ? ", F16, BF16 or I8"
                      : weight ? ", F16 or BF16"
                               : "")};
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
    const TensorView& tensor = *file.find(spec.name);
    if (tensor.dtype != Dtype::i8) continue;
    const TensorSpec scales{scales_of(spec.name), Dtype::f32, {tensor.shape[0]}, {}};
    QAMA_RETURN_IF_ERROR(check_tensor(file, scales));
    const TensorView& found = *file.find(scales.name);
    if (const auto floats = found.f32(); !floats.ok()) return floats.error();
    known.insert(found.name);
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
      return Error{kCode, where + quote(label) +
                              ", expected one character or more, none of them a control character"};
    }
    labels.push_back(label);
  }
  return labels;
}

// What the kind of attention demands of the numbers in its tensors.
Status check_attention(const TensorFile& file, const Architecture& a) {
  for (std::int32_t i = 0; i < a.groups(); ++i) {
    const AttentionSpec& own = a.attention_of(a.block_of(i));
    const auto check = rules_of(own.kind).check_tensors;
    if (check == nullptr) continue;
    QAMA_RETURN_IF_ERROR(check(own, shape_of(a), attention_prefix(i), file));
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
  TensorList list;
  if (a.is_image()) {
    if (a.patch_norms) list.add_norm("patch.norm1", a.patch_dim());
    list.add_weight_bias("patch.linear", {a.dim, a.patch_dim()}, a.dim);
    if (a.patch_norms) list.add_norm("patch.norm2", a.dim);
    if (a.class_tokens > 0) list.add("class_token", {a.class_tokens, a.dim});
  } else {
    if (a.is_text()) {
      list.add_u8("vocabulary");
      if (a.pieces == Pieces::unigram) list.add("vocabulary.scores", {a.vocabulary});
      if (a.pieces != Pieces::words) list.add_u8("normaliser");
      list.add("embed.weight", {a.vocabulary, a.embedding});
      if (a.ngrams > 0) list.add("embed.ngrams", {a.ngram_rows, 1});
    }
    if (a.embedding_norm) list.add_norm("embed.norm", a.embedding);
    if (a.embedding_projection) {
      list.add_weight_bias("embed.proj", {a.dim, a.projected()}, a.dim);
    }
  }
  // The network that features come from has told its tokens where they stand.
  if (!a.is_features()) list.add("position", {a.tokens_before_pool(), a.position_width()});
  for (std::int32_t i = 0; i < a.groups(); ++i) {
    const std::string block = "blocks." + std::to_string(i) + ".";
    add_attention(a, i, list);
    list.add_norm(block + "mlp.norm", a.dim);
    list.add_weight_bias(block + "mlp.fc1", {a.mlp, a.dim}, a.mlp);
    list.add_weight_bias(block + "mlp.fc2", {a.dim, a.mlp}, a.dim);
  }
  if (a.norm == NormPlace::pre) list.add_norm("norm", a.dim);
  std::int64_t pooled = a.pooled_width();
  if (a.head_hidden > 0) {
    list.add_weight_bias("head.hidden", {a.head_hidden, pooled}, a.head_hidden);
    pooled = a.head_hidden;
  }
  list.add_weight_bias("head", {a.classes, pooled}, a.classes);
  return list.take();
}

Result<std::shared_ptr<const ModelFile>> ModelFile::open(const std::string& path,
                                                         const ModelOptions& options) {
  PublicKey key{};
  if (options.trust) {
    QAMA_ASSIGN_OR_RETURN(key, read_public_key(*options.trust));
  }
  QAMA_ASSIGN_OR_RETURN(auto file, TensorFile::open(path, kModelFormat, options.mapped_from));
  if (options.trust) {
    if (!file->sealed()) {
      return in_file(path, Error{ErrorCode::model_not_trusted,
                                 "it is not sealed, so no signature covers its header"});
    }
    QAMA_RETURN_IF_ERROR(check_signature(key, path, file->sha256()));
  }
  auto checked = check(std::move(file));
  if (!checked.ok()) return in_file(path, checked.error());
  return checked;
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
  QAMA_RETURN_IF_ERROR(check_attention(*file, model->architecture_));
  for (const TensorView& tensor : file->tensors()) {
    const bool half = is_half(tensor.dtype);
    if (tensor.dtype == Dtype::i8) {
      // The scales are floats, but no parameters.
      model->parameters_ += static_cast<std::int64_t>(tensor.elements()) - tensor.shape[0];
    }
    if (tensor.dtype != Dtype::f32 && !half) continue;
    model->parameters_ += static_cast<std::int64_t>(tensor.elements());
    if (half) QAMA_RETURN_IF_ERROR(model->widen(tensor));
  }
  model->file_ = std::move(file);
  if (model->architecture_.is_text()) QAMA_RETURN_IF_ERROR(model->read_words());
  return std::shared_ptr<const ModelFile>(model);
}

Status ModelFile::read_words() {
  const auto text_of = [this](std::string_view name) {
    const std::span<const std::byte> bytes = file_->find(name)->bytes;
    return std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  };
  QAMA_ASSIGN_OR_RETURN(vocabulary_,
                        Vocabulary::read(text_of("vocabulary"), architecture_.vocabulary));
  if (architecture_.pieces == Pieces::words) return {};
  constexpr std::array<std::string_view, 2> kAround = {"[CLS]", "[SEP]"};
  for (std::size_t i = 0; i < kAround.size(); ++i) {
    const std::string_view word = vocabulary_.words()[i + 2];
    if (word != kAround[i]) {
      return Error{ErrorCode::model_bad_vocabulary, "vocabulary: piece " + std::to_string(i + 2) +
                                                        " is " + quote(word) + ", expected " +
                                                        quote(kAround[i])};
    }
  }
  QAMA_ASSIGN_OR_RETURN(normaliser_, Normaliser::read(text_of("normaliser")));
  return {};
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
  if (tensor.dtype == Dtype::f16) {
    std::transform(half, half + count, out.data(), [](auto h) { return float_from_f16(h); });
  } else {
    std::transform(half, half + count, out.data(), [](auto h) { return float_from_bf16(h); });
  }
  widened_.emplace(tensor.name, std::move(out));
  return {};
}

}  // namespace qama::weights
