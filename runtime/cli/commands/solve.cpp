// `qama solve`: one problem from a file, on any device. What is printed as energy or cut is
// computed in the file's own numbers from the returned spins, not taken from the device's rounded
// integers.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <limits>
#include <mutex>
#include <thread>

#include "hal/base/quote.h"
#include "hal/device.h"
#include "hal/platform/file.h"
#include "hal/text/formats.h"
#include "runtime/cli/arguments.h"
#include "runtime/cli/command.h"
#include "runtime/cli/problem_form.h"

namespace qama::cli {
namespace {

using Clock = std::chrono::steady_clock;

/// Restarts go to a solver in parts of this many. Part k has a seed of its own, so that the first
/// parts of a longer run are those of a shorter one. A graph's are as many as are annealed side by
/// side (hal/cpu/sparse/sparse.h), in whatever form.
constexpr std::int32_t kLayerRestartsAPart = 16;
constexpr std::int32_t kGraphRestartsAPart = 32;
/// With a time limit and no --sweeps a graph's schedule is as long as leaves time for one part and
/// some more; how long a sweep takes is tried out first.
constexpr std::int32_t kTriedSweeps = 16;
constexpr double kPartsInTime = 1.3;
constexpr std::uint64_t kDefaultSeed = 1;
constexpr std::int32_t kMaxRestarts = 1 << 30;

double microseconds(Clock::duration time) {
  return std::chrono::duration<double, std::micro>(time).count();
}

class Solve final : public Command {
 public:
  CommandText text() const override {
    return {
        .summary = "Solve one problem from a file.",
        .notes =
            "A problem file has numbers with white space between them, in one of these formats:\n"
            "  qama    a QAMA layer in factor form; the first word is 'qama'\n"
            "  maxcut  'n m', then m times 'i j w': vertices from 1, whole weights; maximises the "
            "cut\n"
            "  qubo    'n m', then m times 'i j w': variables from 1, i = j is a linear term;\n"
            "          minimises the sum of w x_i x_j over x in {0,1}\n"
            "Without --format, the first word 'qama' means qama; a name that ends in .qubo or "
            ".bqp, or a linear\n"
            "term, means qubo; everything else is maxcut.\n",
        .examples =
            "qama solve layer.txt --sweeps 200 --restarts 64\n"
            "qama solve G1.mc --time-limit 1000 --target 11624 --json\n"
            "qama solve small.qubo --device exact:\n"};
  }

  void declare(CLI::App& app) override {
    app.add_option("FILE", path_, "The problem, or - for standard input.")
        ->required()
        ->type_name("");
    app.add_option("--format", format_,
                   "Read the file in this format; by default, its name and content decide.")
        ->type_name("NAME")
        ->check(CLI::IsMember(hal::problem_format_names()));
    app.add_option("--sweeps", sweeps_,
                   "Let the annealer do N sweeps in each restart; 0 only descends.")
        ->type_name("N")
        ->check(CLI::Range(0, hal::kMaxSweeps))
        ->default_str("200; maxcut, qubo: 1000, fewer if a time limit is short");
    app.add_option("--restarts", restarts_, "Start at most N times.")
        ->type_name("N")
        ->check(CLI::Range(1, kMaxRestarts))
        ->default_str("32; with --time-limit: as many as fit");
    app.add_option("--time-limit", time_limit_ms_, "Begin no restart after MS milliseconds.")
        ->type_name("MS")
        ->check(CLI::Range(1.0, 1e9));
    app.add_option("--target", target_,
                   "Stop at the energy E or below (maxcut: at the cut E or above).")
        ->type_name("E");
    app.add_option("--t-start", t_start_,
                   "Begin at this temperature, in units of the mean row norm of the couplings.")
        ->type_name("T")
        ->check(CLI::PositiveNumber)
        ->default_str("1.2; maxcut, qubo: 0.3");
    app.add_option("--t-end", t_end_, "End at this temperature, in the same units.")
        ->type_name("T")
        ->check(CLI::PositiveNumber)
        ->default_str("0.1; maxcut, qubo: 0.03");
    app.add_option(
           "--start", start_kind_,
           "Begin the restarts of layers with guessed or random spins, or with both (mixed).")
        ->type_name("NAME")
        ->check(CLI::IsMember({"guessed", "random", "mixed"}))
        ->capture_default_str();
    app.add_option("--rounds", options_.schedule.rounds,
                   "After every 16 restarts (maxcut, qubo: 32), anneal N groups of four again from "
                   "the best of their answers.")
        ->type_name("N")
        ->check(CLI::Range(0, hal::kMaxRestarts))
        ->capture_default_str();
    app.add_option("--round-sweeps", options_.schedule.round_sweeps, "Let each round do N sweeps.")
        ->type_name("N")
        ->check(CLI::Range(0, hal::kMaxSweeps))
        ->capture_default_str();
    app.add_option("--t-round", options_.schedule.t_round, "Begin a round at this temperature.")
        ->type_name("T")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    app.add_option("--form", form_,
                   "Hold the couplings in this form: planes and sparse are for maxcut and qubo, "
                   "factors for qama; by default, the fastest form.")
        ->type_name("NAME")
        ->check(CLI::IsMember(form_names()));
    declare_device(app, device_);
    declare_threads(app, threads_);
    declare_seed(app, seed_, "1");
  }

