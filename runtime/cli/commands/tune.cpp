// `qama tune`: records a model's layers on some samples, finds the cheapest schedule of the
// annealer that solves them well enough, block by block (hal/search/tuner.h), and writes it into a
// copy of the model file.
#include <algorithm>
#include <limits>

#include "hal/base/quote.h"
#include "hal/search/best_known.h"
#include "hal/search/tuner.h"
#include "runtime/api/sample.h"
#include "runtime/cli/arguments.h"
#include "runtime/cli/command.h"
#include "runtime/cli/data_arguments.h"
#include "runtime/cli/files.h"
#include "runtime/cli/interrupt.h"
#include "runtime/cli/recorder.h"
#include "runtime/cli/report.h"
#include "runtime/cli/sample_batch.h"
#include "runtime/io/dataset.h"
#include "weights/model_writer.h"

namespace qama::cli {
namespace {

class Tune final : public Command {
 public:
  CommandText text() const override {
    return {.summary = "Find the cheapest annealing schedule for a model's layers, and store it.",
            .notes =
                "The search does not look at labels. It counts sweeps, not time: its choice is the "
                "same on every\n"
                "machine.\n",
            .examples =
                "qama tune -m MODEL --dataset mnist --data DIR                  (prints what it "
                "found)\n"
                "qama tune -m MODEL --dataset mnist --data DIR --share 95 --out NEW.safetensors\n"};
  }

  void declare(CLI::App& app) override {
    declare_model(app, model_path_, model_options_);
    data_.declare(app, "Take the samples from");
    app.add_option("--samples", samples_, "Record the layers of the first N samples.")
        ->type_name("N")
        ->check(CLI::Range(std::int64_t{4}, std::int64_t{100000}))
        ->capture_default_str();
    app.add_option("--share", share_percent_,
                   "Let this share of the solves come near the best known energy.")
        ->type_name("PERCENT")
        ->check(CLI::Range(1.0, 100.0))
        ->capture_default_str();
    app.add_option("--gap", gap_percent_,
                   "Call an energy near if it is this close to the best known one.")
        ->type_name("PERCENT")
        ->check(CLI::Range(0.0, 100.0))
        ->capture_default_str();
    declare_output(app, "--out", out_, "Write a copy of the model with the new schedules to FILE.");
    declare_device(app, device_);
    declare_seed(app, seed_, "1");
  }

  Status run(Console& console) override {
    QAMA_ASSIGN_OR_RETURN(const auto model, runtime::Model::open(model_path_, model_options_));
    const weights::Architecture& a = model->architecture();
    if (!a.is_qama()) {
      return Error{ErrorCode::model_wrong_kind,
                   "model " + quote(model_path_) + " has " +
                       std::string(weights::name_of(a.attention.kind)) +
                       " attention, tune needs QAMA"};
    }
    hal::TuneOptions options;
    options.gap = gap_percent_ / 100;
    options.share = share_percent_ / 100;
    options.seed = seed_.value_or(1);
    LayerCollector collector(a.depth, samples_);
    const Interrupt interrupt;
    QAMA_RETURN_IF_ERROR(record(console, model, collector));

    QAMA_ASSIGN_OR_RETURN(const auto device, hal::open_device(device_));
    std::vector<std::int32_t> blocks;
    for (std::int32_t block = 0; block < a.depth; ++block) {
      if (a.is_qama(block)) blocks.push_back(block);
    }
    std::vector<TunedBlock> found;
    Progress progress(console, "qama: tune, blocks", static_cast<std::int64_t>(blocks.size()));
    for (const std::int32_t block : blocks) {
      if (Interrupt::signal() != 0) break;
      const auto& layers = collector.layers[static_cast<std::size_t>(block)];
      if (layers.empty()) {
        return Error{ErrorCode::unsupported,
                     "block " + std::to_string(block) + " has no layer that can be recorded"};
      }
      std::vector<hal::TuningProblem> problems;
      for (const RecordedLayer& layer : layers) {
        QAMA_ASSIGN_OR_RETURN(const hal::BestKnown best,
                              hal::best_known(*device, layer.problem, options.seed));
        problems.push_back({layer.problem, best.energy});
      }
      TunedBlock& tuned = found.emplace_back();
      tuned.block = block;
      tuned.layers = layers.size();
      QAMA_ASSIGN_OR_RETURN(tuned.now,
                            hal::try_schedule(*device, problems, a.anneal_of(block), options));
      QAMA_ASSIGN_OR_RETURN(tuned.found, hal::tune(*device, problems, options));
      progress.update(static_cast<std::int64_t>(found.size()));
    }
    const bool all = found.size() == blocks.size();
    if (!out_.empty() && all) QAMA_RETURN_IF_ERROR(write(*model, found));
    report(console, found, all);
    if (!all) {
      console.stopped_by(Interrupt::signal(),
                         std::to_string(found.size()) + " of " + std::to_string(blocks.size()) +
                             " blocks are tuned" + (out_.empty() ? "" : ", no model is written"));
    }
    return {};
  }

