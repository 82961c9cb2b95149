// What `qama profile` measured: plain data that collect.h fills, figures.h computes with, and
// report.h writes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "hal/device.h"
#include "hal/job_size.h"
#include "runtime/api/answer.h"
#include "runtime/cli/console.h"
#include "runtime/cli/measure.h"
#include "runtime/engine/plan.h"
#include "runtime/engine/profiler.h"
#include "runtime/engine/session.h"

namespace qama::cli {

/// One run of one sample on one device.
struct ProfileRun {
  std::int32_t input = 0;
  double latency_us = 0;
  std::vector<runtime::StepTime> steps;     ///< one a step of the plan
  std::vector<runtime::LayerSolve> solves;  ///< one a QAMA layer
};

/// Quality of a device's answers: relative gaps to the best energy known of each problem.
struct GapReport {
  std::vector<double> sorted;  ///< (E - best) / |best|, one a layer and input
};

/// What a layer would be as a job of an Ising machine.
struct MachineJob {
  std::optional<hal::JobSize> size;  ///< empty where no machine holds it, or no layer was looked at
  std::string why_not;
};

struct DeviceProfile {
  std::string uri;       ///< as the user named it
  hal::DeviceInfo info;  ///< empty for a model without QAMA layers
  bool has_device = false;
  Opening opening;
  double first_us = 0;
  std::size_t arena_bytes = 0, weight_bytes = 0;
  std::int64_t peak_rss = 0;
  std::uint64_t seed = 0;
  std::vector<runtime::StepInfo> steps;  ///< implementations as they were, the solver's included
  std::vector<ProfileRun> runs;
  runtime::SolveCounter solvers;
  GapReport gap;
  Throughput throughput;
};

struct Profile {
  std::string model_path, sha256, architecture;
  std::string inputs;  ///< what was run: "16 synthetic inputs, seed 1"
  std::int32_t runs = 0, warm_up = 0, threads = 1;
  std::int64_t spins = 0;
  std::int32_t layers = 0;
  MachineJob job;
  std::vector<DeviceProfile> devices;
  Json provenance;
};

}  // namespace qama::cli