  Status run(Console& console) override {
    if (target_ && !std::isfinite(*target_)) {
      return Error{ErrorCode::usage, "--target must be a finite number"};
    }
    QAMA_ASSIGN_OR_RETURN(
        const std::vector<std::uint8_t> bytes,
        platform::read_file(path_, hal::kMaxProblemBytes, ErrorCode::problem_too_large));
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    QAMA_ASSIGN_OR_RETURN(file_, hal::parse_problem(text, path_, format_));
    // Graphs are sparse: their row norms are small beside their largest couplings, and they need
    // colder ends than a layer (0.3 to 0.03 was best of six pairs on the G-set and bqp250
    // instances).
    const bool layer = file_.kind == hal::ProblemKind::qama;
    options_.schedule.t_start = t_start_.value_or(layer ? hal::Schedule{}.t_start : 0.3);
    options_.schedule.t_end = t_end_.value_or(layer ? hal::Schedule{}.t_end : 0.03);
    options_.schedule.sweeps = sweeps_.value_or(layer ? 200 : 1000);
    restarts_a_part_ = layer ? kLayerRestartsAPart : kGraphRestartsAPart;
    if (options_.schedule.t_end > options_.schedule.t_start) {
      return Error{ErrorCode::usage, "--t-end is above --t-start"};
    }
    QAMA_ASSIGN_OR_RETURN(options_.schedule.start, hal::parse_start_kind(start_kind_));
    QAMA_ASSIGN_OR_RETURN(const auto device, hal::open_device(device_));
    most_restarts_ = restarts_.value_or(time_limit_ms_ > 0 ? kMaxRestarts : 32);
    QAMA_ASSIGN_OR_RETURN(
        const auto form,
        make_form(file_, *device, {form_, most_restarts_, options_.schedule.rounds}));
    shape_ = file_.shape();

    seed_value_ = seed_.value_or(kDefaultSeed);
    console.log("problem " + quote(path_) + ", " + std::string(hal::name_of(file_.kind)) + ", " +
                std::to_string(shape_.spins()) + " spins, device " + device->info().uri +
                ", seed " + std::to_string(seed_value_) + ", couplings as " + form->name +
                weights_text(*form));
    decode_ = form->decode;
    start_ = Clock::now();
    QAMA_RETURN_IF_ERROR(run_workers(console, *device, *form));
    return report(console, *device, *form);
  }

 private:
  /// The best answer of all parts, and counters over all of them.
  struct Best {
    bool found = false;
    double value = 0;       ///< energy or cut, in the file's own numbers
    std::int64_t part = 0;  ///< of equal values the first part's answer counts
    std::vector<std::uint64_t> spins;
    const char* solved_by = "";
  };

  [[nodiscard]] bool reaches_target(double value) const {
    return target_ && !decode_.better(*target_, value);
  }

  [[nodiscard]] static std::string weights_text(const ProblemForm& form) {
    if (form.name == "factors") return ", weights in float";
    return form.decode.exact ? ", weights exact" : ", weights rounded to 16 bits";
  }

