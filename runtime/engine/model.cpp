#include "runtime/engine/model.h"

namespace qama::runtime {

Result<std::shared_ptr<const Model>> Model::open(const std::string& path,
                                                 const weights::ModelOptions& options) {
  QAMA_ASSIGN_OR_RETURN(auto file, weights::ModelFile::open(path, options));
  return from_file(std::move(file));
}

Result<std::shared_ptr<const Model>> Model::from_memory(std::span<const std::byte> bytes) {
  QAMA_ASSIGN_OR_RETURN(auto file, weights::ModelFile::from_memory(bytes));
  return from_file(std::move(file));
}

std::shared_ptr<const Model> Model::from_file(std::shared_ptr<const weights::ModelFile> file) {
  return std::shared_ptr<const Model>(new Model(std::move(file)));
}

std::string_view Model::label(std::int32_t index) const noexcept {
  const auto& labels = file_->labels();
  if (index < 0 || static_cast<std::size_t>(index) >= labels.size()) return {};
  return labels[static_cast<std::size_t>(index)];
}

std::string_view Model::takes() const noexcept {
  const weights::Architecture& a = architecture();
  if (a.is_image()) return "images";
  return a.is_text() ? "texts" : "features";
}

std::size_t Model::input_floats() const noexcept {
  const weights::Architecture& a = architecture();
  if (!a.is_features()) return input_pixels();
  return static_cast<std::size_t>(a.max_tokens) * static_cast<std::size_t>(a.embedding);
}

std::size_t Model::input_pixels() const noexcept {
  const weights::Architecture& a = architecture();
  return static_cast<std::size_t>(a.image_height) * static_cast<std::size_t>(a.image_width) *
         static_cast<std::size_t>(a.image_channels);
}

}  // namespace qama::runtime
