// `qama cim-check`: what is left of a problem, or of a model's layers, on an Ising machine of 8-bit
// couplings, and whether the machine has anything to do (hal/search/cim_check.h).
#include "hal/search/cim_check.h"

#include <algorithm>

#include "hal/base/quote.h"
#include "hal/lower/lower.h"
#include "hal/text/formats.h"
#include "hal/text/lines.h"
#include "runtime/api/sample.h"
#include "runtime/cli/arguments.h"
#include "runtime/cli/command.h"
#include "runtime/cli/files.h"
#include "runtime/cli/html/charts.h"
#include "runtime/cli/html/page.h"
#include "runtime/cli/picture_arguments.h"
#include "runtime/cli/recorder.h"

namespace qama::cli {
namespace {

/// A problem that is checked, with what came out.
struct CheckedProblem {
  std::string name;
  hal::ProblemFile file;
  hal::CimCheck check = {};
};

/// Keeps the layers that go by, in the real numbers behind them where they have factors.
class LayerFiles final : public runtime::ProblemSink {
 public:
  LayerFiles(std::vector<CheckedProblem>& out, std::string input)
      : out_(out), input_(std::move(input)) {}
  void problem(const runtime::LayerProblem& layer) override {
    const std::string name = input_ + ", block " + std::to_string(layer.layer);
    out_.push_back(
        {name, layer.factors.empty()
                   ? hal::to_qubo(*layer.problem)
                   : hal::ProblemFile{.layer = to_factors(layer, "layer"), .graph = {}}});
  }

 private:
  std::vector<CheckedProblem>& out_;
  std::string input_;
};

class CimCheckCommand final : public Command {
 public:
  CommandText text() const override {
    return {
        .summary = "Say what eight bits leave of a problem on an Ising machine.",
        .notes =
            "The machine takes couplings of -127 to 127 and no fields: these go through ancillas, "
            "further spins. With one ancilla the largest field takes the whole range, and "
            "couplings that are small beside it become 0. With more ancillas the field is shared.\n"
            "For every problem: the spins that it needs, the steps that its couplings keep, the "
            "energy that rounding costs against the optimum (proven up to 24 spins, else the best "
            "known of the annealer), a verdict, and the ancillas that would mend it.\n",
        .examples =
            "qama cim-check layer.txt\n"
            "qama cim-check matrix.csv --html matrix.html\n"
            "qama cim-check -m MODEL shoe.png --json\n"};
  }

  void declare(CLI::App& app) override {
    app.add_option("INPUT", inputs_,
                   "Problem files, in every format that `qama solve` reads; with --model, inputs "
                   "as `qama classify` takes them, whose layers are checked.")
        ->type_name("");
    app.add_option("-m,--model", model_path_, "Check the layers of this model.")
        ->type_name("MODEL");
    declare_trust(app, model_options_);
    app.add_option("--text", text_, "With --model, check the layers of this text.")
        ->type_name("TEXT");
    reading_.declare(app);
    app.add_option("--machine-spins", options_.machine_spins,
                   "The machine has N spins, ancillas included.")
        ->type_name("N")
        ->check(CLI::Range(2, 1 << 20))
        ->capture_default_str();
    declare_output(app, "--html", html_, "Write a page with a picture of every problem to FILE.");
    declare_seed(app, seed_, "1");
    pictures_.declare(app);
  }

  Status run(Console& console) override {
    if (inputs_.empty() && text_.empty())
      return Error{ErrorCode::usage, "cim-check needs a problem file, or --model and an input"};
    if (model_path_.empty() && !text_.empty())
      return Error{ErrorCode::usage, "--text needs --model"};
    if (model_path_.empty() && model_options_.trust)
      return Error{ErrorCode::usage, "--trust needs --model"};
    if (!model_path_.empty() && reading_.given()) {
      return Error{ErrorCode::usage,
                   "--format, --maximise and --symmetric are of problem files, not of --model"};
    }
    options_.seed = seed_.value_or(1);
    std::vector<CheckedProblem> problems;
    QAMA_RETURN_IF_ERROR(model_path_.empty() ? read_files(problems) : run_model(console, problems));
    Progress progress(console, "qama: cim-check", static_cast<std::int64_t>(problems.size()));
    std::int64_t done = 0;
    for (CheckedProblem& problem : problems) {
      QAMA_ASSIGN_OR_RETURN(problem.check, hal::cim_check(problem.file, options_));
      progress.update(++done);
    }
    if (!html_.empty()) QAMA_RETURN_IF_ERROR(write_page(problems));
    if (console.json) {
      report_json(console, problems);
    } else {
      for (const CheckedProblem& problem : problems) report_text(console, problem);
    }
    return {};
  }