 private:
  /// What is found for a block.
  struct TunedBlock {
    std::int32_t block = 0;
    std::size_t layers = 0;  ///< that were recorded
    hal::Tuned now, found;
  };

  /// Runs the first samples and keeps their layers.
  Status record(Console& console, const std::shared_ptr<const runtime::Model>& model,
                LayerCollector& collector) const {
    QAMA_ASSIGN_OR_RETURN(const auto set, data_.open(*model, model_path_, console));
    RunArguments arguments;
    arguments.integers = true;  // every layer is looked at as integers
    QAMA_ASSIGN_OR_RETURN(const auto session, arguments.open(model, model_path_, 1, console));
    QAMA_ASSIGN_OR_RETURN(SampleBatch batch, SampleBatch::create(model));
    runtime::Hooks hooks;
    hooks.problems = &collector;
    const std::int64_t total = std::min(samples_, set->info().samples);
    Progress progress(console, "qama: record", total);
    io::Sample sample;
    for (std::int64_t i = 0; i < total && Interrupt::signal() == 0; ++i) {
      batch.clear();
      Status status = set->next(sample);
      if (!out_.empty() && !sample.name.empty()) {
        QAMA_RETURN_IF_ERROR(check_no_input("--out", out_, {sample.name}));
      }
      if (status.ok()) status = batch.add(sample);
      if (!status.ok() && set->info().own) {
        console.report(status.error());
        continue;
      }
      QAMA_RETURN_IF_ERROR(status);
      QAMA_RETURN_IF_ERROR(batch.run(*session, hooks));
      progress.update(i + 1);
    }
    return {};
  }

  Status write(const runtime::Model& model, const std::vector<TunedBlock>& found) const {
    weights::Architecture a = model.architecture();
    // The one for all is the one that takes the longest: it is enough for every block.
    const auto longest = std::max_element(
        found.begin(), found.end(),
        [](const TunedBlock& x, const TunedBlock& y) { return x.found.cost < y.found.cost; });
    a.attention.anneal = longest->found.schedule;
    std::vector<hal::Schedule> layers(static_cast<std::size_t>(a.depth), a.attention.anneal);
    for (const TunedBlock& tuned : found) {
      layers[static_cast<std::size_t>(tuned.block)] = tuned.found.schedule;
    }
    const bool same = std::all_of(layers.begin(), layers.end(),
                                  [&](const hal::Schedule& s) { return s == layers[0]; });
    a.attention.anneal_layers = same ? std::vector<hal::Schedule>{} : layers;
    QAMA_ASSIGN_OR_RETURN(const auto writer, weights::model_copy(model.file(), a));
    return writer.write(out_);
  }

  /// `all`: every block is tuned.
  void report(Console& console, const std::vector<TunedBlock>& found, bool all) const {
    const auto object = [](const hal::Tuned& t) {
      Json out = schedules_json({&t.schedule, 1})[0];
      out["cost"] = t.cost;
      out["share"] = t.share;
      out["held_out_share"] = t.held_out_share;
      out["reached"] = t.reached;
      return out;
    };
    if (console.json) {
      Json blocks = Json::array();
      for (const TunedBlock& tuned : found) {
        blocks.push_back({{"block", tuned.block},
                          {"layers", tuned.layers},
                          {"now", object(tuned.now)},
                          {"tuned", object(tuned.found)}});
      }
      Json out;
      out["model"] = model_path_;
      out["dataset"] = data_.dataset.empty() ? data_.path : data_.dataset;
      out["gap_percent"] = gap_percent_;
      out["share_percent"] = share_percent_;
      out["seed"] = seed_.value_or(1);
      out["blocks"] = std::move(blocks);
      if (!out_.empty() && all) out["out"] = out_;
      if (!all) out["stopped"] = true;
      console.object(out);
      return;
    }
    for (const TunedBlock& block : found) {
      console.line(
          format("block %d, %zu layers, solves within %g %% of the best known energy (of layers "
                 "held out)",
                 block.block, block.layers, gap_percent_));
      for (const auto& [name, tuned] : {std::pair{"now", &block.now}, {"tuned", &block.found}}) {
        const hal::Schedule& o = tuned->schedule;
        console.line(format("  %-6s %.2f %% (%.2f %%), cost %.0f sweeps: %s, temperatures %g to %g",
                            name, 100 * tuned->share, 100 * tuned->held_out_share, tuned->cost,
                            schedules_text({&o, 1}).c_str(), o.t_start, o.t_end));
      }
      if (!block.found.reached) {
        console.line(
            format("  no candidate reaches %g %%; this is the best of the most expensive ones",
                   share_percent_));
      }
    }
    if (!out_.empty() && all) console.line("wrote " + out_);
  }

  std::string model_path_, out_;
  weights::ModelOptions model_options_;
  DataArguments data_;
  std::string device_ = "cpu:";
  std::int64_t samples_ = 200;
  double share_percent_ = 99;
  double gap_percent_ = 0.1;
  std::optional<std::uint64_t> seed_;
};

}  // namespace

std::unique_ptr<Command> make_tune() {
  return std::make_unique<Tune>();
}

}  // namespace qama::cli
