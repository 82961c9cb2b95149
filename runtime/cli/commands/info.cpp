// `qama info`: what a model file holds and what the engine makes of it. Opening checks every rule
// of the format, so that a bad file ends here with the rule it breaks.
#include "hal/base/strict_json.h"
#include "hal/device.h"
#include "runtime/cli/arguments.h"
#include "runtime/cli/command.h"
#include "runtime/cli/files.h"
#include "runtime/cli/report.h"
#include "runtime/engine/plan.h"
#include "weights/model_writer.h"

namespace qama::cli {
namespace {

class Info final : public Command {
 public:
  CommandText text() const override {
    return {.summary = "Show what is in a model file, or why it is refused.",
            .examples =
                "qama info weights/models/mnist-qama.safetensors\n"
                "qama info MODEL --json\n"
                "qama info OLD.safetensors --seal NEW.safetensors\n"};
  }

  void declare(CLI::App& app) override {
    app.add_option("MODEL", path_, "The model file.")->required()->type_name("");
    app.add_flag("--tensors", list_tensors_, "List the tensors, too; --json always does.");
    declare_trust(app, model_options_);
    declare_threads(app, threads_);
    declare_output(app, "--seal", seal_,
                   "Write the model to FILE, sealed: one checksum covers all of it (format version "
                   "2).");
    app.add_flag("--strict", strict_, "Fail if a step would use a reference implementation.");
  }

  Status run(Console& console) override {
    QAMA_ASSIGN_OR_RETURN(const auto model, runtime::Model::open(path_, model_options_));
    QAMA_ASSIGN_OR_RETURN(const auto plan, runtime::Plan::create(model, {1, threads_}));
    std::vector<runtime::StepInfo> plan_steps(plan->steps().begin(), plan->steps().end());
    for (runtime::StepInfo& step : plan_steps) {
      // The plan leaves it open; without --device it is the fastest kernel here.
      if (step.op != "qama.solve") continue;
      QAMA_ASSIGN_OR_RETURN(const auto device, hal::open_device("cpu:"));
      step.implementation = device->info().uri;
    }
    if (!seal_.empty()) {
      QAMA_ASSIGN_OR_RETURN(const auto writer,
                            weights::model_copy(model->file(), model->architecture()));
      QAMA_RETURN_IF_ERROR(writer.write(seal_));
    }
    const Status references = strict_ ? refuse_references(plan_steps) : Status();
    const weights::ModelFile& file = model->file();
    const weights::Architecture& a = model->architecture();
    const std::int64_t spins = std::int64_t{a.heads} * a.spins_per_head();

    Json tensors = Json::array();
    for (const weights::TensorView& tensor : file.tensors()) {
      if (tensor.is_padding()) continue;
      tensors.push_back({{"name", tensor.name},
                         {"dtype", weights::dtype_name(tensor.dtype)},
                         {"shape", tensor.shape},
                         {"bytes", tensor.bytes.size()}});
    }
    if (console.json) {
      Json steps = Json::array();
      for (const runtime::StepInfo& step : plan_steps) {
        steps.push_back({{"name", step.name},
                         {"op", step.op},
                         {"implementation", step.implementation},
                         {"macs", step.macs}});
      }
      Json out;
      out["model"] = path_;
      out["architecture"] = parsed(a.to_json());
      out["preprocess"] = parsed(model->preprocess().to_json());
      out["labels"] = file.labels();
      out["parameters"] = file.parameters();
      out["bytes"] = file.file_bytes();
      out["sha256"] = file.sha256();
      out["sha256_ok"] = true;  // a file whose checksum is wrong does not open
      out["sealed"] = file.sealed();
      out["producer"] = file.producer();
      out["training"] = parsed(file.training());
      out["tensors"] = std::move(tensors);
      out["arena_bytes"] = plan->arena_bytes();
      out["weight_bytes"] = plan->weight_bytes();
      out["spins"] = spins;
      out["qama_layers"] = plan->qama_layers();
      out["steps"] = std::move(steps);
      if (!seal_.empty()) out["out"] = seal_;
      console.object(out);
      return references;
    }
    console.line("model         " + path_);
    console.line("architecture  " + a.to_json());
    console.line("preprocess    " + model->preprocess().to_json());
    console.line(format("size          %lld parameters in %zu tensors, %zu bytes",
                        static_cast<long long>(file.parameters()), tensors.size(),
                        file.file_bytes()));
    console.line("sha256        " + file.sha256() + " (verified)");
    console.line(file.sealed()
                     ? "seal          sealed: the checksum covers the whole file"
                     : "seal          not sealed: the checksum covers the data alone, not "
                       "the header (--seal)");
    console.line("producer      " + file.producer());
    if (!file.training().empty()) console.line("training      " + file.training());
    if (a.is_qama()) {
      console.line(format("spins         %lld a layer (%d heads x %d tokens%s), %d layers",
                          static_cast<long long>(spins), a.heads, a.tokens(),
                          a.spin_bits() > 1 ? format(" x %d bits", a.spin_bits()).c_str() : "",
                          plan->qama_layers()));
      console.line("anneal        " + schedules(a));
      if (!a.other_blocks.empty()) console.line("elsewhere     " + other_blocks(a));
    } else {
      console.line("spins         none (" + std::string(weights::name_of(a.attention.kind)) +
                   " attention)");
    }
    console.line(format("memory        arena %zu bytes, weights as laid out here %zu bytes",
                        plan->arena_bytes(), plan->weight_bytes()));
    console.line("steps");
    for (const runtime::StepInfo& step : plan_steps) {
      console.line(format("  %-28s %-20s %s", step.name.c_str(), step.op.c_str(),
                          step.implementation.c_str()));
    }
    if (list_tensors_) {
      console.line("tensors");
      for (const Json& tensor : tensors) {
        console.line(format("  %-36s %-4s %s", tensor["name"].get_ref<const std::string&>().c_str(),
                            tensor["dtype"].get_ref<const std::string&>().c_str(),
                            tensor["shape"].dump().c_str()));
      }
    }
    if (!seal_.empty()) console.line("wrote " + seal_);
    return references;
  }

