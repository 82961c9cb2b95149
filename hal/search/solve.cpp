#include "hal/search/solve.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <memory>
#include <mutex>
#include <thread>

#include "hal/base/quote.h"
#include "hal/base/random.h"
#include "hal/form.h"
#include "hal/lower/lower.h"

namespace qama::hal {
namespace {

using Clock = std::chrono::steady_clock;

/// Restarts a part. A graph's are as many as are annealed side by side (hal/cpu/sparse/sparse.h),
/// in whatever form.
constexpr std::int64_t kLayerRestartsAPart = 16;
constexpr std::int64_t kGraphRestartsAPart = 32;
constexpr std::int64_t kMostRestarts = 1 << 30;
/// A schedule that is fitted to a time limit leaves time for one part and some more.
constexpr std::int32_t kTriedSweeps = 16;
constexpr double kPartsInTime = 1.3;

double microseconds(Clock::duration time) {
  return std::chrono::duration<double, std::micro>(time).count();
}

std::int64_t most_restarts(const SolveRequest& request) {
  if (request.restarts > 0) return request.restarts;
  return request.time_limit_ms > 0 ? kMostRestarts : kDefaultSolveRestarts;
}

class Search {
 public:
  Search(const ProblemFile& file, const Lowered& lowered, const SolveRequest& request,
         const SolveHooks& hooks)
      : file_(file),
        problem_(lowered.problem()),
        request_(request),
        hooks_(hooks),
        most_restarts_(most_restarts(request)) {
    best_.form = lowered.form;
    best_.decode = lowered.decode();
    best_.sweeps = request.schedule.sweeps;
    a_part_ = file.kind == ProblemKind::qama ? kLayerRestartsAPart : kGraphRestartsAPart;
  }

  Result<BestAnswer> run(Device& device) {
    uri_ = device.info().uri;
    Workload workload = Workload::of(problem_);
    workload.form = best_.form;
    std::vector<std::unique_ptr<Solver>> solvers;
    for (std::int32_t i = 0; i < request_.threads; ++i) {
      QAMA_ASSIGN_OR_RETURN(auto solver, device.compile(workload));
      solvers.push_back(std::move(solver));
    }
    // Other devices do without sweeps.
    const bool sweeps = uri_.starts_with("cpu:");
    if (sweeps && request_.time_limit_ms > 0 && request_.fit_sweeps &&
        file_.kind != ProblemKind::qama) {
      QAMA_RETURN_IF_ERROR(fit_sweeps(*solvers[0]));
    }
    std::vector<std::jthread> helpers;
    for (std::size_t i = 1; i < solvers.size(); ++i) {
      helpers.emplace_back([this, &solver = *solvers[i]] { work(solver, false); });
    }
    work(*solvers[0], true);
    helpers.clear();
    best_.solve_us = elapsed_us();
    if (!status_.ok()) return status_.error();
    best_.target_reached = reaches_target(best_.value);
    return std::move(best_);
  }

 private:
  [[nodiscard]] double elapsed_us() const { return microseconds(Clock::now() - start_); }
  [[nodiscard]] double limit_us() const { return 1000 * request_.time_limit_ms; }
  [[nodiscard]] bool reaches_target(double value) const {
    return request_.target && !best_.decode.better(*request_.target, value);
  }
  [[nodiscard]] std::vector<std::uint64_t> make_spins() const {
    const ProblemShape shape = file_.shape();
    return std::vector<std::uint64_t>(static_cast<std::size_t>(shape.heads) *
                                      static_cast<std::size_t>(words_per_head(shape.tokens)));
  }
  /// A part's options: its restarts and, with a time limit, what is left of it.
  [[nodiscard]] SolveOptions options_of(std::int64_t first, double elapsed) const {
    SolveOptions out;
    out.schedule = request_.schedule;
    out.schedule.sweeps = best_.sweeps;
    out.schedule.restarts =
        static_cast<std::int32_t>(std::min<std::int64_t>(a_part_, most_restarts_ - first));
    if (request_.time_limit_ms > 0) {
      out.deadline_us = std::max<std::int64_t>(1, static_cast<std::int64_t>(limit_us() - elapsed));
    }
    return out;
  }

  Status fit_sweeps(Solver& solver) {
    std::vector<std::uint64_t> spins = make_spins();
    SolveOptions options = options_of(0, 0);
    options.schedule.sweeps = kTriedSweeps;
    SolveResult result;
    const auto before = Clock::now();
    QAMA_RETURN_IF_ERROR(solver.solve(problem_, options, spins, result));
    const double sweep_us = microseconds(Clock::now() - before) / kTriedSweeps;
    const double fit = limit_us() / (kPartsInTime * std::max(sweep_us, 0.001));
    best_.sweeps =
        static_cast<std::int32_t>(std::clamp(fit, 1.0 * kTriedSweeps, 1.0 * best_.sweeps));
    return {};
  }

