#include "hal/search/solve.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <new>
#include <utility>

#include "hal/base/quote.h"
#include "hal/base/random.h"
#include "hal/base/sentence.h"
#include "hal/form.h"
#include "hal/lower/eliminate.h"
#include "hal/lower/lower.h"
#include "hal/platform/thread.h"
#include "hal/search/all_states.h"
#include "hal/search/best_known.h"
#include "hal/search/exchange.h"
#include "hal/search/landscape.h"
#include "hal/search/phase.h"
#include "hal/search/tabu.h"

namespace qama::hal {
namespace {

using Clock = std::chrono::steady_clock;

/// Restarts a part. A graph's are as many as are annealed side by side (hal/cpu/sparse/sparse.h),
/// in whatever form.
constexpr std::int64_t kLayerRestartsAPart = 16;
constexpr std::int64_t kGraphRestartsAPart = 32;
constexpr std::int64_t kMostRestarts = 1 << 30;
/// Sweeps that are tried first, the fewest that are fitted to a time limit.
constexpr std::int32_t kTriedSweeps = 16;
/// A part that is fitted to the time left takes so much of it by its sweeps, the descent excepted;
/// where answers are improved afterwards, half.
constexpr double kShareOfTime = 0.94;
constexpr double kShareOfTimeWithSearch = 0.5;
/// Of the first part, which is timed by the hottest sweeps only.
constexpr double kShareOfFirst = 0.77;
/// Restarts a part where 16 bits do not hold the weights: each part's answer is improved.
constexpr std::int64_t kRoundedRestartsAPart = 4;
/// Answers are improved up to so many couplings in both directions (16 bytes each); where 16 bits
/// hold the weights, up to fewer: little is to be gained.
constexpr std::int64_t kMostTerms = std::int64_t{1} << 25;
constexpr std::int64_t kMostTermsOfExact = std::int64_t{1} << 22;
/// Problems that are searched even where 16 bits hold their weights.
constexpr std::int32_t kAlwaysSearchedSpins = 64;
/// A graph of which an elimination leaves so many vertices is not annealed: all states are tried.
constexpr std::int32_t kTriedKernel = 16;
/// Neighbours of a spin, on average, up to which copies of an answer differ in many small patches,
/// so that it pays to heat them (hal/cpu/EXPERIMENTS.md).
constexpr std::int64_t kPatchNeighbours = 8;
/// Couplings of a variable, on average, from which on tabu search has a share of the time: with few
/// of them the annealer's many restarts at once find more.
constexpr std::int64_t kTabuNeighbours = 24;
constexpr std::int32_t kTabuSpins = 1 << 14;
/// The first part's share of the time where there are several phases.
constexpr double kShareOfFirstOfPhases = 0.125;
/// Exchanges that are tried after a part, at least.
constexpr std::int64_t kExchangesBeside = 1 << 20;
/// No limit, but cpu: looks at cancel() before every sweep if there is one (hal/cpu/solvers.h).
constexpr std::int64_t kNoLimitUs = std::int64_t{1} << 52;
constexpr double kMostTimeLimitMs = 1e12;  ///< 30 years, whose nanoseconds fit into 64 bits
constexpr std::chrono::milliseconds kStopInterval{5};

double microseconds(Clock::duration time) {
  return std::chrono::duration<double, std::micro>(time).count();
}

std::int64_t most_restarts(const SolveRequest& request) {
  if (request.restarts > 0) return request.restarts;
  return request.time_limit_ms > 0 ? kMostRestarts : kDefaultSolveRestarts;
}

/// Calls cancel() of solvers as long as a stop is asked for, until it ends itself.
class Watcher {
 public:
  ~Watcher() {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
    }
    woken_.notify_all();
  }
  Status start(const std::atomic<bool>* stop, std::span<const std::unique_ptr<Solver>> solvers) {
    // Without threads, a stop waits for the end of a part.
    if (stop == nullptr || !platform::kHasThreads) return {};
    return thread_.start([this, stop, solvers] {
      std::unique_lock lock(mutex_);
      while (!woken_.wait_for(lock, kStopInterval, [this] { return ending_; })) {
        if (!stop->load()) continue;
        for (const auto& solver : solvers) solver->cancel(0);
      }
    });
  }