 private:
  /// How the layers are solved unless options of a command say otherwise.
  static std::string schedules(const weights::Architecture& a) {
    std::vector<hal::Schedule> layers;
    for (std::int32_t block = 0; block < a.depth; ++block) {
      if (a.is_qama(block)) layers.push_back(a.anneal_of(block));
    }
    return schedules_text(layers) +
           format(", temperatures %g to %g", layers[0].t_start, layers[0].t_end);
  }

  /// The blocks without spins: "softmax attention in blocks 0, 2".
  static std::string other_blocks(const weights::Architecture& a) {
    std::string out =
        std::string(weights::name_of(a.other_attention.kind)) + " attention in blocks";
    for (const std::int32_t block : a.other_blocks) {
      out += (block == a.other_blocks.front() ? " " : ", ") + std::to_string(block);
    }
    return out;
  }

  /// The record as JSON; null if there is none.
  static Json parsed(const std::string& text) {
    auto out = parse_json<Json>(text, {.what = "record",
                                       .code = ErrorCode::internal,
                                       .twice = ErrorCode::internal,
                                       .max_bytes = std::size_t{1} << 20,
                                       .max_depth = 16,
                                       .max_values = std::size_t{1} << 17});
    return out.ok() ? std::move(out).value() : Json();
  }

  std::string path_, seal_;
  weights::ModelOptions model_options_;
  std::int32_t threads_ = 1;
  bool list_tensors_ = false;
  bool strict_ = false;
};

}  // namespace

std::unique_ptr<Command> make_info() {
  return std::make_unique<Info>();
}

}  // namespace qama::cli
