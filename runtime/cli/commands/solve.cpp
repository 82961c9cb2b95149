// `qama solve`: one problem from a file, on any device (hal/search/solve.h). What is printed as
// energy or cut is computed in the file's own numbers from the returned spins, not taken from the
// device's rounded integers.
#include <algorithm>
#include <cmath>
#include <optional>

#include "build_info.h"
#include "hal/base/quote.h"
#include "hal/device.h"
#include "hal/platform/sha256.h"
#include "hal/search/solve.h"
#include "hal/text/formats.h"
#include "runtime/cli/arguments.h"
#include "runtime/cli/command.h"
#include "runtime/cli/files.h"
#include "runtime/cli/interrupt.h"
#include "runtime/cli/numbers.h"
#include "runtime/cli/receipt.h"
#include "runtime/cli/solve_record.h"

namespace qama::cli {
namespace {

constexpr std::int32_t kMaxRestarts = 1 << 30;

class Solve final : public Command {
 public:
  CommandText text() const override {
    return {
        .summary = "Solve one problem from a file.",
        .notes =
            "A problem file has a line for every pair of variables, in one of these formats:\n"
            "  qama        a QAMA layer in factor form; the first word is 'qama'\n"
            "  maxcut      'n m', then m lines 'i j w': vertices from 1; maximises the cut\n"
            "  qubo        'n m', then m lines 'i j w': variables from 1, i = j is a linear term;\n"
            "              minimises the sum of w x_i x_j over x in {0,1}\n"
            "  ising       the same lines with s in {-1,+1}: 'i i h' and 'i j J'\n"
            "  qbsolv      'p qubo 0 max n m', then lines 'i j w': variables from 0\n"
            "  coo         lines 'i j w' alone: variables from 0; dimod's '# vartype=SPIN' counts\n"
            "  dimacs      'p edge n m', then m lines 'e i j' or 'e i j w'; maximises the cut\n"
            "  mtx         MatrixMarket; minimises x^T A x. mtx-maxcut: the weights of a graph\n"
            "  csv         a matrix M, a row a line; minimises - s^T M s, as the vendor's machine\n"
            "              does. csv-qubo: minimises x^T M x; a .csv with a diagonal is one\n"
            "A line of the first word c, and what follows #, % or //, is a comment. A line 'offset "
            "W' is added to every value. Files may be packed by gzip.\n"
            "Without --format, the file's name or its first line decides; the answer says which. "
            "A list of pairs that could be a graph or a QUBO is refused.\n",
        .examples =
            "qama solve layer.txt --sweeps 200 --restarts 64\n"
            "qama solve G1.mc --time-limit 1000 --target 11624 --json\n"
            "qama solve small.qubo --device exact: --samples 10\n"
            "qama solve G1.mc --receipt G1.receipt && qama replay G1.receipt G1.mc\n"};
  }

  void declare(CLI::App& app) override {
    app.add_option("FILE", path_, "The problem, or - for standard input.")
        ->required()
        ->type_name("");
    reading_.declare(app);
    declare_output(app, "--out", out_, "Write the spins to this file, as 0 and 1, a head a line.");
    app.add_option(
           "--samples", samples_,
           "Give the K best different answers, with how often each was reached: reads of one "
           "restart each, or of 32 that are annealed side by side (form sparse).")
        ->type_name("K")
        ->check(CLI::Range(std::int64_t{1}, hal::kMostAnswers));
    declare_output(app, "--receipt", receipt_path_,
                   "Write what `qama replay` proves the answer with: the problem's hash, seed, "
                   "schedule, value, spins.");
    declare_output(app, "--html", html_,
                   "Write a page with the best value over time and the reads by value.");
    app.add_option("--sweeps", sweeps_,
                   "Let the annealer do N sweeps in each restart; 0 only descends.")
        ->type_name("N")
        ->check(CLI::Range(0, hal::kMaxSweeps))
        ->default_str("200; maxcut, qubo: 1000, with --time-limit: as many as fit");
    app.add_option("--restarts", restarts_, "Start at most N times.")
        ->type_name("N")
        ->check(CLI::Range(1, kMaxRestarts))
        ->default_str("32; --samples: 32 reads or K; with --time-limit: as many as fit");
    app.add_option(
           "--time-limit", time_limit_ms_,
           "Begin no restart after MS milliseconds; one under way cuts its sweeps short and "
           "descends. The first part always runs.")
        ->type_name("MS")
        ->check(CLI::Range(1.0, 1e9));
    app.add_option("--target", target_,
                   "Stop at the energy E or below (maxcut: at the cut E or above).")
        ->type_name("E");
    app.add_option("--t-start", t_start_,
                   "Begin at this temperature, in units of the mean row norm of the couplings.")
        ->type_name("T")
        ->check(above_zero())
        ->default_str("1.2; maxcut, qubo: 0.3");
    app.add_option("--t-end", t_end_, "End at this temperature, in the same units.")
        ->type_name("T")
        ->check(above_zero())
        ->default_str("0.1; maxcut, qubo: 0.03, with --time-limit: colder where that is better");
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
        ->check(above_zero())
        ->capture_default_str();
    std::vector<std::string> forms;
    for (const auto& [name, form] : hal::kFormNames) forms.emplace_back(name);
    app.add_option("--form", form_,
                   "Hold the couplings in this form: planes and sparse are for maxcut and qubo, "
                   "factors for qama; by default, the fastest form.")
        ->type_name("NAME")
        ->check(CLI::IsMember(forms));
    app.add_option("--device", device_,
                   "Solve on this device: cpu:, cpu:KERNEL, exact:, cim://HOST:PORT, ... `qama "
                   "devices` lists those of this machine.")
        ->type_name("URI")
        ->default_str(
            "exact: up to 24 variables without options of the annealer, else cpu:; layers cpu:");
    declare_threads(app, threads_);
    declare_seed(app, seed_, "1");
  }

