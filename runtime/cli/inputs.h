// One input of a model, from whatever a user names: an image file, FILE:INDEX of an IDX file, a
// text file, a text, standard input. Shared by every command that takes an INPUT.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "hal/base/result.h"
#include "runtime/engine/model.h"
#include "runtime/engine/preprocess.h"
#include "runtime/engine/session.h"

namespace qama::cli {

/// A sample as the session takes it: pixels of an image model, or tokens of a text model.
struct Input {
  std::uint64_t index =
      0;  ///< of the sample: INDEX of an IDX file, else 0; decides the solver's numbers
  std::vector<std::uint8_t> pixels;
  std::vector<std::int32_t> tokens;
  std::int32_t length = 0;
};

/// Makes inputs for one model. One thread at a time.
class InputReader {
 public:
  [[nodiscard]] static Result<InputReader> create(std::shared_ptr<const runtime::Model> model,
                                                  std::string model_path);

  /// A file, FILE:INDEX, or "-". NOT_FOUND, IO_ERROR, IMAGE_*, DATASET_*, INDEX_OUT_OF_RANGE,
  /// TEXT_BAD_ENCODING, MODEL_WRONG_KIND.
  [[nodiscard]] Result<Input> read(const std::string& name) const;
  /// A text itself. TEXT_BAD_ENCODING, MODEL_WRONG_KIND.
  [[nodiscard]] Result<Input> text(std::string_view words, const std::string& name) const;

 private:
  InputReader(std::shared_ptr<const runtime::Model> model, std::string model_path)
      : model_(std::move(model)), model_path_(std::move(model_path)) {}
  std::shared_ptr<const runtime::Model> model_;
  std::string model_path_;
  std::optional<runtime::Tokeniser> tokeniser_;
};

/// Runs one input, batch position 0.
Status run_input(runtime::Session& session, const Input& input, std::span<float> logits,
                 const runtime::Hooks& hooks = {});

}  // namespace qama::cli
