// Model: a model file that was read and checked, as the engine and the program see it. Immutable,
// so that any number of plans, sessions and threads may share one. Weights stay where the file has
// them; re-laying them for a machine is the plan's work (plan.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hal/base/result.h"
#include "weights/architecture.h"
#include "weights/model_file.h"

namespace qama::runtime {

class Model {
 public:
  /// Reads and checks a file. Errors: those of weights::ModelFile::open.
  [[nodiscard]] static Result<std::shared_ptr<const Model>> open(
      const std::string& path, const weights::ModelOptions& options = {});
  /// The same from memory, which must outlive the model.
  [[nodiscard]] static Result<std::shared_ptr<const Model>> from_memory(
      std::span<const std::byte> bytes);
  [[nodiscard]] static std::shared_ptr<const Model> from_file(
      std::shared_ptr<const weights::ModelFile> file);

  [[nodiscard]] const weights::Architecture& architecture() const noexcept {
    return file_->architecture();
  }
  [[nodiscard]] const weights::Preprocess& preprocess() const noexcept {
    return file_->preprocess();
  }
  [[nodiscard]] const weights::ModelFile& file() const noexcept { return *file_; }
  [[nodiscard]] std::int32_t classes() const noexcept { return architecture().classes; }
  /// Empty for an index that is no class.
  [[nodiscard]] std::string_view label(std::int32_t index) const noexcept;
  /// What the model classifies, for sentences: "images", "texts" or "features".
  [[nodiscard]] std::string_view takes() const noexcept;
  /// Floats of one prepared sample: channels x height x width, or tokens x width of features; 0 for
  /// text.
  [[nodiscard]] std::size_t input_floats() const noexcept;
  /// Bytes of one sample's pixels, height x width x channels; 0 for other models.
  [[nodiscard]] std::size_t input_pixels() const noexcept;

 private:
  explicit Model(std::shared_ptr<const weights::ModelFile> file) : file_(std::move(file)) {}
  std::shared_ptr<const weights::ModelFile> file_;
};

}  // namespace qama::runtime