  Status run(Console& console) override {
    if (target_ && !std::isfinite(*target_)) {
      return Error{ErrorCode::usage, "--target must be a finite number"};
    }
    QAMA_ASSIGN_OR_RETURN(const hal::ProblemFile file, read_problem(path_, reading_.options()));
    QAMA_ASSIGN_OR_RETURN(hal::SolveRequest request, request_for(file.kind));
    const std::string uri =
        device_.empty() ? hal::default_device(file, asks_for_annealing()) : device_;
    QAMA_ASSIGN_OR_RETURN(const auto device, hal::open_device(uri));

    // Against time where there is a limit, else against the number of restarts.
    const bool timed = request.time_limit_ms > 0;
    Progress progress(console, timed ? "qama: solve, ms" : "qama: solve, restarts",
                      timed ? static_cast<std::int64_t>(request.time_limit_ms)
                            : restarts_.value_or(hal::kDefaultSolveRestarts));
    hal::SolveHooks hooks;
    hooks.prepared = [&](hal::Form form, const hal::Decode& decode) {
      console.log("problem " + quote(path_) + ", read as " + hal::describe_format(file) + ", " +
                  std::to_string(file.shape().spins()) + " spins");
      if (is_exhaustive(*device)) {
        console.log("device exact:, all states, in the file's own numbers");
        return;
      }
      const char* weights = form == hal::Form::factors ? "in float"
                            : decode.exact             ? "exact"
                                                       : "rounded to 16 bits";
      const bool improves = !decode.exact && file.kind != hal::ProblemKind::qama &&
                            device->info().uri.starts_with("cpu:");
      console.log("device " + device->info().uri + ", seed " + std::to_string(request.seed) +
                  ", couplings as " + std::string(hal::name_of(form)) + ", weights " + weights +
                  (improves ? ", answers improved in the file's own numbers" : ""));
    };
    hooks.progress = [&](double elapsed_ms, std::int64_t restarts) {
      progress.update(timed ? static_cast<std::int64_t>(elapsed_ms) : restarts);
      return true;
    };
    SolveRecord record(samples_, file.maximises());
    if (samples_ > 0 || !html_.empty()) {
      hooks.answer = [&](double elapsed_ms, double value, const auto& spins) {
        record.add(elapsed_ms, value, spins);
      };
    }
    const Interrupt interrupt;
    request.stop = Interrupt::flag();
    QAMA_ASSIGN_OR_RETURN(const hal::BestAnswer answer, hal::solve(file, *device, request, hooks));
    if (!out_.empty())
      QAMA_RETURN_IF_ERROR(write_file(out_, spins_text(file.shape(), answer.spins, true)));
    if (!receipt_path_.empty()) {
      const std::string receipt = to_json(receipt_of(file, *device, request, answer)).dump();
      QAMA_RETURN_IF_ERROR(write_file(receipt_path_, receipt + "\n"));
    }
    if (!html_.empty()) {
      QAMA_RETURN_IF_ERROR(write_solve_html(html_, path_, file, answer, record,
                                            facts_of(file, *device, request, answer)));
    }
    report(console, file, *device, answer, record);
    if (Interrupt::signal() != 0) {
      console.stopped_by(Interrupt::signal(), "this is the best answer so far");
    }
    return {};
  }

 private:
  /// Spins up to which they are printed without being asked for.
  static constexpr std::int64_t kPrintedSpins = 300;
  /// Of each sample.
  static constexpr std::size_t kSampleSpins = 64;

  static bool is_exhaustive(const hal::Device& device) { return device.info().uri == "exact:"; }