 private:
  std::mutex mutex_;
  std::condition_variable woken_;
  bool ending_ = false;
  platform::Thread thread_;  ///< the last member: its destructor waits
};

/// A file's problem and what of it is annealed: the same, or what an elimination leaves.
struct Task {
  const ProblemFile& file;
  const std::optional<Elimination> elimination;
  explicit Task(const ProblemFile& of, bool eliminates)
      : file(of), elimination(eliminates ? Elimination::of(of) : std::nullopt) {}

  [[nodiscard]] const ProblemFile& annealed() const {
    return elimination ? elimination->kernel() : file;
  }
  [[nodiscard]] std::vector<std::uint64_t> lift(std::vector<std::uint64_t> spins) const {
    return elimination ? elimination->lift(spins) : std::move(spins);
  }
  /// In the file's terms, of spins of what is annealed.
  [[nodiscard]] double value(const std::vector<std::uint64_t>& spins) const {
    return elimination ? value_of(file, elimination->lift(spins)) : value_of(file, spins);
  }
};

class Search {
 public:
  /// Without a landscape the device's answers stay as they are.
  Search(const Task& task, const Lowered& lowered, const Landscape* landscape,
         const SolveRequest& request, const SolveHooks& hooks)
      : task_(task),
        file_(task.annealed()),
        problem_(lowered.problem()),
        landscape_(landscape),
        request_(request),
        hooks_(hooks),
        most_restarts_(most_restarts(request)) {
    best_.form = lowered.form;
    best_.decode = lowered.decode();
    best_.decode.larger_is_better = task.file.maximises();
    sweeps_ = request.schedule.sweeps;
    a_part_ = file_.kind == ProblemKind::qama ? kLayerRestartsAPart : kGraphRestartsAPart;
    // Sparse rows are annealed side by side, many at a time.
    const bool side_by_side = best_.form == Form::sparse;
    if (request.answers > 0) {
      if (!side_by_side) a_part_ = 1;
      if (request.restarts == 0 && request.time_limit_ms == 0)
        most_restarts_ = a_part_ * std::max(request.answers, kDefaultSolveRestarts);
    }
    if (landscape_ == nullptr) return;
    if (!best_.decode.exact && !side_by_side) a_part_ = std::min(a_part_, kRoundedRestartsAPart);
    searches_ = !best_.decode.exact || landscape_->size() <= kAlwaysSearchedSpins;
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
    fits_ = sweeps && request_.time_limit_ms > 0 && request_.fit_sweeps &&
            file_.kind != ProblemKind::qama && request_.schedule.sweeps > 0;
    choose_phases();
    if (fits_) QAMA_RETURN_IF_ERROR(fit_first(*solvers[0]));
    Watcher watcher;
    QAMA_RETURN_IF_ERROR(watcher.start(request_.stop, solvers));
    add_initial();
    std::vector<platform::Thread> helpers(solvers.size() - 1);
    Status ended;
    for (std::size_t i = 0; i < helpers.size() && ended.ok(); ++i) {
      ended = helpers[i].start([this, &solver = *solvers[i + 1]] { work(solver, false); });
    }
    // Where one thread has no memory left, the others need not go on.
    if (ended.ok()) {
      work(*solvers[0], true);
    } else {
      stop_ = true;
    }
    for (platform::Thread& helper : helpers) {
      Status helped = helper.join();
      if (ended.ok()) ended = std::move(helped);
    }
    QAMA_RETURN_IF_ERROR(std::move(ended));
    best_.solve_us = elapsed_us();
    if (!status_.ok()) return status_.error();
    best_.target_reached = reaches_target(best_.value);
    best_.stopped = asked_to_stop();
    best_.cut_off = sweeps && request_.time_limit_ms > 0 && !finished_;
    best_.spins = task_.lift(std::move(best_.spins));
    return std::move(best_);
  }