  Status run_workers(const Console& console, hal::Device& device, const ProblemForm& form) {
    std::vector<std::unique_ptr<FormSolver>> solvers;
    for (std::int32_t i = 0; i < threads_; ++i) {
      QAMA_ASSIGN_OR_RETURN(auto solver, form.compile(device));
      solvers.push_back(std::move(solver));
    }
    // Other devices do without sweeps.
    const bool sweeps = device.info().uri.starts_with("cpu:");
    if (sweeps && time_limit_ms_ > 0 && !sweeps_ && file_.kind != hal::ProblemKind::qama) {
      QAMA_RETURN_IF_ERROR(fit_sweeps(*solvers[0]));
    }
    // Against time where there is a limit, else against the number of restarts.
    Progress progress(
        console, time_limit_ms_ > 0 ? "qama: solve, ms" : "qama: solve, restarts",
        time_limit_ms_ > 0 ? static_cast<std::int64_t>(time_limit_ms_) : most_restarts_);
    std::vector<std::jthread> helpers;
    for (std::size_t i = 1; i < solvers.size(); ++i) {
      helpers.emplace_back([this, &solver = *solvers[i]] { work(solver, nullptr); });
    }
    work(*solvers[0], &progress);
    helpers.clear();
    solve_us_ = microseconds(Clock::now() - start_);
    return std::move(status_);
  }

  /// A truncated schedule ends hot, which is worse than a short one.
  Status fit_sweeps(FormSolver& solver) {
    const auto words = static_cast<std::size_t>(hal::words_per_head(shape_.tokens));
    std::vector<std::uint64_t> spins(words * static_cast<std::size_t>(shape_.heads));
    hal::SolveOptions options = options_;
    options.schedule.sweeps = kTriedSweeps;
    options.deadline_us =
        std::max<std::int64_t>(1, static_cast<std::int64_t>(1000 * time_limit_ms_));
    options.schedule.restarts =
        static_cast<std::int32_t>(std::min<std::int64_t>(restarts_a_part_, most_restarts_));
    hal::SolveResult result;
    const auto before = Clock::now();
    QAMA_RETURN_IF_ERROR(solver.solve(options, spins, result));
    const double sweep_us = microseconds(Clock::now() - before) / kTriedSweeps;
    const double fit = 1000 * time_limit_ms_ / (kPartsInTime * std::max(sweep_us, 0.001));
    options_.schedule.sweeps = static_cast<std::int32_t>(
        std::clamp(fit, 1.0 * kTriedSweeps, 1.0 * options_.schedule.sweeps));
    return {};
  }

  void work(FormSolver& solver, Progress* progress) {
    const auto words = static_cast<std::size_t>(hal::words_per_head(shape_.tokens));
    std::vector<std::uint64_t> spins(words * static_cast<std::size_t>(shape_.heads));
    while (!stop_.load()) {
      const std::int64_t part = next_part_.fetch_add(1);
      const std::int64_t first = part * restarts_a_part_;
      hal::SolveOptions options = options_;
      if (first >= most_restarts_) return;
      options.schedule.restarts = static_cast<std::int32_t>(
          std::min<std::int64_t>(restarts_a_part_, most_restarts_ - first));
      options.seed = solve_seed(seed_value_, static_cast<std::uint64_t>(part), 0);
      const double elapsed_us = microseconds(Clock::now() - start_);
      if (time_limit_ms_ > 0) {
        // The first part always runs: there is an answer, however short the limit.
        if (part > 0 && elapsed_us >= 1000 * time_limit_ms_) return;
        options.deadline_us = std::max<std::int64_t>(
            1, static_cast<std::int64_t>(1000 * time_limit_ms_ - elapsed_us));
      }
      if (progress != nullptr) {
        progress->update(time_limit_ms_ > 0 ? static_cast<std::int64_t>(elapsed_us / 1000) : first);
      }
      hal::SolveResult result;
      const auto before = Clock::now();
      Status status = solver.solve(options, spins, result);
      const double busy_us = microseconds(Clock::now() - before);
      const std::lock_guard lock(mutex_);
      if (!status.ok()) {
        if (status_.ok()) status_ = std::move(status);
        stop_ = true;
        return;
      }
      add(part, spins, result, busy_us);
    }
  }

  /// Takes one part's answer into account. Called with the lock held.
  void add(std::int64_t part, std::vector<std::uint64_t>& spins, const hal::SolveResult& result,
           double busy_us) {
    total_.proposals += result.proposals;
    total_.flips += result.flips;
    total_.sweeps += result.sweeps;
    restarts_done_ += result.restarts;
    total_.rounds += result.rounds;
    busy_us_ += busy_us;
    const double value = decode_.read(file_, spins);
    if (!best_.found || decode_.better(value, best_.value) ||
        (value == best_.value && part < best_.part)) {
      best_ = {true, value, part, spins, result.solved_by};
    }
    if (reaches_target(value)) stop_ = true;
  }