 private:
  Status read_files(std::vector<CheckedProblem>& out) const {
    for (const std::string& path : inputs_) {
      QAMA_ASSIGN_OR_RETURN(hal::ProblemFile file, read_problem(path, reading_.options()));
      out.push_back({path, std::move(file)});
    }
    return {};
  }

  Status run_model(Console& console, std::vector<CheckedProblem>& out) const {
    QAMA_ASSIGN_OR_RETURN(const auto model, runtime::Model::open(model_path_, model_options_));
    QAMA_RETURN_IF_ERROR(need_qama(*model, model_path_, "cim-check"));
    QAMA_ASSIGN_OR_RETURN(const auto reader,
                          runtime::SampleReader::create(model, model_path_, pictures_.options()));
    RunArguments arguments;
    arguments.integers = true;
    arguments.seed = seed_;
    QAMA_ASSIGN_OR_RETURN(const auto session, arguments.open(model, model_path_, 1, console));
    std::vector<float> logits(static_cast<std::size_t>(model->classes()));
    const auto add = [&](const std::string& name, const runtime::Sample& sample) -> Status {
      LayerFiles layers(out, name);
      runtime::Hooks hooks;
      hooks.problems = &layers;
      return runtime::run_sample(*session, sample, logits, hooks);
    };
    for (const std::string& name : inputs_) {
      QAMA_ASSIGN_OR_RETURN(const runtime::Sample sample, reader.read(name));
      QAMA_RETURN_IF_ERROR(add(name, sample));
    }
    if (!text_.empty()) {
      QAMA_ASSIGN_OR_RETURN(const runtime::Sample sample, reader.text(text_, "--text"));
      QAMA_RETURN_IF_ERROR(add("--text", sample));
    }
    return {};
  }

  static Json rounding_json(const hal::CimRounding& r, bool solved) {
    Json out;
    out["ancillas"] = r.ancillas;
    out["scale"] = r.scale;
    out["exact"] = r.exact;
    out["levels"] = r.levels;
    out["deviation"] = r.deviation;
    out["zeroed"] = r.zeroed;
    out["zeroed_share"] = r.zeroed_share;
    out["undecided"] = r.undecided;
    if (!solved) return out;
    out["value"] = r.value;
    out["lost"] = r.lost;
    out["lost_percent"] = r.lost_percent;
    out["answer"] = r.spins;
    return out;
  }

  void report_json(Console& console, const std::vector<CheckedProblem>& problems) const {
    Json list = Json::array();
    for (const CheckedProblem& problem : problems) {
      const hal::CimCheck& c = problem.check;
      Json out;
      out["name"] = problem.name;
      out["kind"] = hal::name_of(problem.file.kind);
      if (!problem.file.format.empty()) out["format"] = problem.file.format;
      if (!problem.file.guessed_from.empty()) out["guessed_from"] = problem.file.guessed_from;
      out["spins"] = c.spins;
      out["spins_needed"] = c.spins + c.one.ancillas;
      out["fits"] = c.fits;
      out["given_ancilla"] = c.given_ancilla >= 0 ? Json(c.given_ancilla) : Json();
      out["couplings"] = c.couplings;
      out["largest_coupling"] = c.largest_coupling;
      out["largest_field"] = c.largest_field;
      out["undecided"] = c.undecided;
      out["wanted_ancillas"] = c.wanted_ancillas;
      out["spare"] = c.spare;
      out["copies"] = c.copies;
      if (c.solved) {
        out["optimum"] = c.optimum;
        out["optimum_is"] = c.proven ? "proven" : "best known";
        out["answer"] = c.spins_of_optimum;
      }
      out["one"] = rounding_json(c.one, c.solved);
      out["more"] = rounding_json(c.more, c.solved);
      out["verdict"] = hal::name_of(c.verdict);
      out["sentence"] = c.sentence;
      list.push_back(std::move(out));
    }
    Json out;
    out["machine"] = {{"spins", options_.machine_spins}, {"coupling_bits", 8}};
    if (!model_path_.empty()) out["model"] = model_path_;
    out["seed"] = options_.seed;
    out["problems"] = std::move(list);
    console.object(out);
  }