 private:
  [[nodiscard]] double elapsed_us() const { return microseconds(Clock::now() - start_); }
  [[nodiscard]] double limit_us() const { return 1000 * request_.time_limit_ms; }
  [[nodiscard]] bool asked_to_stop() const {
    return request_.stop != nullptr && request_.stop->load();
  }
  [[nodiscard]] bool is_cut_short() const { return request_.time_limit_ms > 0 || asked_to_stop(); }
  [[nodiscard]] bool reaches_target(double value) const {
    return request_.target && !best_.decode.better(*request_.target, value);
  }
  [[nodiscard]] std::vector<std::uint64_t> make_spins() const {
    const ProblemShape shape = file_.shape();
    return std::vector<std::uint64_t>(static_cast<std::size_t>(shape.heads) *
                                      static_cast<std::size_t>(words_per_head(shape.tokens)));
  }
  /// A part's options: its restarts and, with a time limit, what is left of it.
  [[nodiscard]] SolveOptions options_of(std::int64_t part, double elapsed) const {
    const std::int64_t first = part * a_part_;
    SolveOptions out;
    out.schedule = request_.schedule;
    out.schedule.sweeps = sweeps_;
    out.schedule.restarts =
        static_cast<std::int32_t>(std::min<std::int64_t>(a_part_, most_restarts_ - first));
    if (request_.time_limit_ms > 0) {
      out.deadline_us = std::max<std::int64_t>(1, static_cast<std::int64_t>(limit_us() - elapsed));
    } else if (request_.stop != nullptr && uri_.starts_with("cpu:")) {
      out.deadline_us = kNoLimitUs;
    }
    return out;
  }

  /// Steps of a search that take about as long as a part's sweeps.
  [[nodiscard]] std::int64_t search_steps(const SolveOptions& options) const {
    if (!searches_) return 0;
    const double size = landscape_->size();
    const double proposals = size * options.schedule.sweeps * options.schedule.restarts;
    const double neighbours = static_cast<double>(landscape_->terms()) / size;
    return static_cast<std::int64_t>(proposals / (size + 4 * neighbours + 16));
  }

  [[nodiscard]] Halt halt() const {
    Halt out{request_.stop};
    if (request_.time_limit_ms > 0) {
      out.deadline = start_ + std::chrono::duration_cast<Clock::duration>(
                                  std::chrono::duration<double, std::micro>(limit_us()));
    }
    return out;
  }

  [[nodiscard]] double share_of_time() const {
    return searches_ ? kShareOfTimeWithSearch : kShareOfTime;
  }

  /// What there is beside restarts: in turn with them where there is a time limit; else, where
  /// nothing but a seed is asked for, once after each part.
  void choose_phases() {
    const Schedule& schedule = request_.schedule;
    const bool plain = request_.time_limit_ms == 0 && !request_.form && schedule.rounds == 0 &&
                       schedule.sweeps > 0;
    if (request_.restarts > 0 || request_.answers > 0 || !(fits_ || plain)) return;
    const auto* const sparse = std::get_if<SparseView>(&problem_);
    if (fits_ && sparse != nullptr && sparse->count <= kPatchNeighbours * sparse->spins)
      phases_.push_back(PartKind::copies);
    if (landscape_ == nullptr || landscape_->size() > kTabuSpins) return;
    if (landscape_->terms() < kTabuNeighbours * landscape_->size()) return;
    rows_.emplace(*landscape_);
    groups_ = Groups::of(*landscape_);
    if (groups_) phases_.push_back(PartKind::exchanges);
    phases_.push_back(PartKind::tabu);
    // A double holds what 64 bits do, nearly: then one tabu search is enough.
    searches_ =
        searches_ && (landscape_->size() <= kAlwaysSearchedSpins || landscape_->words() > 1);
  }

  /// Puts what tabu search and exchanges find by themselves into `spins`, where it is better. It
  /// depends on the part's seed only, so answers do not depend on the number of threads.
  void search_beside(std::uint64_t seed, std::vector<std::uint64_t>& spins, SolveResult& result) {
    std::vector<std::uint64_t> found = make_spins();
    const auto take = [&](const char* by) {
      if (!best_.decode.better(task_.value(found), task_.value(spins))) return;
      spins = found;
      result.solved_by = by;
    };
    if (groups_) {
      ExchangeSearch search(*rows_, *groups_);
      std::int64_t tried = 0;
      while (tried < kExchangesBeside && !halt().now()) {
        tried += search.run(seed + static_cast<std::uint64_t>(tried), halt(), found);
        result.flips += search.flips();
        take("cpu:exchange");
      }
      result.proposals += tried;
    }
    TabuSearch search(*rows_);
    const std::int64_t flips = search.run(seed, search.steps_of_a_part(), halt(), found);
    result.flips += flips;
    result.proposals += flips * rows_->size();
    take("cpu:tabu");
  }
  /// Notes how long a sweep took; a descent's sweeps are among the proposals.
  void time_sweep(double busy_us, const SolveOptions& options, const SolveResult& result) {
    const auto sweep = static_cast<double>(file_.shape().spins() * options.schedule.restarts);
    const auto proposals = static_cast<double>(std::max<std::int64_t>(result.proposals, 1));
    sweep_us_ = std::max(busy_us * sweep / proposals, 0.001);
  }