  void work(Solver& solver, bool reports) {
    std::vector<std::uint64_t> spins = make_spins();
    while (!stop_.load()) {
      const std::int64_t part = next_part_.fetch_add(1);
      const std::int64_t first = part * a_part_;
      if (first >= most_restarts_) return;
      const double elapsed = elapsed_us();
      if (reports && hooks_.progress && !hooks_.progress(elapsed / 1000, first)) stop_ = true;
      // The first part always runs: there is an answer, however short the limit.
      const bool late = request_.time_limit_ms > 0 && elapsed >= limit_us();
      if (part > 0 && (late || stop_.load())) return;
      SolveOptions options = options_of(first, elapsed);
      options.seed = solve_seed(request_.seed, static_cast<std::uint64_t>(part), 0);
      SolveResult result;
      const auto before = Clock::now();
      Status status = solver.solve(problem_, options, spins, result);
      const double busy_us = microseconds(Clock::now() - before);
      if (status.ok()) status = check_energy(spins, result.energy);
      const std::lock_guard lock(mutex_);
      if (!status.ok()) {
        if (status_.ok()) status_ = std::move(status);
        stop_ = true;
        return;
      }
      add(part, spins, result, busy_us);
    }
  }

  /// Energies on factors are real; the answer's value is computed in the file's own numbers anyway.
  [[nodiscard]] Status check_energy(std::span<const std::uint64_t> spins,
                                    std::int64_t claimed) const {
    if (best_.form == Form::factors) return {};
    const std::int64_t energy = energy_of(problem_, spins).integer;
    if (energy == claimed) return {};
    return Error{ErrorCode::device_bad_answer, "device " + quote(uri_) + " answered with energy " +
                                                   std::to_string(claimed) + ", its spins have " +
                                                   std::to_string(energy)};
  }

  /// Takes one part's answer into account. Called with the lock held.
  void add(std::int64_t part, std::vector<std::uint64_t>& spins, const SolveResult& result,
           double busy_us) {
    best_.proposals += result.proposals;
    best_.flips += result.flips;
    best_.total_sweeps += result.sweeps;
    best_.restarts += result.restarts;
    best_.rounds += result.rounds;
    best_.busy_us += busy_us;
    const double value = best_.decode.read(file_, spins);
    // Of equal values the first part's answer counts.
    if (best_.spins.empty() || best_.decode.better(value, best_.value) ||
        (value == best_.value && part < best_part_)) {
      best_part_ = part;
      best_.value = value;
      best_.spins = spins;
      best_.solved_by = result.solved_by;
    }
    if (reaches_target(value)) stop_ = true;
  }

  const ProblemFile& file_;
  const Problem problem_;
  const SolveRequest& request_;
  const SolveHooks& hooks_;
  const std::int64_t most_restarts_;
  std::string uri_;
  std::int64_t a_part_ = 0;
  const Clock::time_point start_ = Clock::now();

  std::atomic<std::int64_t> next_part_ = 0;
  std::atomic<bool> stop_ = false;
  std::mutex mutex_;  ///< guards what follows; best_.sweeps is set before there are threads
  Status status_;
  BestAnswer best_;
  std::int64_t best_part_ = 0;
};

}  // namespace

SolveRequest default_request(ProblemKind kind) {
  SolveRequest out;
  out.schedule.sweeps = 200;
  if (kind != ProblemKind::qama) {
    // Graphs are sparse: their row norms are small beside their largest couplings, and they need
    // colder ends than a layer (0.3 to 0.03 was best of six pairs on the G-set and bqp250
    // instances).
    out.schedule.sweeps = 1000;
    out.schedule.t_start = 0.3;
    out.schedule.t_end = 0.03;
  }
  return out;
}

Result<BestAnswer> solve(const ProblemFile& file, Device& device, const SolveRequest& request,
                         const SolveHooks& hooks) {
  QAMA_RETURN_IF_ERROR(validate(request.schedule));
  if (request.restarts < 0 || request.restarts > kMostRestarts || request.threads < 1 ||
      !(request.time_limit_ms >= 0) || (request.target && !std::isfinite(*request.target))) {
    return Error{ErrorCode::invalid_argument,
                 "a request's restarts must be 0 to 2^30, its threads 1 or more, its time limit 0 "
                 "or more, its target finite"};
  }
  const Schedule& schedule = request.schedule;
  FormQuestion question = form_question(file);
  question.restarts = most_restarts(request);
  question.schedule = schedule;
  question.forms = device.forms();
  const Form form = request.form.value_or(choose_form(question));
  if (form == Form::dense) {
    QAMA_RETURN_IF_ERROR(device.supports(file.shape()));
  } else if (schedule.rounds > 0) {
    return Error{ErrorCode::invalid_argument, "form " + quote(name_of(form)) + " with " +
                                                  std::to_string(schedule.rounds) +
                                                  " rounds, expected form 'dense'"};
  }
  QAMA_ASSIGN_OR_RETURN(const Lowered lowered, lower(file, form));
  if (hooks.prepared) hooks.prepared(form, lowered.decode());
  return Search(file, lowered, request, hooks).run(device);
}

}  // namespace qama::hal
