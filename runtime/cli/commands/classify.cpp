// `qama classify`: inputs one after the other, a line or a JSON object for each. An input that
// fails is reported and the next one is taken.
#include <algorithm>
#include <numeric>

#include "runtime/cli/arguments.h"
#include "runtime/cli/command.h"
#include "runtime/cli/inputs.h"
#include "runtime/cli/report.h"

namespace qama::cli {
namespace {

class Classify final : public Command {
 public:
  void declare(CLI::App& app) override {
    declare_model(app, model_path_);
    app.add_option("INPUT", inputs_,
                   "PNG, JPEG, PGM or PPM file, FILE.idx[.gz]:INDEX, text file, or - "
                   "for standard input")
        ->type_name("");
    app.add_option("--text", texts_, "A text itself; may be repeated")
        ->type_name("TEXT")
        ->expected(1)
        ->take_all();
    app.add_option("--top", top_, "Classes listed, the likeliest first")
        ->type_name("K")
        ->check(CLI::Range(1, weights::kMaxDim))
        ->capture_default_str();
    run_.declare(app);
  }

  Status run(Console& console) override {
    if (inputs_.empty() && texts_.empty()) {
      return Error{ErrorCode::usage, "classify needs an INPUT or --text"};
    }
    QAMA_ASSIGN_OR_RETURN(const auto model, runtime::Model::open(model_path_));
    QAMA_ASSIGN_OR_RETURN(const InputReader reader, InputReader::create(model, model_path_));
    QAMA_ASSIGN_OR_RETURN(const auto session, run_.open(model, model_path_, 1, console));
    for (const std::string& name : inputs_) {
      const Status status = classify(console, *session, name, reader.read(name));
      if (!status.ok()) console.report(status.error());
    }
    for (const std::string& text : texts_) {
      const Status status = classify(console, *session, text, reader.text(text, "--text"));
      if (!status.ok()) console.report(status.error());
    }
    return {};
  }

 private:
  Status classify(Console& console, runtime::Session& session, const std::string& name,
                  const Result<Input>& input) const {
    if (!input.ok()) return input.error();
    const runtime::Model& model = session.model();
    std::vector<float> logits(static_cast<std::size_t>(model.classes()));
    QAMA_RETURN_IF_ERROR(run_input(session, *input, logits));
    QAMA_ASSIGN_OR_RETURN(const std::vector<double> p, probabilities(logits));

    std::vector<std::int32_t> order(p.size());
    std::iota(order.begin(), order.end(), 0);
    // By logits: probabilities of far-off classes may all be 0.
    std::stable_sort(order.begin(), order.end(), [&logits](std::int32_t a, std::int32_t b) {
      return logits[static_cast<std::size_t>(a)] > logits[static_cast<std::size_t>(b)];
    });
    order.resize(std::min(order.size(), static_cast<std::size_t>(top_)));
    const auto probability = [&p](std::int32_t c) { return p[static_cast<std::size_t>(c)]; };
    SolveCounter solvers;
    solvers.add(session, 0);

    if (console.json) {
      Json out;
      out["input"] = name;
      out["label"] = model.label(order[0]);
      out["class"] = order[0];
      out["probability"] = probability(order[0]);
      Json top = Json::array();
      for (const std::int32_t c : order) {
        top.push_back({{"label", model.label(c)}, {"class", c}, {"probability", probability(c)}});
      }
      out["top"] = std::move(top);
      out["latency_us"] = session.latency_us(0);
      out["solved_by"] = solvers.text();
      if (!solvers.fallbacks().empty()) out["fallbacks"] = solvers.fallbacks();
      out["seed"] = session.seed();
      console.object(out);
      return {};
    }
    std::string line = name + ": ";
    for (std::size_t i = 0; i < order.size(); ++i) {
      line += format("%s%s %.1f %%", i > 0 ? ", " : "", std::string(model.label(order[i])).c_str(),
                     100 * probability(order[i]));
    }
    line += format("  (%.0f us", session.latency_us(0));
    if (!solvers.text().empty()) line += ", " + solvers.text();
    console.line(line + ")");
    return {};
  }

  std::string model_path_;
  std::vector<std::string> inputs_;
  std::vector<std::string> texts_;
  std::int32_t top_ = 3;
  RunArguments run_;
};

}  // namespace

std::unique_ptr<Command> make_classify() {
  return std::make_unique<Classify>();
}

}  // namespace qama::cli