  /// The first part's sweeps: as many as are asked for, or as fit into the time limit.
  Status fit_first(Solver& solver) {
    std::vector<std::uint64_t> spins = make_spins();
    SolveOptions options = options_of(0, 0);
    options.schedule.sweeps = kTriedSweeps;
    SolveResult result;
    const auto before = Clock::now();
    QAMA_RETURN_IF_ERROR(solver.solve(problem_, options, spins, result));
    time_sweep(microseconds(Clock::now() - before), options, result);
    const double share = phases_.empty() ? kShareOfFirst : kShareOfFirstOfPhases;
    const double fit = std::min(share_of_time(), share) * limit_us() / sweep_us_;
    sweeps_ = static_cast<std::int32_t>(std::clamp(fit, 1.0 * kTriedSweeps, 1.0 * sweeps_));
    return {};
  }

  /// The answers to begin with, each as the answer of a part before the first.
  void add_initial() {
    if (request_.initial.empty()) return;
    const std::unique_ptr<Improver> improver =
        landscape_ != nullptr ? make_improver(*landscape_) : nullptr;
    const auto count = static_cast<std::int64_t>(request_.initial.size());
    for (std::int64_t k = 0; k < count; ++k) {
      std::vector<std::uint64_t> spins = request_.initial[static_cast<std::size_t>(k)];
      best_.decode.turn(file_.shape(), spins);
      std::vector<std::uint64_t> energy;
      if (improver != nullptr) {
        const SolveOptions options = options_of(0, elapsed_us());
        improver->improve(spins, solve_seed(request_.seed, static_cast<std::uint64_t>(k), 1),
                          search_steps(options), halt());
        energy = improver->energy();
      }
      const double value = task_.value(spins);
      const std::lock_guard lock(mutex_);
      take(k - count, spins, value, energy, "initial answer");
    }
  }

