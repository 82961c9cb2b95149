// The search behind `qama tune`: the cheapest schedule of the annealer that solves recorded layers
// well enough. Cost is counted in sweeps, never in time, so that a busy machine chooses what a
// quiet one does; what a candidate may be is candidates() in tuning.cpp.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "hal/base/aligned.h"
#include "hal/base/result.h"
#include "hal/device.h"
#include "hal/problem.h"
#include "runtime/engine/hooks.h"

namespace qama::cli {

/// A recorded layer with its memory.
struct RecordedLayer {
  hal::DenseView problem;  ///< views the next two
  AlignedBuffer<std::int16_t> couplings, fields;
  std::int64_t best = 0;  ///< lowest energy that long runs found
};

/// Keeps up to `most` layers of each block that go by.
class LayerCollector final : public runtime::ProblemSink {
 public:
  LayerCollector(std::int32_t blocks, std::int64_t most)
      : layers(static_cast<std::size_t>(blocks)), most_(static_cast<std::size_t>(most)) {}
  void problem(const runtime::LayerProblem& layer) override;

  std::vector<std::vector<std::unique_ptr<RecordedLayer>>> layers;  ///< [block]

 private:
  std::size_t most_;
};

struct TuneOptions {
  double gap = 0.001;     ///< of the best known energy: a solve that ends within it has succeeded
  double share = 0.99;    ///< of solves that must succeed
  std::int32_t runs = 4;  ///< solves a layer, with seeds of their own
  std::uint64_t seed = 1;
};

/// A schedule, and how it does.
struct Tuned {
  hal::Schedule schedule;
  double cost = 0;            ///< cost_of(options)
  double share = 0;           ///< of the solves of the layers that were tuned on
  double held_out_share = 0;  ///< of the solves of every fourth layer, which were not
  bool reached = false;       ///< share >= TuneOptions::share
};

/// Sweeps over a layer that a solve takes, one chain by itself counted as one: four chains in
/// lock-step take 2.9 times as long as one, descent as long as a sweep, and a round's chains anneal
/// half of the heads. Rounded measurements; what counts is that they never change.
[[nodiscard]] double cost_of(const hal::Schedule& schedule) noexcept;

/// Long runs: sets `best` of every layer. The device's errors.
[[nodiscard]] Status find_best(hal::Device& device,
                               std::vector<std::unique_ptr<RecordedLayer>>& layers,
                               std::uint64_t seed);

/// How a schedule does.
[[nodiscard]] Result<Tuned> try_schedule(hal::Device& device,
                                         const std::vector<std::unique_ptr<RecordedLayer>>& layers,
                                         const hal::Schedule& schedule, const TuneOptions& options);

/// The cheapest candidate that reaches the share; if none does, the one with the highest.
/// INVALID_ARGUMENT if there are no layers.
[[nodiscard]] Result<Tuned> tune(hal::Device& device,
                                 const std::vector<std::unique_ptr<RecordedLayer>>& layers,
                                 const TuneOptions& options);

}  // namespace qama::cli