  /// Whether an option is of the annealer only.
  [[nodiscard]] bool asks_for_annealing() const {
    return sweeps_ || t_start_ || t_end_ || restarts_ || !form_.empty() || schedule_.rounds > 0 ||
           start_kind_ != "guessed";
  }

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
    out.fit_end = !t_end_;
    out.restarts = restarts_.value_or(0);
    out.time_limit_ms = time_limit_ms_;
    out.target = target_;
    if (!form_.empty()) {
      QAMA_ASSIGN_OR_RETURN(out.form, hal::parse_form(form_));
    }
    out.answers = samples_;
    out.seed = seed_.value_or(1);
    out.threads = threads_;
    return out;
  }

  static Receipt receipt_of(const hal::ProblemFile& file, const hal::Device& device,
                            const hal::SolveRequest& request, const hal::BestAnswer& answer) {
    Receipt out;
    out.problem_sha256 = problem_sha256(file);
    out.format = file.format;
    out.maximise = file.maximise;
    out.symmetric = file.symmetric;
    out.device = device.info().uri;
    out.request = request;
    // With a target, which parts are done before another thread reaches it is a matter of time.
    out.repeatable = request.time_limit_ms == 0 && !answer.stopped &&
                     (!request.target || request.threads == 1) && device.info().deterministic;
    out.value = answer.value;
    out.optimal = answer.optimal;
    out.spins_sha256 = platform::sha256_hex(spins_text(file.shape(), answer.spins, true));
    out.spins = spins_text(file.shape(), answer.spins);
    out.kernel = answer.solved_by;
    out.revision = kBuildRevision;
    return out;
  }

  /// For the page.
  static std::vector<std::vector<std::string>> facts_of(const hal::ProblemFile& file,
                                                        const hal::Device& device,
                                                        const hal::SolveRequest& request,
                                                        const hal::BestAnswer& answer) {
    return {{"problem's SHA-256", problem_sha256(file)},
            {"read as", hal::describe_format(file)},
            {"means", hal::describe_convention(file)},
            {"device", device.info().uri},
            {"kernel", answer.solved_by},
            {"form", std::string(hal::name_of(answer.form))},
            {"weights", answer.decode.exact ? "exact" : "rounded"},
            {"seed", std::to_string(request.seed)},
            {"threads", std::to_string(request.threads)},
            {"sweeps a restart", std::to_string(answer.sweeps)},
            {"restarts", std::to_string(answer.restarts)},
            {"proposals", std::to_string(answer.proposals)},
            {"milliseconds", value_text(std::round(answer.solve_us) / 1000)},
            {"revision", kBuildRevision}};
  }

  /// The rows of --samples.
  static void report_samples(Console& console, const hal::ProblemFile& file,
                             const SolveRecord& record) {
    const std::vector<hal::AnswerSet::Answer> answers = record.kept().answers();
    console.line(format("samples    %zu different of %lld reads", answers.size(),
                        static_cast<long long>(record.kept().reads())));
    std::size_t width = 0;
    for (const auto& one : answers) width = std::max(width, value_text(one.value).size());
    for (std::size_t k = 0; k < answers.size(); ++k) {
      std::string spins = spins_text(file.shape(), answers[k].spins);
      if (spins.size() > kSampleSpins) spins = spins.substr(0, kSampleSpins) + "...";
      console.line(format("%5zu  %*s  x %-6lld ", k + 1, static_cast<int>(width),
                          value_text(answers[k].value).c_str(),
                          static_cast<long long>(answers[k].count)) +
                   spins);
    }
    const std::vector<SolveRecord::Bin> bins = record.histogram();
    std::int64_t most = 1;
    for (const SolveRecord::Bin& bin : bins) most = std::max(most, bin.count);
    console.line("histogram");
    for (const SolveRecord::Bin& bin : bins) {
      const auto length = static_cast<std::size_t>((40 * bin.count + most - 1) / most);
      const std::string values =
          bin.from == bin.to ? value_text(bin.from) : format("%.6g to %.6g", bin.from, bin.to);
      console.line(format("  %24s %8lld ", values.c_str(), static_cast<long long>(bin.count)) +
                   std::string(length, '#'));
    }
  }

  static void add_samples(Json& out, const hal::ProblemFile& file, const SolveRecord& record) {
    out["reads"] = record.kept().reads();
    out["samples"] = Json::array();
    for (const hal::AnswerSet::Answer& answer : record.kept().answers()) {
      Json one;
      one[value_name(file)] = value_json(answer.value);
      one["count"] = answer.count;
      one["spins"] = spins_text(file.shape(), answer.spins);
      out["samples"].push_back(std::move(one));
    }
    out["histogram"] = Json::array();
    for (const SolveRecord::Bin& bin : record.histogram()) {
      Json one;
      one["from"] = value_json(bin.from);
      one["to"] = value_json(bin.to);
      one["count"] = bin.count;
      out["histogram"].push_back(std::move(one));
    }
    out["improvements"] = Json::array();
    for (const StepPoint& point : record.improvements()) {
      Json one;
      one["ms"] = point.at;
      one[value_name(file)] = value_json(point.value);
      out["improvements"].push_back(std::move(one));
    }
  }