  void work(Solver& solver, bool reports) try {
    std::vector<std::uint64_t> spins = make_spins();
    const std::unique_ptr<Improver> improver =
        landscape_ != nullptr ? make_improver(*landscape_) : nullptr;
    std::optional<TabuSearch> tabu;
    std::optional<ExchangeSearch> exchange;
    if (rows_) tabu.emplace(*rows_);
    if (groups_) exchange.emplace(*rows_, *groups_);
    // Reads are alike, so that their counts say something.
    const bool doubles = fits_ && request_.answers == 0;
    Portfolio portfolio(sweeps_, request_.fit_end, phases_);
    while (!stop_.load()) {
      const std::int64_t part = next_part_.fetch_add(1);
      const std::int64_t first = part * a_part_;
      if (first >= most_restarts_) return;
      const double elapsed = elapsed_us();
      if (reports && hooks_.progress && !hooks_.progress(elapsed / 1000, first)) stop_ = true;
      if (asked_to_stop()) stop_ = true;
      // The first part always runs: there is an answer, however short the limit.
      const bool late = request_.time_limit_ms > 0 && elapsed >= limit_us();
      if (part > 0 && (late || stop_.load())) return;
      SolveOptions options = options_of(part, elapsed);
      options.seed = solve_seed(request_.seed, static_cast<std::uint64_t>(part), 0);
      std::vector<std::uint64_t> from;
      PartKind kind = PartKind::restarts;
      if (doubles) {
        if (!portfolio.alone()) {
          const std::lock_guard lock(mutex_);
          from = best_.spins;
        }
        Phase& phase = portfolio.next(!from.empty());
        kind = phase.kind();
        phase.plan({.sweeps_left = share_of_time() * (limit_us() - elapsed) / sweep_us_.load(),
                    .seed = options.seed,
                    .alone = portfolio.alone()},
                   options.schedule);
        if (kind == PartKind::copies) options.from = from;
      }
      SolveResult result;
      const auto before = Clock::now();
      Status status;
      if (kind == PartKind::tabu) {
        tabu->offer(from);
        result.flips = tabu->run(options.seed, tabu->steps_of_a_part(), halt(), spins);
        result.proposals = result.flips * rows_->size();
        result.solved_by = "cpu:tabu";
      } else if (kind == PartKind::exchanges) {
        result.proposals = exchange->run(options.seed, halt(), spins);
        result.flips = exchange->flips();
        result.solved_by = "cpu:exchange";
      } else {
        status = solver.solve(problem_, options, spins, result);
        if (status.ok()) status = check_energy(spins, result.energy);
        if (status.ok() && !fits_ && rows_) search_beside(options.seed, spins, result);
      }
      const double busy_us = microseconds(Clock::now() - before);
      if (fits_ && result.restarts > 0) time_sweep(busy_us, options, result);
      double value = 0;
      std::vector<std::uint64_t> energy;
      if (status.ok()) {
        best_.decode.fix(spins);
        if (improver != nullptr) {
          improver->improve(spins, options.seed, search_steps(options), halt());
          energy = improver->energy();
        }
        value = task_.value(spins);
      }
      const std::lock_guard lock(mutex_);
      if (!status.ok()) {
        // A job that a stop cancelled is no failure if there is an answer.
        const bool cancelled = status.error().code == ErrorCode::cancelled && asked_to_stop();
        if (cancelled && !best_.spins.empty()) return;
        if (status_.ok()) status_ = std::move(status);
        stop_ = true;
        return;
      }
      const Standing standing = add(part, options, spins, value, energy, result, busy_us);
      if (doubles)
        portfolio.ended(standing, best_.decode.larger_is_better ? -value : value, busy_us);
    }
  } catch (...) {
    stop_ = true;
    throw;
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
  Standing add(std::int64_t part, const SolveOptions& options,
               const std::vector<std::uint64_t>& spins, double value,
               const std::vector<std::uint64_t>& energy, const SolveResult& result,
               double busy_us) {
    if (result.restarts > 0) {
      const std::int64_t a_restart = file_.shape().spins() * options.schedule.sweeps;
      finished_ = finished_ || result.proposals / result.restarts >= a_restart;
    }
    best_.sweeps = std::max(best_.sweeps, options.schedule.sweeps);
    best_.proposals += result.proposals;
    best_.flips += result.flips;
    std::int64_t sweeps = result.sweeps;
    // The device counts chains with all their sweeps, also those that end early.
    if (is_cut_short()) sweeps = std::min(sweeps, result.proposals / file_.shape().spins());
    best_.total_sweeps += sweeps;
    best_.restarts += options.from.empty() ? result.restarts : 0;
    best_.rounds += result.rounds;
    best_.busy_us += busy_us;
    return take(part, spins, value, energy, result.solved_by, !options.from.empty());
  }

  /// An answer is known; with `wanders` it replaces one that is as good. Called with the lock held.
  Standing take(std::int64_t part, const std::vector<std::uint64_t>& spins, double value,
                const std::vector<std::uint64_t>& energy, const char* solved_by,
                bool wanders = false) {
    const bool gained = best_.spins.empty() || is_better(part, value, energy);
    if (gained) {
      best_part_ = part;
      best_.value = value;
      best_.solved_by = solved_by;
      best_energy_ = energy;
    }
    // Copies of the best answer that are as good wander over its plateau.
    const bool level = value == best_.value && energy == best_energy_;
    if (gained || (level && wanders)) best_.spins = spins;
    if (hooks_.answer) hooks_.answer(elapsed_us() / 1000, value, task_.lift(spins));
    if (reaches_target(value)) stop_ = true;
    if (gained) return Standing::better;
    return level ? Standing::level : Standing::worse;
  }

  /// Whether a part's answer is better than the best one so far; of equals the first part's is.
  [[nodiscard]] bool is_better(std::int64_t part, double value,
                               const std::vector<std::uint64_t>& energy) const {
    if (energy.empty()) {
      return best_.decode.better(value, best_.value) || (value == best_.value && part < best_part_);
    }
    // Different energies may be one double.
    return is_lower(energy, best_energy_) || (energy == best_energy_ && part < best_part_);
  }

  const Task& task_;
  const ProblemFile& file_;  ///< what is annealed
  const Problem problem_;
  const Landscape* const landscape_;
  const SolveRequest& request_;
  const SolveHooks& hooks_;
  std::int64_t most_restarts_;
  std::string uri_;
  std::int64_t a_part_ = 0;
  bool searches_ = false;
  bool fits_ = false;             ///< sweeps follow the time limit
  std::vector<PartKind> phases_;  ///< beside restarts
  std::optional<TabuRows> rows_;  ///< of searches in double
  std::optional<Groups> groups_;  ///< that exchanges keep
  std::int32_t sweeps_ = 0;       ///< of a thread's first part
  std::atomic<double> sweep_us_ =
      0;  ///< time of a sweep of all restarts of a part, of the last one
  const Clock::time_point start_ = Clock::now();

  std::atomic<std::int64_t> next_part_ = 0;
  std::atomic<bool> stop_ = false;
  std::mutex mutex_;  ///< guards what follows
  Status status_;
  BestAnswer best_;
  bool finished_ = false;  ///< a part has done all of its sweeps
  std::int64_t best_part_ = 0;
  std::vector<std::uint64_t> best_energy_;  ///< of an improver; empty without one
};

/// All states, in the file's own numbers.
Result<BestAnswer> solve_exactly(const Task& task, const SolveRequest& request,
                                 const SolveHooks& hooks) {
  const auto start = Clock::now();
  const ProblemFile& file = task.annealed();
  QAMA_ASSIGN_OR_RETURN(const Landscape landscape, Landscape::of(file));
  BestAnswer out;
  out.decode.larger_is_better = task.file.maximises();
  // A layer's couplings are products, in double.
  out.decode.exact = file.kind != ProblemKind::qama;
  if (hooks.prepared) hooks.prepared(Form::dense, out.decode);
  Halt halt{request.stop};
  if (request.time_limit_ms > 0) {
    halt.deadline = start + std::chrono::duration_cast<Clock::duration>(
                                std::chrono::duration<double, std::milli>(request.time_limit_ms));
  }
  const auto wanted = static_cast<std::size_t>(std::max<std::int64_t>(request.answers, 1));
  // Both sides of a cut may be swapped: one of two such states is told, that without the last
  // vertex, which comes first.
  const bool swaps = file.kind == ProblemKind::maxcut && file.graph.size > 0;
  Exhaustive found = try_all(landscape, halt, swaps ? 2 * wanted : wanted);
  if (swaps) {
    const auto of_last = std::uint32_t{1} << (file.graph.size - 1);
    std::erase_if(found.lowest, [&](std::uint32_t state) { return (state & of_last) != 0; });
  }
  const ProblemShape shape = file.shape();
  const auto lifted = [&](std::uint32_t state) {
    std::vector<std::uint64_t> spins;
    for (std::int32_t t = 0; t < shape.heads; ++t) {
      const std::uint64_t bits = static_cast<std::uint64_t>(state) >> (t * shape.tokens);
      spins.push_back(bits & ((std::uint64_t{1} << shape.tokens) - 1));
    }
    return task.lift(std::move(spins));
  };
  out.spins = lifted(found.lowest.front());
  out.value = value_of(task.file, out.spins);
  if (hooks.answer) {
    const double elapsed_ms = microseconds(Clock::now() - start) / 1000;
    for (const std::uint32_t state : found.lowest) {
      const std::vector<std::uint64_t> spins = lifted(state);
      hooks.answer(elapsed_ms, value_of(task.file, spins), spins);
    }
  }
  out.optimal = found.complete;
  out.stopped = !found.complete && request.stop != nullptr && request.stop->load();
  out.target_reached = request.target && !out.decode.better(*request.target, out.value);
  out.solved_by = "exact:";
  out.proposals = found.states;
  out.flips = found.states - 1;
  out.solve_us = out.busy_us = microseconds(Clock::now() - start);
  return out;
}

/// Whether each has its words, and no bit beyond its last spin.
Status check_initial(const ProblemShape& shape,
                     const std::vector<std::vector<std::uint64_t>>& initial) {
  const auto a_head = static_cast<std::size_t>(words_per_head(shape.tokens));
  const std::size_t words = static_cast<std::size_t>(shape.heads) * a_head;
  const std::uint64_t beyond =
      shape.tokens % 64 == 0 ? 0 : ~std::uint64_t{0} << (shape.tokens % 64);
  for (const std::vector<std::uint64_t>& spins : initial) {
    bool fits = spins.size() == words;
    for (std::size_t last = a_head - 1; fits && last < words; last += a_head)
      fits = (spins[last] & beyond) == 0;
    if (!fits) {
      return Error{ErrorCode::invalid_argument,
                   "an initial answer of " + std::to_string(64 * spins.size()) +
                       " bits, expected one of " + std::to_string(shape.spins()) + " spins"};
    }
  }
  return {};
}

Result<BestAnswer> solve_task(const Task& task, Device& device, const SolveRequest& request,
                              const SolveHooks& hooks) {
  const ProblemFile& file = task.annealed();
  if (task.elimination && file.graph.size <= kTriedKernel)
    return solve_exactly(task, request, hooks);
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
  const std::string& uri = device.info().uri;
  if (uri == "exact:" && form == Form::dense) return solve_exactly(task, request, hooks);
  QAMA_ASSIGN_OR_RETURN(const Lowered lowered, lower(file, form));
  if (hooks.prepared) hooks.prepared(form, lowered.decode());
  const std::int64_t most = lowered.decode().exact ? kMostTermsOfExact : kMostTerms;
  if (file.kind == ProblemKind::qama || !uri.starts_with("cpu:") ||
      Landscape::terms_of(file) > most)
    return Search(task, lowered, nullptr, request, hooks).run(device);
  QAMA_ASSIGN_OR_RETURN(const Landscape landscape, Landscape::of(file));
  return Search(task, lowered, &landscape, request, hooks).run(device);
}

}  // namespace

const char* default_device(const ProblemFile& file, bool asks_for_annealing) noexcept {
  const bool exact = file.kind != ProblemKind::qama && file.shape().spins() <= kExactSpins;
  return exact && !asks_for_annealing ? "exact:" : "cpu:";
}

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

namespace {

Status check_request(const SolveRequest& request) {
  const auto bad = [](const auto&... parts) {
    return make_error(ErrorCode::invalid_argument, parts...);
  };
  if (request.restarts < 0 || request.restarts > kMostRestarts)
    return bad(request.restarts, " restarts, expected at most 2^30");
  if (request.threads < 1) return bad(request.threads, " threads, expected 1 or more");
  if (request.answers < 0 || request.answers > kMostAnswers)
    return bad(request.answers, " answers, expected 0 to 2^20");
  if (!(request.time_limit_ms >= 0 && request.time_limit_ms <= kMostTimeLimitMs))
    return bad("a time limit of ", request.time_limit_ms, " ms, expected 0 to 10^12");
  if (request.target && !std::isfinite(*request.target))
    return bad("a target of ", *request.target, ", expected a finite number");
  return {};
}

}  // namespace

Result<BestAnswer> solve(const ProblemFile& file, Device& device, const SolveRequest& request,
                         const SolveHooks& hooks) {
  QAMA_RETURN_IF_ERROR(validate(request.schedule));
  QAMA_RETURN_IF_ERROR(check_request(request));
  try {
    QAMA_RETURN_IF_ERROR(check_initial(file.shape(), request.initial));
    // Small problems have exact:, and a form or rounds are asked for of the file's own problem.
    const Task task(file, device.info().uri.starts_with("cpu:") && !request.form &&
                              request.schedule.rounds == 0 && request.initial.empty() &&
                              file.shape().spins() > kExactSpins);
    Result<BestAnswer> out = solve_task(task, device, request, hooks);
    if (out.ok() && task.elimination) out->eliminated = task.elimination->removed();
    return out;
  } catch (const std::bad_alloc&) {
    return Error{ErrorCode::out_of_memory, "not enough memory for a problem's search"};
  }
}

}  // namespace qama::hal
