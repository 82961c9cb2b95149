#include "weights/golden_file.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "hal/base/quote.h"

namespace qama::weights {
namespace {

using Shape = std::vector<std::int64_t>;

std::string where(std::string_view name) {
  return "tensor " + quote(name);
}

// Values of an I32 tensor from low to high.
Status check_range(const TensorView& tensor, std::int32_t low, std::int32_t high) {
  QAMA_ASSIGN_OR_RETURN(const auto values, tensor.i32());
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (values[i] < low || values[i] > high) {
      return Error{ErrorCode::model_bad_value,
                   where(tensor.name) + ": element " + std::to_string(i) + " is " +
                       std::to_string(values[i]) + ", expected " + std::to_string(low) + " to " +
                       std::to_string(high)};
    }
  }
  return {};
}

Status check_spins(const TensorView& tensor) {
  QAMA_ASSIGN_OR_RETURN(const auto values, tensor.u8());
  const auto found =
      std::find_if(values.begin(), values.end(), [](std::uint8_t v) { return v > 1; });
  if (found == values.end()) return {};
  return Error{ErrorCode::model_bad_value, where(tensor.name) + ": element " +
                                               std::to_string(found - values.begin()) + " is " +
                                               std::to_string(*found) + ", expected 0 or 1"};
}

// The tensors that a golden file may have, each checked as it is asked for.
class Checker {
 public:
  explicit Checker(const GoldenFile& file) : file_(file) {}

  /// The tensor if it is there and as expected; an absent one is an error only if `required`.
  const TensorView* take(const std::string& name, Dtype dtype, const Shape& shape,
                         bool required = false) {
    if (!status_.ok()) return nullptr;
    const TensorView* tensor = file_.find(name);
    if (tensor == nullptr) {
      if (required) status_ = Error{ErrorCode::model_missing_tensor, where(name) + ": missing"};
      return nullptr;
    }
    known_.push_back(tensor);
    if (tensor->dtype != dtype) {
      status_ = Error{ErrorCode::model_bad_dtype,
                      where(name) + ": dtype " + std::string(dtype_name(tensor->dtype)) +
                          ", expected " + std::string(dtype_name(dtype))};
      return nullptr;
    }
    if (tensor->shape != shape) {
      status_ =
          Error{ErrorCode::model_bad_shape, where(name) + ": shape " + shape_text(tensor->shape) +
                                                ", expected " + shape_text(shape)};
      return nullptr;
    }
    return tensor;
  }
  void merge(Status status) {
    if (status_.ok()) status_ = std::move(status);
  }
  [[nodiscard]] Status finish() {
    for (const TensorView& tensor : file_.tensors()) {
      if (!status_.ok()) break;
      if (tensor.is_padding() || std::find(known_.begin(), known_.end(), &tensor) != known_.end()) {
        continue;
      }
      status_ = Error{ErrorCode::model_unknown_tensor,
                      where(tensor.name) + ": unknown to a golden file of this model"};
    }
    return std::move(status_);
  }

 private:
  const GoldenFile& file_;
  Status status_;
  std::vector<const TensorView*> known_;
};

}  // namespace

Result<std::shared_ptr<const GoldenFile>> GoldenFile::open(const std::string& path) {
  QAMA_ASSIGN_OR_RETURN(auto file, TensorFile::open(path, kGoldenFormat));
  auto checked = check(std::move(file));
  if (!checked.ok()) return in_file(path, checked.error());
  return checked;
}

Result<std::shared_ptr<const GoldenFile>> GoldenFile::from_memory(std::span<const std::byte> data) {
  QAMA_ASSIGN_OR_RETURN(auto file, TensorFile::from_memory(data, kGoldenFormat));
  return check(std::move(file));
}

Result<std::shared_ptr<const GoldenFile>> GoldenFile::check(
    std::shared_ptr<const TensorFile> file) {
  const std::string* model = file->metadata("model_sha256");
  if (model == nullptr) {
    return Error{ErrorCode::model_bad_metadata, "__metadata__: key 'model_sha256' missing"};
  }
  QAMA_ASSIGN_OR_RETURN(const TensorView* logits, file->tensor("logits"));
  if (logits->shape.size() != 2) {
    return Error{
        ErrorCode::model_bad_shape,
        where("logits") + ": shape " + shape_text(logits->shape) + ", expected [batch,classes]"};
  }
  const std::shared_ptr<GoldenFile> golden(new GoldenFile());
  golden->model_sha256_ = *model;
  golden->batch_ = logits->shape.front();
  golden->file_ = std::move(file);
  return std::shared_ptr<const GoldenFile>(golden);
}

Status GoldenFile::matches(const Architecture& a, std::string_view model_sha256) const {
  if (model_sha256 != model_sha256_) {
    return Error{ErrorCode::golden_wrong_model, "golden file: of the model with SHA-256 " +
                                                    quote(model_sha256_) + ", expected " +
                                                    quote(model_sha256)};
  }
  Checker checker(*this);
  const std::int64_t b = batch_;
  const Shape token_shape = {b, a.tokens(), a.dim};
  checker.take("logits", Dtype::f32, {b, a.classes}, true);
  if (a.is_image()) {
    checker.take("input", Dtype::f32, {b, a.image_channels, a.image_height, a.image_width}, true);
  } else if (a.is_features()) {
    checker.take("input", Dtype::f32, {b, a.max_tokens, a.embedding}, true);
  } else {
    if (const auto* tokens = checker.take("tokens", Dtype::i32, {b, a.max_tokens}, true)) {
      checker.merge(check_range(*tokens, 0, a.vocabulary - 1));
    }
    if (const auto* lengths = checker.take("lengths", Dtype::i32, {b}, true)) {
      checker.merge(check_range(*lengths, 1, a.max_tokens));
    }
  }
  if (const auto* labels = checker.take("labels", Dtype::i32, {b})) {
    checker.merge(check_range(*labels, 0, a.classes - 1));
  }
  checker.take("embed", Dtype::f32, token_shape);
  for (std::int32_t i = 0; i < a.depth; ++i) {
    const std::string block = "block." + std::to_string(i) + ".";
    checker.take(block + "attn_norm", Dtype::f32, token_shape);
    if (a.is_qama(i)) {
      const Shape spin_shape = {b, a.heads, a.spins_per_head()};
      if (const auto* spins = checker.take(block + "spins", Dtype::u8, spin_shape)) {
        checker.merge(check_spins(*spins));
      }
      checker.take(block + "energies", Dtype::f32, {b, a.heads, a.tokens()});
    }
    checker.take(block + "attn_out", Dtype::f32, token_shape);
    checker.take(block + "out", Dtype::f32, token_shape);
  }
  checker.take("norm", Dtype::f32, token_shape);
  checker.take("pooled", Dtype::f32, {b, a.pooled_width()});
  return checker.finish();
}

}  // namespace qama::weights