  void report(Console& console, const hal::ProblemFile& file, const hal::Device& device,
              const hal::BestAnswer& answer, const SolveRecord& record) const {
    const hal::ProblemShape shape = file.shape();
    const std::string spins = spins_text(shape, answer.spins);
    const std::uint64_t seed = seed_.value_or(1);
    const double ns_per_proposal =
        answer.proposals > 0 ? 1000 * answer.busy_us / static_cast<double>(answer.proposals) : 0;
    const char* name = value_name(file);
    if (console.json) {
      Json out;
      out["file"] = path_;
      out["kind"] = hal::name_of(file.kind);
      out["format"] = file.format;
      out["guessed_format"] = file.guessed_from.empty() ? Json() : Json(file.format);
      if (!file.guessed_from.empty()) out["guessed_from"] = file.guessed_from;
      out["convention"] = hal::describe_convention(file);
      out["n"] = shape.spins();
      if (file.kind == hal::ProblemKind::qama) {
        out["heads"] = shape.heads;
        out["tokens"] = shape.tokens;
      }
      out[name] = value_json(answer.value);
      out["optimal"] = answer.optimal;
      if (answer.eliminated > 0) out["eliminated"] = answer.eliminated;
      out["spins"] = spins;
      if (!out_.empty()) out["out"] = out_;
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
      if (answer.cut_off) out["cut_off"] = true;
      if (answer.stopped) out["stopped"] = true;
      if (samples_ > 0) add_samples(out, file, record);
      if (!receipt_path_.empty()) out["receipt"] = receipt_path_;
      if (!html_.empty()) out["html"] = html_;
      console.object(out);
      return;
    }
    console.line(format("kind       %s, %lld spins", std::string(hal::name_of(file.kind)).c_str(),
                        static_cast<long long>(shape.spins())));
    console.line("read as    " + hal::describe_format(file));
    console.line("means      " + hal::describe_convention(file));
    console.line(format("%-10s ", name) + value_text(answer.value) +
                 (answer.optimal ? ", optimal" : ""));
    if (answer.eliminated > 0) {
      console.line("eliminated " + std::to_string(answer.eliminated) + " spins of few couplings");
    }
    if (target_) {
      console.line(std::string("target     ") +
                   (answer.target_reached ? "reached" : "not reached"));
    }
    if (answer.cut_off) {
      console.line("cut off    the time limit ended every restart before its " +
                   std::to_string(answer.sweeps) + " sweeps were done");
    }
    if (answer.stopped) console.line("stopped    the best answer so far");
    if (is_exhaustive(device)) {
      console.line(format("time       %.1f us", answer.solve_us));
      console.line(format("work       %lld of %lld states",
                          static_cast<long long>(answer.proposals),
                          static_cast<long long>(std::int64_t{1} << shape.spins())));
      console.line("device     exact:");
    } else {
      console.line(
          format("time       %.1f us, %.2f ns a proposal", answer.solve_us, ns_per_proposal));
      const bool cut_short = time_limit_ms_ > 0 || answer.stopped;
      console.line(format(
          "work       %s%d sweeps x %lld restarts, %lld proposals, %lld flips",
          cut_short ? "at most " : "", answer.sweeps, static_cast<long long>(answer.restarts),
          static_cast<long long>(answer.proposals), static_cast<long long>(answer.flips)));
      console.line("device     " + device.info().uri + ", kernel " + answer.solved_by + ", seed " +
                   std::to_string(seed));
    }
    if (!out_.empty()) {
      console.line("spins      in " + quote(out_));
    } else if (shape.spins() > kPrintedSpins) {
      console.line(format("spins      %lld, not printed: --out FILE or --json has them",
                          static_cast<long long>(shape.spins())));
    } else {
      console.line("spins      " + spins);
    }
    if (samples_ > 0) report_samples(console, file, record);
    if (!receipt_path_.empty()) console.line("receipt    in " + quote(receipt_path_));
    if (!html_.empty()) console.line("page       in " + quote(html_));
  }

  std::string path_;
  ReadingArguments reading_;
  std::string form_;
  std::string start_kind_ = "guessed";
  std::string device_;  ///< empty: hal::default_device
  std::string out_;
  std::int64_t samples_ = 0;
  std::string receipt_path_, html_;
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
