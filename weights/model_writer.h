// Writes files of the strict profile that tensor_file.h reads: aligned, padded, sealed. For
// tests, tools and the demo model; trained models come from weights/export (Python), which keeps
// the same rules.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hal/base/result.h"
#include "weights/architecture.h"
#include "weights/preprocess.h"
#include "weights/tensor_file.h"

namespace qama::weights {

class ModelFile;

/// Collects tensors and metadata, then lays them out. One thread at a time.
class TensorFileWriter {
 public:
  explicit TensorFileWriter(TensorFormat format);

  /// Sets a `__metadata__` value; the last one of a key counts.
  void set_metadata(std::string key, std::string value);
  /// Appends a tensor; its bytes are copied. INVALID_ARGUMENT: name taken or reserved, bytes are
  /// not the shape's, rank or sizes out of bounds.
  Status add(std::string name, Dtype dtype, std::vector<std::int64_t> shape,
             std::span<const std::byte> bytes);
  Status add_f32(std::string name, std::vector<std::int64_t> shape, std::span<const float> values);
  Status add_i32(std::string name, std::vector<std::int64_t> shape,
                 std::span<const std::int32_t> values);
  Status add_u8(std::string name, std::vector<std::int64_t> shape,
                std::span<const std::uint8_t> values);

  /// The file's bytes. INVALID_ARGUMENT if the header would break the profile's bounds.
  [[nodiscard]] Result<std::vector<std::byte>> serialise() const;
  /// Writes the file as hal/platform/output_file.h does. Its errors, too.
  Status write(const std::string& path) const;

 private:
  struct Tensor {
    std::string name;
    Dtype dtype;
    std::vector<std::int64_t> shape;
    std::vector<std::byte> bytes;
  };
  std::vector<MetadataEntry> metadata_;
  std::vector<Tensor> tensors_;
};

/// A writer whose metadata is that of a model; the caller adds the tensors (expected_tensors()).
/// MODEL_BAD_ARCHITECTURE, MODEL_BAD_PREPROCESS.
[[nodiscard]] Result<TensorFileWriter> model_writer(const Architecture& architecture,
                                                    const Preprocess& preprocess,
                                                    const std::vector<std::string>& labels,
                                                    std::string producer,
                                                    std::string training = {});

/// A writer with all of a model but another record: for a change of the schedule. The tensors keep
/// their bytes. MODEL_BAD_ARCHITECTURE.
[[nodiscard]] Result<TensorFileWriter> model_copy(const ModelFile& model,
                                                  const Architecture& architecture);

/// A writer with all of a model, its matrices in int8 (int8.h).
[[nodiscard]] Result<TensorFileWriter> int8_copy(const ModelFile& model);

/// A writer with all of a model, its matrices in `half`, F16 or BF16, in which linear layers then
/// compute (Architecture::half_products).
[[nodiscard]] Result<TensorFileWriter> half_copy(const ModelFile& model, Dtype half);

/// A writer that has every tensor of `architecture`, filled with small pseudo-random weights
/// (layer-norm and scale vectors near 1), a vocabulary for text, labels "0", "1", ...: an untrained
/// but complete model for tests and benches. Same seed, same bytes, on every platform.
[[nodiscard]] Result<TensorFileWriter> random_model(const Architecture& architecture,
                                                    std::uint64_t seed);

}  // namespace qama::weights
