// Plan: everything that is decided before the first sample: the steps in their order, the kernels
// and oneDNN primitives that do them, weights in the layout those want, and where in the arena
// every intermediate lies. To add an operator: a step in plan.cpp's builder; nothing else in the
// engine lists operators.
//
// The unit of work is one sample: a worker thread takes a sample through all steps in a lane of the
// arena that is its own. So the answer of a sample depends on that sample, its index and the seed,
// never on the batch it came in or on the number of threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hal/base/result.h"
#include "hal/form.h"
#include "runtime/engine/model.h"

namespace qama::runtime {

/// What a plan must be able to do.
struct PlanOptions {
  std::int32_t max_batch = 1;  ///< samples a run takes at most
  std::int32_t threads = 1;    ///< workers, each with its lanes of the arena; 1 .. kMaxThreads
  /// Samples that a worker has on their way at the same time, each in a lane of its own: while a
  /// device that lies elsewhere solves one, the worker goes on with the others. 1 .. kMaxInFlight
  std::int32_t in_flight = 1;
  /// QAMA layers of samples with many tokens (hal::first_factors_tokens) as factors, J never built,
  /// for devices that take them (hal::forms_of). False: every layer as integers, for any device.
  bool factors = true;
};
inline constexpr std::int32_t kMaxThreads = 256;
inline constexpr std::int32_t kMaxInFlight = 64;
inline constexpr std::int32_t kMaxBatch = 1 << 16;

/// One step as a person reads it.
struct StepInfo {
  std::string name;  ///< "block.0.attn.qkv"; unique in a plan
  std::string op;    ///< "linear", "layer_norm", "qama.solve", ...
  std::string
      implementation;       ///< the kernel or oneDNN primitive: "brgemm:avx512_core", "lanes:avx2"
  std::int32_t block = -1;  ///< which block it belongs to; -1: none
  std::int64_t macs = 0;    ///< multiply-adds a full-length sample, 0 where that means nothing
};

/// Whether an implementation's name is that of a plain reference (oneDNN's "ref...", our "scalar"),
/// which is right and slow: a step that got it has no kernel for this machine.
[[nodiscard]] bool is_reference(std::string_view implementation) noexcept;

/// A named piece of a lane. Pieces that are never alive together share bytes.
struct ArenaRegion {
  std::string name;
  std::size_t offset = 0;  ///< from the lane's start, a multiple of 64
  std::size_t bytes = 0;
};

/// Immutable; may be shared by any number of sessions. Keeps its model alive.
class Plan {
 public:
  ~Plan();
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;

  /// INVALID_ARGUMENT, SIZE_OVERFLOW, UNSUPPORTED (oneDNN offers no kernel), OUT_OF_MEMORY.
  [[nodiscard]] static Result<std::shared_ptr<const Plan>> create(
      std::shared_ptr<const Model> model, const PlanOptions& options);

  [[nodiscard]] const Model& model() const noexcept;
  [[nodiscard]] const std::shared_ptr<const Model>& shared_model() const noexcept;
  [[nodiscard]] const PlanOptions& options() const noexcept;
  [[nodiscard]] std::span<const StepInfo> steps() const noexcept;
  [[nodiscard]] std::span<const ArenaRegion> regions() const noexcept;
  /// Bytes of one lane; there are threads x in_flight.
  [[nodiscard]] std::size_t lane_bytes() const noexcept;
  /// Exactly what a session needs: one byte less is refused. Weights and the devices' own scratch
  /// are not part of it.
  [[nodiscard]] std::size_t arena_bytes() const noexcept;
  /// Bytes of weights in the layout of this machine.
  [[nodiscard]] std::size_t weight_bytes() const noexcept;
  /// QAMA layers, i.e. solves a sample; 0 for softmax.
  [[nodiscard]] std::int32_t qama_layers() const noexcept;
  /// Whether some samples' layers will be solved on factors, which only the local annealer does.
  [[nodiscard]] bool uses_factors() const noexcept;

  struct Impl;
  [[nodiscard]] const Impl& impl() const noexcept { return *impl_; }

 private:
  explicit Plan(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace qama::runtime
