// Pipeline: the steps of a plan and what a session needs to give them memory and solvers. The
// builder makes it, the plan keeps it, sessions run it. Internal to the engine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "hal/base/aligned.h"
#include "hal/problem.h"
#include "ops/linear.h"
#include "runtime/engine/info.h"
#include "runtime/engine/linear_step.h"
#include "runtime/engine/step.h"

namespace qama::runtime {

struct Pipeline {
  std::unique_ptr<ops::LinearFactory> factory;  // oneDNN's engine outlives what it made
  std::vector<std::unique_ptr<Step>> steps;
  std::vector<AlignedBuffer<float>> constants;  // of steps
  std::vector<const LinearStep*> linear_steps;  // by slot
  std::vector<StepInfo> infos;
  std::vector<ArenaRegion> regions;  // those that have a place
  std::vector<std::size_t> offsets;  // of every region, from the lane's start
  std::vector<std::int64_t> rows;    // numbers of rows of the token-wise layers, rising
  std::size_t lane_bytes = 0;
  std::size_t weight_bytes = 0;
  std::vector<std::int32_t> qama_blocks;
  hal::ProblemShape dense_shape;    // of the largest problem with J built
  hal::ProblemShape factors_shape;  // of the largest one on factors; 0 tokens: there is none
  std::int32_t factors_rank = 0;
};

}  // namespace qama::runtime
