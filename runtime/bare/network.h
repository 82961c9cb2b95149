// Network: a model in flash, ready to classify, for programs without an operating system. It runs
// the same steps as a Session, with one worker, one sample at a time and the CPU's annealer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "hal/base/aligned.h"
#include "hal/base/result.h"
#include "hal/solver.h"
#include "runtime/engine/hooks.h"
#include "runtime/engine/info.h"
#include "runtime/engine/pipeline.h"
#include "runtime/engine/step.h"

namespace qama::bare {

/// One at a time. create() takes all memory; the others take none unless they fail.
class Network {
 public:
  /// `flash_form` (weights/flash.h) must outlive the network. MODEL_WRONG_KIND,
  /// MODEL_UNSUPPORTED_VERSION, MODEL_TRUNCATED, MODEL_CHECKSUM_MISMATCH; UNSUPPORTED for a kind of
  /// attention that this program leaves out, and for heads so long that they are solved on factors.
  [[nodiscard]] static Result<std::unique_ptr<Network>> create(
      std::span<const std::byte> flash_form);

  [[nodiscard]] std::span<const std::string> labels() const noexcept { return labels_; }
  /// Bytes of an image, height x width x channels; 0 for a model of features.
  [[nodiscard]] std::size_t input_pixels() const noexcept { return input_pixels_; }
  [[nodiscard]] std::size_t arena_bytes() const noexcept { return arena_.size(); }

  /// Numbers of a sample: of an image [channels][height][width], of features [tokens][numbers].
  [[nodiscard]] std::size_t input_floats() const noexcept { return input_floats_; }

  /// `pixels`: input_pixels() bytes, rows from the top. `logits`: one a label. `index` of the
  /// sample and the model's seed decide the annealer's random numbers, as in Session.
  /// MODEL_WRONG_KIND for a model of features; INVALID_ARGUMENT for other sizes; PROBLEM_BAD_VALUE
  /// where a logit is no finite number.
  Status classify(std::span<const std::uint8_t> pixels, std::uint64_t index,
                  std::span<float> logits);
  /// The same of features, or of an image's normalised values: input_floats() of them.
  Status classify(std::span<const float> input, std::uint64_t index, std::span<float> logits);
  /// One a QAMA layer, of the last sample.
  [[nodiscard]] std::span<const runtime::LayerSolve> solves() const noexcept { return solves_; }

 private:
  Network() = default;
  Status set_up(std::span<const std::byte> flash_form);
  Status run(std::uint64_t index, std::span<float> logits);

  runtime::Pipeline pipeline_;
  runtime::SolveSettings settings_;
  runtime::Lane lane_;
  runtime::SampleRun run_;
  runtime::Hooks hooks_;
  std::unique_ptr<platform::ThreadPool> pool_;
  std::unique_ptr<hal::Solver> solver_;
  std::vector<runtime::LayerSolve> solves_;
  std::vector<std::string> labels_;
  AlignedBuffer<std::byte> arena_;
  std::size_t input_pixels_ = 0;
  std::size_t input_floats_ = 0;
  std::int64_t tokens_ = 0;
};

}  // namespace qama::bare
