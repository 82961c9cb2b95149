// `qama solve`: one problem from a file, on any device (hal/search/solve.h). What is printed as
// energy or cut is computed in the file's own numbers from the returned spins, not taken from the
// device's rounded integers.
#include <cmath>
#include <optional>

#include "hal/base/quote.h"
#include "hal/device.h"
#include "hal/platform/file.h"
#include "hal/search/solve.h"
#include "hal/text/formats.h"
#include "runtime/cli/arguments.h"
#include "runtime/cli/command.h"
#include "runtime/cli/interrupt.h"

namespace qama::cli {
namespace {

constexpr std::int32_t kMaxRestarts = 1 << 30;

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
    app.add_option("--rounds", schedule_.rounds,
                   "After every 16 restarts (maxcut, qubo: 32), anneal N groups of four again from "
                   "the best of their answers.")
        ->type_name("N")
        ->check(CLI::Range(0, hal::kMaxRestarts))
        ->capture_default_str();
    app.add_option("--round-sweeps", schedule_.round_sweeps, "Let each round do N sweeps.")
        ->type_name("N")
        ->check(CLI::Range(0, hal::kMaxSweeps))
        ->capture_default_str();
    app.add_option("--t-round", schedule_.t_round, "Begin a round at this temperature.")
        ->type_name("T")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    std::vector<std::string> forms;
    for (const auto& [name, form] : hal::kFormNames) forms.emplace_back(name);
    app.add_option("--form", form_,
                   "Hold the couplings in this form: planes and sparse are for maxcut and qubo, "
                   "factors for qama; by default, the fastest form.")
        ->type_name("NAME")
        ->check(CLI::IsMember(forms));
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
    QAMA_ASSIGN_OR_RETURN(const hal::ProblemFile file, hal::parse_problem(text, path_, format_));
    QAMA_ASSIGN_OR_RETURN(const hal::SolveRequest request, request_for(file.kind));
    QAMA_ASSIGN_OR_RETURN(const auto device, hal::open_device(device_));

    // Against time where there is a limit, else against the number of restarts.
    const bool timed = request.time_limit_ms > 0;
    Progress progress(console, timed ? "qama: solve, ms" : "qama: solve, restarts",
                      timed ? static_cast<std::int64_t>(request.time_limit_ms)
                            : restarts_.value_or(hal::kDefaultSolveRestarts));
    hal::SolveHooks hooks;
    hooks.prepared = [&](hal::Form form, const hal::Decode& decode) {
      const char* weights = form == hal::Form::factors ? "in float"
                            : decode.exact             ? "exact"
                                                       : "rounded to 16 bits";
      console.log("problem " + quote(path_) + ", " + std::string(hal::name_of(file.kind)) + ", " +
                  std::to_string(file.shape().spins()) + " spins, device " + device->info().uri +
                  ", seed " + std::to_string(request.seed) + ", couplings as " +
                  std::string(hal::name_of(form)) + ", weights " + weights);
    };
    hooks.progress = [&](double elapsed_ms, std::int64_t restarts) {
      progress.update(timed ? static_cast<std::int64_t>(elapsed_ms) : restarts);
      return Interrupt::signal() == 0;
    };
    const Interrupt interrupt;
    QAMA_ASSIGN_OR_RETURN(const hal::BestAnswer answer, hal::solve(file, *device, request, hooks));
    report(console, file, *device, answer);
    if (Interrupt::signal() != 0) {
      console.stopped_by(Interrupt::signal(), "this is the best answer so far");
    }
    return {};
  }

 private:
  /// What the options ask for; what they leave open suits the kind of problem.
  Result<hal::SolveRequest> request_for(hal::ProblemKind kind) const {
    hal::SolveRequest out = hal::default_request(kind);
    out.schedule.sweeps = sweeps_.value_or(out.schedule.sweeps);
    out.schedule.t_start = t_start_.value_or(out.schedule.t_start);
    out.schedule.t_end = t_end_.value_or(out.schedule.t_end);
    out.schedule.rounds = schedule_.rounds;
    out.schedule.round_sweeps = schedule_.round_sweeps;
    out.schedule.t_round = schedule_.t_round;
    if (out.schedule.t_end > out.schedule.t_start) {
      return Error{ErrorCode::usage, "--t-end is above --t-start"};
    }
    QAMA_ASSIGN_OR_RETURN(out.schedule.start, hal::parse_start_kind(start_kind_));
    out.fit_sweeps = !sweeps_;
    out.restarts = restarts_.value_or(0);
    out.time_limit_ms = time_limit_ms_;
    out.target = target_;
    if (!form_.empty()) {
      QAMA_ASSIGN_OR_RETURN(out.form, hal::parse_form(form_));
    }
    out.seed = seed_.value_or(1);
    out.threads = threads_;
    return out;
  }

