// `qama classify`: inputs one after the other, a line or a JSON object for each. An input that
// fails is reported and the next one is taken.
#include <algorithm>

#include "hal/base/quote.h"
#include "runtime/api/sample.h"
#include "runtime/cli/arguments.h"
#include "runtime/cli/command.h"
#include "runtime/cli/files.h"
#include "runtime/cli/picture_arguments.h"
#include "runtime/cli/report.h"
#include "runtime/cli/text_inputs.h"
#include "runtime/io/png_writer.h"

namespace qama::cli {
namespace {

class Classify final : public Command {
 public:
  CommandText text() const override {
    return {.summary = "Classify images, texts or features.",
            .examples =
                "qama classify -m weights/models/fashion-mnist-qama.safetensors shoe.png\n"
                "qama classify -m MODEL t10k-images-idx3-ubyte.gz:7 --json\n"
                "qama classify -m weights/models/imdb-qama.safetensors --text \"What a film!\"\n"
                "qama classify -m MODEL --lines reviews.txt\n"
                "qama classify -m MODEL reviews.csv --column review\n"
                "qama classify -m MODEL features.npy:7\n"
                "cat shoe.png | qama classify -m MODEL -\n"};
  }

  void declare(CLI::App& app) override {
    declare_model(app, model_path_, model_options_);
    app.add_option("INPUT", inputs_,
                   "An image file (PNG, JPEG, PNM, BMP, GIF, WebP), an item of an IDX file as "
                   "FILE.idx[.gz]:INDEX, a "
                   "text file, a directory of .txt files, a table of texts as .csv or .tsv, a .npy "
                   "file of one sample's features, one of several as FILE.npy:INDEX, or - "
                   "for standard input.")
        ->type_name("");
    app.add_option("--text", texts_, "Classify this text.")
        ->type_name("TEXT")
        ->expected(1)
        ->take_all();
    app.add_option("--lines", lines_,
                   "Classify every line of this file as a text of its own; - is standard input.")
        ->type_name("FILE")
        ->expected(1)
        ->take_all();
    app.add_option("--column", column_,
                   "The inputs are tables with a header line: classify the texts of this column.")
        ->type_name("NAME");
    app.add_flag("--strict", strict_,
                 "Take an input that says nothing to the model for an error: a text that is empty "
                 "or has no known word, a picture of one colour.");
    pictures_.declare(app);
    declare_output(app, "--show", show_,
                   "Write what the model sees of the picture to FILE, a PNG of enlarged pixels.");
    app.add_option("--top", top_, "List the K likeliest classes, the likeliest first.")
        ->type_name("K")
        ->check(CLI::Range(1, weights::kMaxDim))
        ->capture_default_str();
    run_.declare(app);
  }

  Status run(Console& console) override {
    if (inputs_.empty() && texts_.empty() && lines_.empty()) {
      return Error{ErrorCode::usage, "classify needs an INPUT, --text or --lines"};
    }
    QAMA_ASSIGN_OR_RETURN(const auto model, runtime::Model::open(model_path_, model_options_));
    QAMA_ASSIGN_OR_RETURN(const auto reader,
                          runtime::SampleReader::create(model, model_path_, pictures_.options()));
    if (!show_.empty() && (inputs_.size() != 1 || !model->architecture().is_image())) {
      return Error{ErrorCode::usage, "--show needs one picture as INPUT"};
    }
    QAMA_ASSIGN_OR_RETURN(const auto session, run_.open(model, model_path_, 1, console));
    if (!column_.empty() && !model->architecture().is_text()) {
      return runtime::wrong_kind(model_path_, *model, "the texts of --column");
    }
    const auto answer = [&](const std::string& name, const Result<runtime::Sample>& sample) {
      const Status status = classify(console, *session, name, sample);
      if (!status.ok()) console.report(status.error());
      // A program that is stopped has printed whole lines. A reader behind a pipe does not wait.
      // The error of a reader that left is kept, and told at the end.
      (void)console.finish().ok();
    };
    const auto take = [&](const std::string& name, const Result<std::string>& text) {
      answer(name, text.ok() ? reader.text(*text, name) : Result<runtime::Sample>(text.error()));
    };
    for (const std::string& name : inputs_) {
      if (model->architecture().is_text() && holds_texts(name, column_)) {
        every_text(name, column_, take);
      } else {
        answer(name, reader.read(name));
      }
    }
    for (const std::string& text : texts_) answer(text, reader.text(text, "--text"));
    for (const std::string& path : lines_) every_line(path, take);
    return {};
  }

