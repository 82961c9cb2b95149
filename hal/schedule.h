// How a solve is to be done: the one schedule type of the project. Model files hold one
// (weights/architecture.h), sessions, the C API, the program and the benches pass one on. To add a
// field: the member, its line in for_each_field() and its bounds in validate(); the formats that
// hold schedules (weights/architecture.cpp, runtime/api/include/qama/qama.h) decide what an older
// reader sees. Knows hal/base only, so that weights/ may include it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "hal/base/result.h"

namespace qama::hal {

/// What the spins of a restart are before its first sweep (hal/cpu/schedule.h). Only problems of
/// several heads that are annealed depend on it.
enum class StartKind : std::uint8_t {
  guessed,  ///< from guessed fields: the first sweep flips half as many, restarts resemble each
            ///< other more
  random,   ///< 3 of 8 selected, at random
  mixed,    ///< two of four restarts each
};
inline constexpr std::pair<std::string_view, StartKind> kStartNames[] = {
    {"guessed", StartKind::guessed}, {"random", StartKind::random}, {"mixed", StartKind::mixed}};
[[nodiscard]] std::string_view name_of(StartKind start) noexcept;
/// INVALID_ARGUMENT for another name.
[[nodiscard]] Result<StartKind> parse_start_kind(std::string_view name);

/// Bounds on a schedule, wherever it comes from.
inline constexpr std::int32_t kMaxSweeps = 1'000'000;
inline constexpr std::int32_t kMaxRestarts = 65'536;  ///< and rounds
inline constexpr double kColdest = 1e-9;
inline constexpr double kHottest = 1e6;

/// How often and how hot a problem is annealed. Temperatures are in units of the problem's mean row
/// norm (hal/cpu/schedule.h, row_norm); annealers round them to float first.
struct Schedule {
  std::int32_t sweeps = 20;   ///< a restart; 0: descent only
  std::int32_t restarts = 1;  ///< independent starts, the best answer counts
  double t_start = 1.2;       ///< first temperature, at least t_end
  double t_end = 0.1;         ///< last temperature; 1 / T rises linearly between them
  StartKind start = StartKind::guessed;
  /// After the restarts: groups of four restarts that start from the best answer so far. Each
  /// anneals three of eight heads, chosen at random, from `t_round` to `t_end` again. For quality
  /// at a fixed time. With 8 restarts or more, heads of all answers so far are recombined before
  /// each round and after the last (hal/cpu/dense/recombine.h). 0: none, and the next two fields do
  /// not count.
  std::int32_t rounds = 0;
  std::int32_t round_sweeps = 6;
  double t_round = 1.0;  ///< at least t_end
  bool operator==(const Schedule&) const = default;
};

/// Calls visit(name, member) for every field of `schedule`, const or not. These names are those of
/// model files, of JSON reports and, with - for _, of the program's options.
template <typename AnySchedule, typename Visit>
constexpr void for_each_field(AnySchedule& schedule, Visit&& visit) {
  visit("sweeps", schedule.sweeps);
  visit("restarts", schedule.restarts);
  visit("t_start", schedule.t_start);
  visit("t_end", schedule.t_end);
  visit("start", schedule.start);
  visit("rounds", schedule.rounds);
  visit("round_sweeps", schedule.round_sweeps);
  visit("t_round", schedule.t_round);
}

/// An error of `code` for the first field out of bounds: "WHERE.sweeps: -1, expected 0 to 1000000".
[[nodiscard]] Status validate(const Schedule& schedule, std::string_view where = "schedule",
                              ErrorCode code = ErrorCode::invalid_argument);

/// What somebody changes of a schedule that is given elsewhere, such as in a model file.
struct ScheduleOverrides {
  std::optional<std::int32_t> sweeps = {};
  std::optional<std::int32_t> restarts = {};
  std::optional<std::int32_t> rounds = {};
  std::optional<std::int32_t> round_sweeps = {};
  [[nodiscard]] Schedule apply(Schedule schedule) const noexcept;
};

/// A schedule and what differs from solve to solve.
struct SolveOptions {
  Schedule schedule = {};
  std::uint64_t seed = 1;  ///< same problem, schedule and seed: same spins, on every target
  std::int64_t deadline_us =
      0;  ///< 0: none; else sweeps, restarts and rounds stop early to keep it
  /// Spins to improve, which must stay unchanged while the job runs; only the sparse form knows
  /// them. Restarts are copies of them that are heated to `t_start`. What each changed for the
  /// better is kept, part by part (hal/cpu/sparse/recombine.h); the next group begins with that.
  /// Empty: restarts begin anew.
  std::span<const std::uint64_t> from = {};
};

}  // namespace qama::hal
