// ModelFile: a model that was read and checked in full: every tensor that its architecture asks for
// is there with the exact shape and nothing else is. What a model consists of is
// expected_tensors(); the container's own rules are tensor_file.h's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hal/base/aligned.h"
#include "hal/base/result.h"
#include "weights/architecture.h"
#include "weights/normaliser.h"
#include "weights/preprocess.h"
#include "weights/tensor_file.h"
#include "weights/tensor_list.h"
#include "weights/vocabulary.h"

namespace qama::weights {

inline constexpr TensorFormat kModelFormat{"qama", "2", "1"};

/// Every tensor of a model, in the order of the forward pass. Their meaning: FORMAT.md.
/// Precondition: architecture.validate() is ok.
[[nodiscard]] std::vector<TensorSpec> expected_tensors(const Architecture& architecture);

/// How a model is opened.
struct ModelOptions {
  /// Files from this size on are mapped, smaller ones are read (TensorFile::open).
  std::size_t mapped_from = kMappedFrom;
  /// A file with a public key (signature.h): only a sealed model that it signed is opened.
  std::optional<std::string> trust = {};
};

/// An open model. Immutable: may be shared between threads. Spans and views stay valid as long as
/// the shared_ptr (for from_memory: as long as the caller's memory, too).
class ModelFile {
 public:
  /// Reads or maps a file and checks it; see TensorFile::open for what may not happen to a mapped
  /// one meanwhile. Besides the rules of tensor_file.h: with `trust`, MODEL_NOT_TRUSTED and the
  /// errors of read_public_key; MODEL_BAD_METADATA (producer, training, an unknown key),
  /// MODEL_BAD_ARCHITECTURE, MODEL_BAD_PREPROCESS, MODEL_BAD_LABELS, MODEL_MISSING_TENSOR,
  /// MODEL_UNKNOWN_TENSOR, MODEL_BAD_DTYPE, MODEL_BAD_SHAPE, MODEL_BAD_VOCABULARY.
  [[nodiscard]] static Result<std::shared_ptr<const ModelFile>> open(
      const std::string& path, const ModelOptions& options = {});
  /// The same for bytes that outlive the model; copied only if `data` is not 64-byte aligned.
  [[nodiscard]] static Result<std::shared_ptr<const ModelFile>> from_memory(
      std::span<const std::byte> data);

  [[nodiscard]] const Architecture& architecture() const noexcept { return architecture_; }
  [[nodiscard]] const Preprocess& preprocess() const noexcept { return preprocess_; }
  /// One name a class.
  [[nodiscard]] const std::vector<std::string>& labels() const noexcept { return labels_; }
  /// Text models: the words, index = token id (0 "<pad>", 1 "<unk>"). Empty otherwise.
  [[nodiscard]] const Vocabulary& vocabulary() const noexcept { return vocabulary_; }

  /// Text models of pieces: what becomes of characters. Empty otherwise.
  [[nodiscard]] const Normaliser& normaliser() const noexcept { return normaliser_; }

  /// All tensors in file order, padding included.
  [[nodiscard]] std::span<const TensorView> tensors() const noexcept { return file_->tensors(); }
  /// MODEL_MISSING_TENSOR where the architecture has no such tensor.
  [[nodiscard]] Result<const TensorView*> tensor(std::string_view name) const {
    return file_->tensor(name);
  }
  /// The elements of a float tensor, row-major, 64-byte aligned; what is stored in half precision
  /// was widened when the file was opened. MODEL_MISSING_TENSOR, MODEL_BAD_DTYPE.
  [[nodiscard]] Result<std::span<const float>> f32(std::string_view name) const;

  /// Float elements of all tensors.
  [[nodiscard]] std::int64_t parameters() const noexcept { return parameters_; }
  /// See TensorFile::sha256 and TensorFile::sealed.
  [[nodiscard]] const std::string& sha256() const noexcept { return file_->sha256(); }
  [[nodiscard]] bool sealed() const noexcept { return file_->sealed(); }
  [[nodiscard]] std::size_t file_bytes() const noexcept { return file_->file_bytes(); }
  /// Who wrote the file.
  [[nodiscard]] const std::string& producer() const noexcept { return producer_; }
  /// How it was trained, a JSON object; empty if the file does not say.
  [[nodiscard]] const std::string& training() const noexcept { return training_; }
  /// See TensorFile::unchanged.
  [[nodiscard]] Status unchanged() const { return file_->unchanged(); }
  /// See TensorFile::release_pages.
  void release_pages() const noexcept { file_->release_pages(); }

 private:
  ModelFile() = default;
  static Result<std::shared_ptr<const ModelFile>> check(std::shared_ptr<const TensorFile> file);
  Status read_words();
  Status widen(const TensorView& tensor);

  std::shared_ptr<const TensorFile> file_;
  std::map<std::string, AlignedBuffer<float>, std::less<>>
      widened_;  // F16 and BF16 tensors by name
  Architecture architecture_;
  Preprocess preprocess_;
  std::vector<std::string> labels_;
  Vocabulary vocabulary_;
  Normaliser normaliser_;
  std::string producer_;
  std::string training_;
  std::int64_t parameters_ = 0;
};

}  // namespace qama::weights
