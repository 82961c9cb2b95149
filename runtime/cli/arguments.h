// Options that several commands have: the model, the device, threads, seed, the annealer's
// schedule.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "hal/base/result.h"
#include "hal/text/formats.h"
#include "runtime/cli/console.h"
#include "runtime/engine/model.h"
#include "runtime/engine/session.h"

namespace qama::cli {

/// --device, --threads, --sample-threads, --seed, --fallback, --deadline-us, --sweeps, --restarts,
/// --rounds, --round-sweeps, --in-flight of commands that run a model.
struct RunArguments {
  std::string device = "cpu:";
  std::int32_t threads = 1;
  std::optional<std::uint64_t> seed;
  std::string fallback = "error";
  std::int64_t deadline_us = 0;
  hal::ScheduleOverrides schedule;
  std::int32_t in_flight = 0;  ///< 0: what suits the device
  std::int32_t sample_threads = 1;
  bool integers = false;  ///< no option: the command looks at integer problems, also of long heads

  void declare(CLI::App& app);
  /// All of them but --device, for commands that take several.
  void declare_without_device(CLI::App& app);
  /// All of them but --device and --threads.
  void declare_the_rest(CLI::App& app);
  /// Samples in flight a worker: --in-flight, or what suits the device: 1 for those that work in
  /// this process.
  [[nodiscard]] std::int32_t in_flight_for(std::string_view uri) const noexcept;
  /// Whether the device works on the thread that asks it.
  [[nodiscard]] bool local() const noexcept;
  /// What a session is made with; INVALID_ARGUMENT.
  [[nodiscard]] Result<runtime::SessionOptions> session_options() const;
  /// A session for batches of up to `max_batch` samples; logs what it uses: model, device, seed,
  /// schedule.
  [[nodiscard]] Result<std::unique_ptr<runtime::Session>> open(
      std::shared_ptr<const runtime::Model> model, const std::string& model_path,
      std::int32_t max_batch, const Console& console) const;
  /// The same on a plan that is there already.
  [[nodiscard]] Result<std::unique_ptr<runtime::Session>> open(
      std::shared_ptr<const runtime::Plan> plan, const std::string& model_path,
      const Console& console) const;
};

/// -m, --model and --trust.
void declare_model(CLI::App& app, std::string& path, weights::ModelOptions& options);
/// --trust alone, for commands that take the model without an option.
void declare_trust(CLI::App& app, weights::ModelOptions& options);
/// --format, --maximise and --symmetric: how a problem file is read.
struct ReadingArguments {
  std::string format;
  bool maximise = false, symmetric = false;
  void declare(CLI::App& app);
  [[nodiscard]] hal::ReadOptions options() const { return {format, maximise, symmetric}; }
  [[nodiscard]] bool given() const { return !format.empty() || maximise || symmetric; }
};
/// Reads a problem from a file, or from standard input where the path is "-".
[[nodiscard]] Result<hal::ProblemFile> read_problem(const std::string& path,
                                                    const hal::ReadOptions& options);

/// --device, --threads and --seed alone.
void declare_device(CLI::App& app, std::string& device);
void declare_threads(CLI::App& app, std::int32_t& threads);
void declare_seed(CLI::App& app, std::optional<std::uint64_t>& seed, const char* default_text);

/// MODEL_WRONG_KIND if the model has no QAMA layer for `command`.
[[nodiscard]] Status need_qama(const runtime::Model& model, const std::string& model_path,
                               const char* command);

}  // namespace qama::cli
