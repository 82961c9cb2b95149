// `qama explain`: for one input, what the paper shows of its operator. Figure 3: which tokens every
// head selected. Figure 4: the energy of every token and the distribution of the layer's output.
// Figure 5: the energy after every single flip against the energy of the answer.
#include "hal/base/quote.h"
#include "runtime/api/sample.h"
#include "runtime/api/watcher.h"
#include "runtime/cli/arguments.h"
#include "runtime/cli/command.h"
#include "runtime/cli/explain/report.h"
#include "runtime/cli/files.h"
#include "runtime/cli/picture_arguments.h"

namespace qama::cli {
namespace {

class Explain final : public Command {
 public:
  CommandText text() const override {
    return {.summary = "Show what the heads selected for one input, and what a flip would cost.",
            .examples =
                "qama explain -m MODEL shoe.png --html shoe.html\n"
                "qama explain -m MODEL --text \"A wonderful film.\"\n"};
  }

  void declare(CLI::App& app) override {
    declare_model(app, model_path_, model_options_);
    auto* input =
        app.add_option("INPUT", input_, "The input, as `qama classify` takes it.")->type_name("");
    app.add_option("--text", text_, "Explain this text, in place of INPUT.")
        ->type_name("TEXT")
        ->excludes(input);
    declare_output(app, "--html", html_,
                   "Write a page with Figures 3, 4 and 5 of the paper for this input to FILE.");
    app.add_flag("--strict", strict_,
                 "Fail if the input says nothing to the model: a text without a known word, a "
                 "picture of one colour.");
    pictures_.declare(app);
    run_.declare(app);
  }

  Status run(Console& console) override {
    if (input_.empty() && text_.empty())
      return Error{ErrorCode::usage, "explain needs an INPUT or --text"};
    QAMA_ASSIGN_OR_RETURN(const auto model, runtime::Model::open(model_path_, model_options_));
    QAMA_RETURN_IF_ERROR(need_qama(*model, model_path_, "explain"));
    QAMA_ASSIGN_OR_RETURN(const auto reader,
                          runtime::SampleReader::create(model, model_path_, pictures_.options()));
    QAMA_ASSIGN_OR_RETURN(const runtime::Sample input,
                          text_.empty() ? reader.read(input_) : reader.text(text_, "--text"));
    run_.integers = true;
    QAMA_ASSIGN_OR_RETURN(const auto session, run_.open(model, model_path_, 1, console));
    QAMA_ASSIGN_OR_RETURN(const Explanation explanation, explain(*session, input));
    if (!html_.empty()) {
      QAMA_RETURN_IF_ERROR(
          write_explanation_html(explanation, model->architecture(), input.pixels, html_));
    }
    if (strict_ && input.doubt) return *input.doubt;
    if (input.doubt) console.log("note: " + input.doubt->message);
    if (console.json) {
      console.object(explanation_json(explanation));
    } else {
      print_explanation(explanation, console);
    }
    return {};
  }

 private:
  Result<Explanation> explain(runtime::Session& session, const runtime::Sample& input) const {
    const runtime::Model& model = session.model();
    runtime::Watcher watcher;
    watcher.all_tokens = static_cast<std::size_t>(model.architecture().tokens());
    runtime::Hooks hooks;
    hooks.recorder = &watcher;
    hooks.problems = &watcher;
    std::vector<float> logits(static_cast<std::size_t>(model.classes()));
    QAMA_RETURN_IF_ERROR(runtime::run_sample(session, input, logits, hooks));
    std::vector<double> p(logits.size());
    QAMA_RETURN_IF_ERROR(runtime::softmax(logits, p));
    Explanation out;
    out.model_path = model_path_;
    out.input = input_.empty() ? text_ : input_;
    out.answer = runtime::argmax(logits);
    out.label = model.label(out.answer);
    out.probability = p[static_cast<std::size_t>(out.answer)];
    const weights::Architecture& a = model.architecture();
    // Class tokens have no place in the grid.
    if (a.is_image() && a.class_tokens == 0) out.columns = a.grid_cols() / a.token_pool_cols;
    out.device = session.device()->info().uri;
    out.seed = session.seed();
    out.solvers.add(session, 0);
    out.layers = std::move(watcher.layers);
    out.words = input.words;
    for (std::size_t i = 0; i < out.words.size(); ++i) {
      out.known.push_back(input.tokens[i] != runtime::kUnknownWord);
    }
    return out;
  }

  std::string model_path_, input_, text_, html_;
  weights::ModelOptions model_options_;
  bool strict_ = false;
  PictureArguments pictures_;
  RunArguments run_;
};

}  // namespace

std::unique_ptr<Command> make_explain() {
  return std::make_unique<Explain>();
}

}  // namespace qama::cli
