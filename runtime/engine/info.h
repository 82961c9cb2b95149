// What the engine tells its callers of a plan and of a run, as plain data: steps, regions of the
// arena, a layer's solve.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "hal/problem.h"

namespace qama::runtime {

/// One step as a person reads it.
struct StepInfo {
  std::string name;            ///< "block.0.attn.qkv"; unique in a plan
  std::string op;              ///< "linear", "layer_norm", "qama.solve", ...
  std::string implementation;  ///< the kernel or oneDNN primitive: "brgemm:avx512_core"
  std::int32_t block = -1;     ///< which block it belongs to; -1: none
  std::int64_t macs = 0;       ///< multiply-adds of a full-length sample; 0 where they mean nothing
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

/// One layer's solve of one sample.
struct LayerSolve {
  hal::SolveResult result;  ///< integer energy, who solved it, why not another, timings, counters
  double energy = 0;        ///< E(s) of Eq. 3 in the layer's own units (integer energy / scale)
  std::uint64_t seed = 0;   ///< what the solver was given
};

}  // namespace qama::runtime
