// Step: one thing that is done to every sample, in the order of the plan. Steps are made by
// plan.cpp's builder, are immutable and hold the operator with its weights; what changes while a
// sample runs is in the worker's Lane and in SampleRun. Internal to the engine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "hal/device.h"
#include "ops/linear.h"
#include "runtime/engine/hooks.h"
#include "runtime/engine/plan.h"
#include "runtime/engine/session.h"

namespace qama::runtime {

/// One sample's memory on its way through the steps, and what is tied to it. A worker has in_flight
/// of them.
struct Lane {
  std::vector<std::byte*> regions;                    ///< one an arena region
  std::vector<std::vector<ops::LinearCall>> linears;  ///< [linear layer][number of rows]
  hal::Solver* solver = nullptr;                      ///< the worker's; null without QAMA layers
  hal::Solver* factors_solver = nullptr;  ///< the worker's; null unless the plan has long heads
  std::int32_t slot = 0;                  ///< of the solver, this lane's own

  template <typename T>
  [[nodiscard]] T* at(std::size_t region) const noexcept {
    return reinterpret_cast<T*>(regions[region]);
  }
};

/// What a session's solves have in common.
struct SolveSettings {
  std::vector<hal::Schedule> layers;  ///< one a QAMA layer
  std::uint64_t seed = 0;
};

/// One sample on its way. The session fills it, the steps read it.
struct SampleRun {
  Lane* lane = nullptr;
  const SolveSettings* settings = nullptr;
  const Hooks* hooks = nullptr;
  LayerSolve* solves = nullptr;          ///< [qama layers]
  const std::uint8_t* pixels = nullptr;  ///< exactly one of these three is set
  const float* image = nullptr;
  const std::int32_t* tokens = nullptr;
  float* logits = nullptr;  ///< [classes]
  std::int32_t sample = 0;
  std::uint64_t index = 0;
  std::int64_t deadline_ns = 0;  ///< of the steady clock; 0: none
  std::int64_t count = 0;        ///< tokens of this sample, after pooling
  std::size_t variant = 0;       ///< which number of rows the linear layers run
  std::int64_t rows = 0;         ///< that number, >= count
  bool waiting = false;          ///< a step was started whose finish() is due
  bool on_factors = false;       ///< which of the next two is the layer at hand
  hal::DenseView problem;
  hal::FactorsView factors_problem;
};

/// Nanoseconds of the steady clock.
[[nodiscard]] std::int64_t now_ns() noexcept;

/// An intermediate that a recorder gets after the step.
struct Tap {
  std::string name;
  std::size_t region = 0;
  std::int64_t dim = 0;
  bool per_token = true;  ///< [N][dim], else [dim]
};

class Step {
 public:
  explicit Step(StepInfo step_info) : info(std::move(step_info)) {}
  virtual ~Step() = default;
  Step(const Step&) = delete;
  Step& operator=(const Step&) = delete;

  /// Allocates nothing unless it fails. A step that asks somebody else and would wait for the
  /// answer may set `run.waiting` and return: finish() then ends it, and the worker has time for
  /// other samples between.
  virtual Status run(SampleRun& run) const = 0;
  /// What is left of a step that set `run.waiting`.
  virtual Status finish(SampleRun& /*run*/) const { return {}; }

  StepInfo info;
  std::vector<Tap> taps;
};

/// A step that runs a Linear: the session binds it to each lane's memory.
class LinearStep final : public Step {
 public:
  LinearStep(StepInfo step_info, std::unique_ptr<ops::Linear> op, std::size_t slot,
             std::size_t from, std::size_t to, std::size_t scratch)
      : Step(std::move(step_info)),
        op_(std::move(op)),
        slot_(slot),
        from_(from),
        to_(to),
        scratch_(scratch) {}

  Status run(SampleRun& run) const override;
  /// Makes the lane's calls, one a number of rows.
  Status bind(Lane& lane) const;
  [[nodiscard]] const ops::Linear& op() const noexcept { return *op_; }

 private:
  std::unique_ptr<ops::Linear> op_;
  std::size_t slot_, from_, to_, scratch_;
};

/// What plan.cpp knows and session.cpp runs.
struct Plan::Impl {
  std::shared_ptr<const Model> model;
  PlanOptions options;
  std::unique_ptr<ops::LinearFactory> factory;  // oneDNN's engine outlives what it made
  std::vector<std::unique_ptr<Step>> steps;
  std::vector<const LinearStep*> linear_steps;  // by slot
  std::vector<StepInfo> infos;
  std::vector<ArenaRegion> regions;  // those that have a place
  std::vector<std::size_t> offsets;  // of every region, from the lane's start
  std::vector<std::int64_t> rows;    // numbers of rows of the token-wise layers, rising
  std::size_t lane_bytes = 0;
  std::size_t arena_bytes = 0;
  std::size_t weight_bytes = 0;
  std::int32_t qama_layers = 0;
  hal::ProblemShape dense_shape;    // of the largest problem with J built
  hal::ProblemShape factors_shape;  // of the largest one on factors; 0 tokens: there is none
  std::int32_t factors_rank = 0;
};

}  // namespace qama::runtime
