// The best answer to one problem within a number of restarts, a time or a target, on any device and
// any number of threads: what `qama solve` and the C API do.
//
//   const auto file = parse_problem(bytes, name);
//   SolveRequest request = default_request(file->kind);
//   request.time_limit_ms = 100;
//   const auto answer = solve(*file, *device, request);   // answer->value, answer->spins
//
// `exact:` tries all states in the file's own numbers and proves the best one. `cpu:` anneals in 16
// bits; then each part's answer is improved in the file's own numbers, and those decide which
// answer is best (landscape.h). Where 16 bits hold all weights, the annealer's answer only descends
// once more, by flips of coupled pairs; small problems are searched in any case.
//
// For `cpu:`, unless a form or rounds are asked for, variables of few neighbours are eliminated
// first, without loss (hal/lower/eliminate.h): what is said below of the problem then is of what is
// left, but for spins and value. Where little is left, all its states are tried, and the answer is
// optimal.
//
// Restarts go to a solver in parts. Part k has a seed of its own, so that the first parts of a
// longer run are those of a shorter one, and without a time limit or a target the answer does not
// depend on the number of threads.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "hal/device.h"
#include "hal/lower/decode.h"
#include "hal/text/problem_file.h"

namespace qama::hal {

/// Restarts of a request that names none.
inline constexpr std::int64_t kDefaultSolveRestarts = 32;
/// Different answers of one search.
inline constexpr std::int64_t kMostAnswers = std::int64_t{1} << 20;

struct SolveRequest {
  /// Of each part. Its `restarts` does not count; rounds follow after every part.
  Schedule schedule;
  /// Whether the sweeps of a graph's parts follow the time limit. A schedule that is cut off ends
  /// hot, which is worse than a short one: how long a sweep takes is tried first, and a part has no
  /// more sweeps than fit. What a thread's next part is, phase.h says: restarts of twice the sweeps
  /// of those before or, without a number of restarts, on sparse rows of few neighbours, copies of
  /// the best answer that are heated again.
  bool fit_sweeps = true;
  /// Whether these parts also try colder ends than the schedule's, where short parts say that they
  /// are better.
  bool fit_end = true;
  std::int64_t restarts = 0;     ///< in all; 0: the default, or as many as fit into the time limit
  double time_limit_ms = 0;      ///< no part begins later, the first one excepted; 0: none
  std::optional<double> target;  ///< stop at this value or a better one
  std::optional<Form> form;      ///< none: the fastest (hal/form.h)
  std::uint64_t seed = 1;
  std::int32_t threads = 1;
  /// Different answers that are wanted (SolveHooks::answer). From 1 on a part is one restart, or on
  /// sparse rows those that are annealed side by side; there are at least as many parts, 32 or
  /// more, unless `restarts` or the time limit says how many. Its sweeps do not double. exact:
  /// tells the best states.
  std::int64_t answers = 0;
  /// Answers to begin with, as BestAnswer::spins: each is improved as a part's answer is, and
  /// counts as one. Nothing is eliminated then. exact: needs none.
  std::vector<std::vector<std::uint64_t>> initial;
  /// The search ends as soon as somebody sets it, also from a signal handler; the best answer so
  /// far counts. Null: nobody does. Only cpu: and exact: end a part that has begun.
  const std::atomic<bool>* stop = nullptr;
};

/// The schedule that suits this kind of problem.
[[nodiscard]] SolveRequest default_request(ProblemKind kind);

/// The device for a caller that names none: "exact:" for a graph, a quadratic form or an Ising
/// problem of at most 24 variables, unless the caller asks for something of the annealer (a
/// schedule, a form, restarts); else "cpu:". A layer is solved as its model solves it.
[[nodiscard]] const char* default_device(const ProblemFile& file, bool asks_for_annealing) noexcept;

/// Calls out of solve(), from the thread that called it.
struct SolveHooks {
  /// The problem is lowered; solving begins.
  std::function<void(Form form, const Decode& decode)> prepared;
  /// Before each part that this thread solves. false ends the search: the best answer so far
  /// counts.
  std::function<bool(double elapsed_ms, std::int64_t restarts)> progress;
  /// The answer of a part, or an initial one. From any thread, one at a time.
  std::function<void(double elapsed_ms, double value, const std::vector<std::uint64_t>& spins)>
      answer;
};

struct BestAnswer {
  std::vector<std::uint64_t> spins;  ///< [heads][words_per_head]
  double value = 0;                  ///< in the file's own terms (value_of), from its own numbers
  bool target_reached = false;       ///< false without a target
  bool optimal = false;              ///< proven: all states were tried
  bool stopped = false;              ///< SolveRequest::stop ended the search
  std::int64_t eliminated = 0;  ///< variables that went before the rest was solved (eliminate.h)
  const char* solved_by = "";   ///< kernel or device, static storage
  Form form = Form::dense;      ///< in which it was solved
  Decode decode;                ///< whether weights are exact, whether larger values are better
  std::int32_t sweeps = 0;  ///< the most of a restart, after fit_sweeps; exact: 0, as are restarts
  bool cut_off = false;     ///< the time limit ended every restart before its sweeps were done
  /// Sums over all parts. A time limit or a stop may cut sweeps short: total_sweeps has those that
  /// the proposals amount to.
  std::int64_t restarts = 0, rounds = 0, total_sweeps = 0, proposals = 0, flips = 0;
  double solve_us = 0;  ///< wall time
  double busy_us = 0;   ///< of all threads inside their solvers
};

/// INVALID_ARGUMENT for a request out of bounds, an initial answer of another size or a form that
/// the problem does not have;
/// DEVICE_BAD_ANSWER where a device's energy is not that of its spins; the errors of lowering and
/// of the device.
[[nodiscard]] Result<BestAnswer> solve(const ProblemFile& file, Device& device,
                                       const SolveRequest& request, const SolveHooks& hooks = {});

}  // namespace qama::hal
