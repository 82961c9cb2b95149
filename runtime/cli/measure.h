// What `qama profile` and `qama bench` measure alike: how long opening takes, and how many samples
// a second batches give.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "hal/base/result.h"
#include "runtime/api/sample.h"
#include "runtime/cli/arguments.h"
#include "runtime/cli/console.h"
#include "runtime/engine/session.h"

namespace qama::cli {

/// Microseconds of a clock, part by part.
struct Opening {
  double model_us = 0, plan_us = 0, session_us = 0;
  [[nodiscard]] double sum() const { return model_us + plan_us + session_us; }
};

/// A session for single samples on `run.device`, and how long it took.
[[nodiscard]] Result<std::unique_ptr<runtime::Session>> open_timed(
    const std::string& model_path, const weights::ModelOptions& options, const RunArguments& run,
    const Console& console, Opening& times);

/// Of batches of `batch` samples on `threads` threads.
struct Throughput {
  std::int32_t threads = 0, batch = 0, in_flight = 0;  ///< 0: not measured
  double samples_per_s = 0;                            ///< median of the batches
};

/// Runs batches of `inputs`, over and over, until there were `runs` samples; one batch before them
/// does not count. Precondition: there is an input.
[[nodiscard]] Result<Throughput> measure_throughput(
    const std::shared_ptr<const runtime::Model>& model, const std::string& model_path,
    const RunArguments& run, std::int32_t batch, std::int32_t runs,
    std::span<const runtime::Sample> inputs);

}  // namespace qama::cli