 private:
  Status classify(Console& console, runtime::Session& session, const std::string& name,
                  const Result<runtime::Sample>& sample) const {
    if (!sample.ok()) return sample.error();
    const runtime::Model& model = session.model();
    if (!show_.empty()) QAMA_RETURN_IF_ERROR(show(model.architecture(), *sample));
    if (strict_ && sample->doubt) return *sample->doubt;
    const std::vector<std::string> notes = notes_of(*sample, name);
    std::vector<float> logits(static_cast<std::size_t>(model.classes()));
    QAMA_RETURN_IF_ERROR(runtime::run_sample(session, *sample, logits));
    std::vector<runtime::Guess> top(logits.size());
    QAMA_RETURN_IF_ERROR(runtime::rank(logits, top));
    top.resize(std::min(top.size(), static_cast<std::size_t>(top_)));
    runtime::SolveCounter solvers;
    solvers.add(session, 0);

    if (console.json) {
      Json out;
      out["input"] = name;
      out["label"] = model.label(top[0].class_index);
      out["class"] = top[0].class_index;
      out["probability"] = top[0].probability;
      Json listed = Json::array();
      for (const auto& [c, probability] : top) {
        listed.push_back({{"label", model.label(c)}, {"class", c}, {"probability", probability}});
      }
      out["top"] = std::move(listed);
      out["latency_us"] = session.latency_us(0);
      out["solved_by"] = solvers.text();
      if (!solvers.fallbacks().empty()) out["fallbacks"] = solvers.fallbacks();
      out["seed"] = session.seed();
      if (model.architecture().is_text()) {
        out["words"] = sample->text.words;
        out["unknown_words"] = sample->text.unknown;
        out["truncated"] = sample->text.truncated();
      }
      if (model.architecture().is_image()) {
        out["blank"] = sample->picture.blank;
        out["inverted"] = sample->picture.inverted;
      }
      if (!notes.empty()) out["notes"] = notes;
      console.object(out);
      return {};
    }
    for (const std::string& note : notes) console.log("note: " + note);
    std::string line = name + ": ";
    for (std::size_t i = 0; i < top.size(); ++i) {
      line +=
          format("%s%s %.1f %%", i > 0 ? ", " : "",
                 std::string(model.label(top[i].class_index)).c_str(), 100 * top[i].probability);
    }
    line += format("  (%.0f us", session.latency_us(0));
    if (!solvers.text().empty()) line += ", " + solvers.text();
    console.line(line + ")");
    return {};
  }

  /// What a person should know of the sample before they believe the answer.
  static std::vector<std::string> notes_of(const runtime::Sample& sample, const std::string& name) {
    std::vector<std::string> out;
    if (sample.doubt) out.push_back(sample.doubt->message);
    if (sample.text.truncated()) {
      out.push_back(format("text %s: only %d of its %lld words are read", quote(name).c_str(),
                           sample.text.length - sample.text.around,
                           static_cast<long long>(sample.text.words)));
    }
    return out;
  }

  /// Enlarged as far as half a screen.
  Status show(const weights::Architecture& a, const runtime::Sample& sample) const {
    constexpr std::int32_t kSide = 448;
    const std::int32_t zoom = std::max(1, kSide / std::max(a.image_height, a.image_width));
    return write_file(
        show_,
        io::png_of({sample.pixels.data(), a.image_width, a.image_height, a.image_channels}, zoom));
  }

  std::string model_path_, column_, show_;
  weights::ModelOptions model_options_;
  PictureArguments pictures_;
  std::vector<std::string> inputs_, texts_, lines_;
  bool strict_ = false;
  std::int32_t top_ = 3;
  RunArguments run_;
};

}  // namespace

std::unique_ptr<Command> make_classify() {
  return std::make_unique<Classify>();
}

}  // namespace qama::cli
