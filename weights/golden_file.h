// GoldenFile: named intermediates of one batch, as PyTorch computed them for a given model; `qama
// verify` and the tests compare a session with them. Container rules are tensor_file.h's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "hal/base/result.h"
#include "weights/architecture.h"
#include "weights/tensor_file.h"

namespace qama::weights {

inline constexpr TensorFormat kGoldenFormat{"qama-golden", "2", "1"};

/// An open golden file. Immutable: may be shared between threads. Tensors (B samples, N tokens):
///   input F32 [B,C,H,W] or (features) [B,N,width], or tokens I32 [B,max_tokens] and lengths I32
///   [B]; labels I32 [B];
///   embed, block.i.attn_norm, block.i.attn_out, block.i.out, norm F32 [B,N,dim];
///   block.i.spins U8 [B,H,N] and block.i.energies F32 [B,H,N] (qama); pooled F32 [B,dim];
///   logits F32 [B,classes].
/// All but the input and the logits may be missing.
class GoldenFile {
 public:
  /// Errors: the rules of tensor_file.h; MODEL_BAD_METADATA (model_sha256).
  [[nodiscard]] static Result<std::shared_ptr<const GoldenFile>> open(const std::string& path);
  [[nodiscard]] static Result<std::shared_ptr<const GoldenFile>> from_memory(
      std::span<const std::byte> data);

  /// Checks every tensor that is there against the architecture's shapes, that nothing is unknown,
  /// that token ids, lengths and labels are in range and spins are 0 or 1, and that the file was
  /// made for the model of this checksum (ModelFile::sha256). GOLDEN_WRONG_MODEL (another model),
  /// MODEL_MISSING_TENSOR, MODEL_UNKNOWN_TENSOR, MODEL_BAD_DTYPE, MODEL_BAD_SHAPE, MODEL_BAD_VALUE.
  [[nodiscard]] Status matches(const Architecture& architecture,
                               std::string_view model_sha256) const;

  /// Samples: the first size of `logits`.
  [[nodiscard]] std::int64_t batch() const noexcept { return batch_; }
  /// Checksum of the model that the intermediates are of.
  [[nodiscard]] const std::string& model_sha256() const noexcept { return model_sha256_; }
  /// Null if the file does not have it.
  [[nodiscard]] const TensorView* find(std::string_view name) const noexcept {
    return file_->find(name);
  }
  /// MODEL_MISSING_TENSOR.
  [[nodiscard]] Result<const TensorView*> tensor(std::string_view name) const {
    return file_->tensor(name);
  }
  /// All tensors in file order, padding included.
  [[nodiscard]] std::span<const TensorView> tensors() const noexcept { return file_->tensors(); }
  [[nodiscard]] const TensorFile& file() const noexcept { return *file_; }

 private:
  GoldenFile() = default;
  static Result<std::shared_ptr<const GoldenFile>> check(std::shared_ptr<const TensorFile> file);

  std::shared_ptr<const TensorFile> file_;
  std::string model_sha256_;
  std::int64_t batch_ = 0;
};

}  // namespace qama::weights
