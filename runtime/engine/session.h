// Session: runs a plan. Holds what changes while inferring: the arena, the solvers (one a worker
// and shape), the worker threads. After create() a run allocates nothing; what may be asked for is
// bounded by the plan. New inputs get a run_* function here and a first step in the plan.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "hal/base/random.h"
#include "hal/base/result.h"
#include "hal/device.h"
#include "hal/fallback.h"
#include "hal/problem.h"
#include "runtime/engine/hooks.h"
#include "runtime/engine/info.h"
#include "runtime/engine/plan.h"

namespace qama::runtime {

/// When a layer is solved by the local annealer instead of the device that was asked: never, error,
/// deadline, hedge (hal/fallback.h says what each means).
using FallbackPolicy = hal::FallbackPolicy;
[[nodiscard]] std::string_view name_of(FallbackPolicy policy) noexcept;
/// INVALID_ARGUMENT for any other text.
[[nodiscard]] Result<FallbackPolicy> parse_fallback(std::string_view text);

struct SessionOptions {
  std::int32_t max_batch = 1;
  std::int32_t threads = 1;
  /// Samples of a batch that a worker has on their way at the same time, for devices that lie
  /// elsewhere; a device that holds fewer jobs gets fewer. Memory: an arena lane each.
  std::int32_t in_flight = 1;
  std::int32_t sample_threads = 1;         ///< that work on a sample together
  std::optional<std::uint64_t> seed = {};  ///< of the solver; none: the model file's
  std::string device = "cpu:";             ///< URI
  /// To "cpu:", for any device but that one.
  FallbackPolicy fallback = FallbackPolicy::error;
  std::int64_t deadline_us = 0;          ///< a sample; 0: none
  hal::ScheduleOverrides schedule = {};  ///< of every layer; what it leaves is the model file's
  /// The caller's memory, 64-byte aligned, at least Plan::arena_bytes(); it must outlive the
  /// session. Empty: the session allocates its own.
  std::span<std::byte> arena = {};
};

/// One run's arguments besides the data.
struct RunOptions {
  /// Sample i of the batch has index first_sample + i, unless `indices` names each one. The index
  /// and the session's seed decide the solver's random numbers.
  std::uint64_t first_sample = 0;
  std::span<const std::uint64_t> indices = {};
  Hooks hooks = {};
};

/// One thread at a time. Several sessions may share a plan and a device. A session with threads of
/// its own (several workers, or another device than the CPU) does not follow a fork: in the child
/// its runs fail with UNSUPPORTED, and its destructor leaves everything as it is.
class Session {
 public:
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  /// ARENA_TOO_SMALL, INVALID_ARGUMENT, UNSUPPORTED (a plan with long heads and a device that does
  /// not take factors), the device's errors (DEVICE_UNKNOWN, ...), OUT_OF_MEMORY; IO_ERROR if the
  /// file of a mapped model was changed since it was opened.
  /// `options.max_batch`, `.threads`, `.in_flight` and `.sample_threads` are the plan's.
  [[nodiscard]] static Result<std::unique_ptr<Session>> create(std::shared_ptr<const Plan> plan,
                                                               const SessionOptions& options);
  /// Plan and session in one.
  [[nodiscard]] static Result<std::unique_ptr<Session>> create(std::shared_ptr<const Model> model,
                                                               const SessionOptions& options);

  [[nodiscard]] const Plan& plan() const noexcept;
  [[nodiscard]] const Model& model() const noexcept { return plan().model(); }
  /// The device that was asked for; null if the model has no QAMA layer.
  [[nodiscard]] const hal::Device* device() const noexcept;
  [[nodiscard]] std::uint64_t seed() const noexcept;
  /// The schedules in use, one a QAMA layer; empty for other attention.
  [[nodiscard]] std::span<const hal::Schedule> schedules() const noexcept;

  /// Images as bytes: `count` x height x width x channels, rows from the top, of the model's own
  /// size. `logits`: count x classes. MODEL_WRONG_KIND for another model; INVALID_ARGUMENT for
  /// sizes that do not fit or count outside 1 .. max_batch; the devices' errors. On an error of one
  /// sample the others' logits are valid and its own are NaN.
  Status run_u8(std::span<const std::uint8_t> pixels, std::int32_t count, std::span<float> logits,
                const RunOptions& options = {});
  /// Images already normalised: count x channels x height x width; or features: count x tokens x
  /// width. PROBLEM_BAD_VALUE for a sample with a value that is not finite.
  Status run_f32(std::span<const float> input, std::int32_t count, std::span<float> logits,
                 const RunOptions& options = {});
  /// Texts: tokens count x max_tokens (ids beyond a sample's length are ignored), lengths [count]
  /// in 1 .. max_tokens. INDEX_OUT_OF_RANGE for an id that is no word.
  Status run_tokens(std::span<const std::int32_t> tokens, std::span<const std::int32_t> lengths,
                    std::span<float> logits, const RunOptions& options = {});

  /// Samples of the last run; 0 before the first one.
  [[nodiscard]] std::int32_t samples() const noexcept;
  /// Solves of the last run's sample (position in the batch), one a QAMA layer; empty for softmax,
  /// and for a sample that the last run has not.
  [[nodiscard]] std::span<const LayerSolve> solves(std::int32_t sample) const noexcept;
  /// Wall time of that sample's steps in the last run, microseconds; 0 if it has no such sample.
  [[nodiscard]] double latency_us(std::int32_t sample) const noexcept;

 private:
  struct Impl;
  explicit Session(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace qama::runtime