  static std::string with_ancillas(const hal::CimRounding& r) {
    return std::to_string(r.ancillas) + (r.ancillas == 1 ? " ancilla" : " ancillas");
  }

  static std::string figures(const hal::CimRounding& r, bool solved) {
    std::string out =
        format("couplings to %d steps, deviation %.2f, %.1f %% become 0, scale %.6g%s", r.levels,
               r.deviation, 100 * r.zeroed_share, r.scale, r.exact ? ", exact" : "");
    if (solved) out += format("; energy lost %.6g, %.3g %%", r.lost, r.lost_percent);
    return out;
  }

  static void report_text(Console& console, const CheckedProblem& problem) {
    const hal::CimCheck& c = problem.check;
    console.line(problem.name);
    if (!problem.file.format.empty())
      console.line("  read as    " + hal::describe_format(problem.file));
    console.line("  verdict    " + c.sentence);
    std::string spins =
        format("%lld, and %d for the fields", static_cast<long long>(c.spins), c.one.ancillas);
    if (c.given_ancilla >= 0) {
      spins +=
          format("; spin %lld of the file carries them",
                 static_cast<long long>(c.given_ancilla + std::int64_t{problem.file.index_base}));
    }
    console.line("  spins      " + spins);
    std::string couplings = format("  couplings  %lld", static_cast<long long>(c.couplings));
    if (c.largest_coupling > 0 && c.largest_field > 0) {
      couplings += format("; the largest field is %.3g times the largest coupling",
                          c.largest_field / c.largest_coupling);
    }
    console.line(couplings);
    console.line(
        format("  undecided  %lld spins that the fields do not decide, %lld after rounding",
               static_cast<long long>(c.undecided), static_cast<long long>(c.one.undecided)));
    if (c.solved) {
      std::string value;
      hal::append_number(value, c.optimum, 0);
      console.line("  optimum    " + value + (c.proven ? ", proven" : ", best known"));
    }
    console.line("  " + with_ancillas(c.one) + ": " + figures(c.one, c.solved));
    if (c.more.ancillas > c.one.ancillas)
      console.line("  " + with_ancillas(c.more) + ": " + figures(c.more, c.solved));
  }

  /// A page with a picture of every problem: how many couplings have how many steps.
  Status write_page(const std::vector<CheckedProblem>& problems) const {
    HtmlPage page("What eight bits leave", format("%zu problems, a machine of %d spins",
                                                  problems.size(), options_.machine_spins));
    for (const CheckedProblem& problem : problems) {
      const hal::CimCheck& c = problem.check;
      page.heading(problem.name);
      page.text(c.sentence);
      std::vector<std::vector<std::string>> rows;
      for (const hal::CimRounding* r : {&c.one, &c.more}) {
        if (r == &c.more && c.more.ancillas <= c.one.ancillas) continue;
        rows.push_back({with_ancillas(*r), std::to_string(r->levels), format("%.2f", r->deviation),
                        format("%.1f %%", 100 * r->zeroed_share),
                        c.solved ? format("%.3g %%", r->lost_percent) : "-"});
        page.markup("<figure>" + steps_picture(*r) + "</figure>");
      }
      page.table({"with", "steps of the largest coupling", "deviation, steps", "couplings at 0",
                  "energy lost"},
                 rows);
    }
    return page.write(html_);
  }

  static std::string steps_picture(const hal::CimRounding& r) {
    std::vector<double> values;
    for (std::size_t step = 0; step < r.steps.size(); ++step)
      values.insert(values.end(), static_cast<std::size_t>(r.steps[step]),
                    static_cast<double>(step));
    if (values.empty()) return {};
    return histogram(values, "steps of a coupling, " + with_ancillas(r));
  }

  std::vector<std::string> inputs_;
  std::string model_path_, text_, html_;
  weights::ModelOptions model_options_;
  ReadingArguments reading_;
  hal::CimCheckOptions options_;
  std::optional<std::uint64_t> seed_;
  PictureArguments pictures_;
};

}  // namespace

std::unique_ptr<Command> make_cim_check() {
  return std::make_unique<CimCheckCommand>();
}

}  // namespace qama::cli
