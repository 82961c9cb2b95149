// Plan: everything that is decided before the first sample. It holds the steps in their order,
// their kernels and oneDNN primitives, the weights in the layout of those kernels, and the place of
// every intermediate in the arena. The folders steps/ and attention/ make the steps.
//
// One sample is the unit of work. A worker thread takes it through all steps in a lane of the arena
// that is its own. So the answer depends on the sample, its index and the seed. It does not depend
// on the batch or on the number of threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "hal/base/result.h"
#include "runtime/engine/info.h"
#include "runtime/engine/model.h"

namespace qama::runtime {

struct Pipeline;  // pipeline.h

/// What a plan must be able to do.
struct PlanOptions {
  std::int32_t max_batch = 1;  ///< samples a run takes at most
  std::int32_t threads = 1;    ///< workers, each with its lanes of the arena; 1 .. kMaxThreads
  /// Samples that a worker works on at a time, each in its own lane: while a device on the network
  /// solves one, the worker goes on with the others. 1 .. kMaxInFlight
  std::int32_t in_flight = 1;
  /// True: QAMA layers with many tokens (hal::first_factors_tokens) stay factors, for devices that
  /// take them (hal::forms_of). False: every layer becomes integers, which every device takes.
  bool factors = true;
  /// Threads that work on a sample together, of every worker; threads * sample_threads is at most
  /// kMaxThreads. They share out the rows of large linear layers and norms, and the queries of
  /// softmax attention; from 100 tokens on that is worth it.
  std::int32_t sample_threads = 1;
};
inline constexpr std::int32_t kMaxThreads = 256;
inline constexpr std::int32_t kMaxInFlight = 64;
inline constexpr std::int32_t kMaxBatch = 1 << 16;

/// Immutable; may be shared by any number of sessions. Keeps its model alive.
class Plan {
 public:
  ~Plan();
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;

  /// INVALID_ARGUMENT, SIZE_OVERFLOW, UNSUPPORTED (oneDNN offers no kernel), OUT_OF_MEMORY.
  [[nodiscard]] static Result<std::shared_ptr<const Plan>> create(
      std::shared_ptr<const Model> model, const PlanOptions& options);

  [[nodiscard]] const Model& model() const noexcept { return *model_; }
  [[nodiscard]] const std::shared_ptr<const Model>& shared_model() const noexcept { return model_; }
  [[nodiscard]] const PlanOptions& options() const noexcept { return options_; }
  [[nodiscard]] std::span<const StepInfo> steps() const noexcept;
  [[nodiscard]] std::span<const ArenaRegion> regions() const noexcept;
  /// Bytes of one lane; there are threads x in_flight.
  [[nodiscard]] std::size_t lane_bytes() const noexcept;
  /// Exactly what a session needs: one byte less is refused. Weights and the devices' own scratch
  /// are not part of it.
  [[nodiscard]] std::size_t arena_bytes() const noexcept { return arena_bytes_; }
  /// Bytes of weights in the layout of this machine.
  [[nodiscard]] std::size_t weight_bytes() const noexcept;
  /// The blocks with QAMA layers, rising.
  [[nodiscard]] std::span<const std::int32_t> qama_blocks() const noexcept;
  /// QAMA layers, i.e. solves a sample; 0 for softmax.
  [[nodiscard]] std::int32_t qama_layers() const noexcept {
    return static_cast<std::int32_t>(qama_blocks().size());
  }
  /// Whether some samples' layers will be solved on factors, which only the local annealer does.
  [[nodiscard]] bool uses_factors() const noexcept;

  /// For sessions.
  [[nodiscard]] const Pipeline& pipeline() const noexcept { return *pipeline_; }

 private:
  Plan(std::shared_ptr<const Model> model, const PlanOptions& options);

  std::shared_ptr<const Model> model_;
  PlanOptions options_;
  std::unique_ptr<Pipeline> pipeline_;
  std::size_t arena_bytes_ = 0;
};

}  // namespace qama::runtime