  /// Spins as 0 and 1, head after head.
  static std::string spins_text(const hal::ProblemShape& shape,
                                const std::vector<std::uint64_t>& spins) {
    std::string out;
    const auto words = static_cast<std::size_t>(hal::words_per_head(shape.tokens));
    for (std::size_t t = 0; t < static_cast<std::size_t>(shape.heads); ++t) {
      for (std::int32_t i = 0; i < shape.tokens; ++i) {
        const std::uint64_t word = spins[t * words + static_cast<std::size_t>(i / 64)];
        out += ((word >> (i % 64)) & 1U) != 0 ? '1' : '0';
      }
    }
    return out;
  }

  void report(Console& console, const hal::ProblemFile& file, const hal::Device& device,
              const hal::BestAnswer& answer) const {
    const hal::ProblemShape shape = file.shape();
    const std::string spins = spins_text(shape, answer.spins);
    const std::uint64_t seed = seed_.value_or(1);
    const double ns_per_proposal =
        answer.proposals > 0 ? 1000 * answer.busy_us / static_cast<double>(answer.proposals) : 0;
    const bool is_cut = file.kind == hal::ProblemKind::maxcut;
    const auto cut = static_cast<std::int64_t>(answer.value);
    if (console.json) {
      Json out;
      out["file"] = path_;
      out["kind"] = hal::name_of(file.kind);
      out["n"] = shape.spins();
      if (file.kind == hal::ProblemKind::qama) {
        out["heads"] = shape.heads;
        out["tokens"] = shape.tokens;
      }
      if (is_cut) {
        out["cut"] = cut;
      } else {
        out["energy"] = answer.value;
      }
      out["spins"] = spins;
      out["solve_us"] = answer.solve_us;
      out["sweeps"] = answer.sweeps;
      out["restarts"] = answer.restarts;
      out["rounds"] = answer.rounds;
      out["total_sweeps"] = answer.total_sweeps;
      out["proposals"] = answer.proposals;
      out["flips"] = answer.flips;
      out["ns_per_proposal"] = ns_per_proposal;
      out["kernel"] = answer.solved_by;
      out["device"] = device.info().uri;
      out["seed"] = seed;
      out["threads"] = threads_;
      out["form"] = hal::name_of(answer.form);
      out["weights_exact"] = answer.decode.exact;
      if (target_) out["target_reached"] = answer.target_reached;
      if (Interrupt::signal() != 0) out["stopped"] = true;
      console.object(out);
      return;
    }
    console.line(format("kind       %s, %lld spins", std::string(hal::name_of(file.kind)).c_str(),
                        static_cast<long long>(shape.spins())));
    console.line(is_cut ? "cut        " + std::to_string(cut)
                        : format("energy     %.10g", answer.value));
    if (target_) {
      console.line(std::string("target     ") +
                   (answer.target_reached ? "reached" : "not reached"));
    }
    console.line(
        format("time       %.1f us, %.2f ns a proposal", answer.solve_us, ns_per_proposal));
    console.line(format("work       %d sweeps x %lld restarts, %lld proposals, %lld flips",
                        answer.sweeps, static_cast<long long>(answer.restarts),
                        static_cast<long long>(answer.proposals),
                        static_cast<long long>(answer.flips)));
    console.line("device     " + device.info().uri + ", kernel " + answer.solved_by + ", seed " +
                 std::to_string(seed));
    console.line("spins      " + spins);
  }

  std::string path_;
  std::string format_;
  std::string form_;
  std::string start_kind_ = "guessed";
  std::string device_ = "cpu:";
  hal::Schedule schedule_;  ///< what rounds are
  std::optional<std::int32_t> sweeps_;
  std::optional<double> t_start_, t_end_;
  std::optional<std::int32_t> restarts_;
  double time_limit_ms_ = 0;
  std::optional<double> target_;
  std::optional<std::uint64_t> seed_;
  std::int32_t threads_ = 1;
};

}  // namespace

std::unique_ptr<Command> make_solve() {
  return std::make_unique<Solve>();
}

}  // namespace qama::cli