  Status report(Console& console, const hal::Device& device, const ProblemForm& form) {
    std::string spins;
    const auto words = static_cast<std::size_t>(hal::words_per_head(shape_.tokens));
    for (std::size_t t = 0; t < static_cast<std::size_t>(shape_.heads); ++t) {
      for (std::int32_t i = 0; i < shape_.tokens; ++i) {
        const std::uint64_t word = best_.spins[t * words + static_cast<std::size_t>(i / 64)];
        spins += ((word >> (i % 64)) & 1U) != 0 ? '1' : '0';
      }
    }
    const double ns_per_proposal =
        total_.proposals > 0 ? 1000 * busy_us_ / static_cast<double>(total_.proposals) : 0;
    const auto cut = static_cast<std::int64_t>(best_.value);
    const bool reached = reaches_target(best_.value);
    if (console.json) {
      Json out;
      out["file"] = path_;
      out["kind"] = hal::name_of(file_.kind);
      out["n"] = shape_.spins();
      if (file_.kind == hal::ProblemKind::qama) {
        out["heads"] = shape_.heads;
        out["tokens"] = shape_.tokens;
      }
      if (decode_.maximises()) {
        out["cut"] = cut;
      } else {
        out["energy"] = best_.value;
      }
      out["spins"] = spins;
      out["solve_us"] = solve_us_;
      out["sweeps"] = options_.schedule.sweeps;
      out["restarts"] = restarts_done_;
      out["rounds"] = total_.rounds;
      out["total_sweeps"] = total_.sweeps;
      out["proposals"] = total_.proposals;
      out["flips"] = total_.flips;
      out["ns_per_proposal"] = ns_per_proposal;
      out["kernel"] = best_.solved_by;
      out["device"] = device.info().uri;
      out["seed"] = seed_value_;
      out["threads"] = threads_;
      out["form"] = form.name;
      out["weights_exact"] = form.decode.exact;
      if (target_) out["target_reached"] = reached;
      console.object(out);
      return {};
    }
    console.line(format("kind       %s, %lld spins", std::string(hal::name_of(file_.kind)).c_str(),
                        static_cast<long long>(shape_.spins())));
    if (decode_.maximises()) {
      console.line("cut        " + std::to_string(cut));
    } else {
      console.line(format("energy     %.10g", best_.value));
    }
    if (target_) console.line(std::string("target     ") + (reached ? "reached" : "not reached"));
    console.line(format("time       %.1f us, %.2f ns a proposal", solve_us_, ns_per_proposal));
    console.line(format("work       %d sweeps x %lld restarts, %lld proposals, %lld flips",
                        options_.schedule.sweeps, static_cast<long long>(restarts_done_),
                        static_cast<long long>(total_.proposals),
                        static_cast<long long>(total_.flips)));
    console.line("device     " + device.info().uri + ", kernel " + best_.solved_by + ", seed " +
                 std::to_string(seed_value_));
    console.line("spins      " + spins);
    return {};
  }

  std::string path_;
  std::string format_;
  std::string form_;
  std::string start_kind_ = "guessed";
  std::string device_ = "cpu:";
  hal::SolveOptions options_;
  std::optional<std::int32_t> sweeps_;
  std::optional<double> t_start_, t_end_;
  std::optional<std::int32_t> restarts_;
  double time_limit_ms_ = 0;
  std::optional<double> target_;
  std::optional<std::uint64_t> seed_;
  std::int32_t threads_ = 1;

  hal::ProblemFile file_;
  hal::ProblemShape shape_;
  hal::Decode decode_;
  std::uint64_t seed_value_ = kDefaultSeed;
  std::int64_t most_restarts_ = 0;
  std::int32_t restarts_a_part_ = kLayerRestartsAPart;
  Clock::time_point start_;
  double solve_us_ = 0;

  std::atomic<std::int64_t> next_part_ = 0;
  std::atomic<bool> stop_ = false;
  std::mutex mutex_;  ///< guards what follows
  Status status_;
  Best best_;
  struct {
    std::int64_t proposals = 0, flips = 0, sweeps = 0, rounds = 0;
  } total_;
  std::int64_t restarts_done_ = 0;
  double busy_us_ = 0;
};

}  // namespace

std::unique_ptr<Command> make_solve() {
  return std::make_unique<Solve>();
}

}  // namespace qama::cli
