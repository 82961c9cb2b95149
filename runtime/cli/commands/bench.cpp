// `qama bench`: the figures of a model on this machine, for people and for continuous integration.
#include <time.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <thread>

#include "hal/base/quote.h"
#include "hal/platform/file.h"
#include "hal/platform/sha256.h"
#include "qama/qama.h"
#include "runtime/cli/bench/machine.h"
#include "runtime/cli/bench/report.h"
#include "runtime/cli/command.h"
#include "runtime/cli/data_arguments.h"
#include "runtime/cli/interrupt.h"
#include "runtime/cli/measure.h"
#include "runtime/cli/picture_arguments.h"
#include "runtime/cli/profile/synthetic.h"
#include "runtime/cli/provenance.h"
#include "runtime/cli/report.h"
#include "runtime/cli/sample_batch.h"

namespace qama::cli {
namespace {

constexpr std::int64_t kMostInputs = 1 << 20;
constexpr std::size_t kMaxReportFile = std::size_t{1} << 20;

/// Processor time of all threads of this process, microseconds.
double processor_us() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) * 1e-3;
}

std::string bench_notes() {
  return "Figures, by the names of --assert and of the JSON:\n" + figures_help() +
         "\n"
         "The start is processor time until the command begins, and time of a clock from there: "
         "what the disk\n"
         "takes to load the program is not in it.\n"
         "\n"
         "With --against each figure has a ratio, now over then: p50_us_ratio. A figure that the "
         "system does not\n"
         "tell is null, and no assertion about it holds.\n";
}

class Bench final : public Command {
 public:
  CommandText text() const override {
    static const std::string figures = bench_notes();
    return {.summary = "Measure a model: start, latency, throughput, memory, energy.",
            .notes = figures.c_str(),
            .examples =
                "qama bench -m weights/models/fashion-mnist-qama.safetensors\n"
                "qama bench -q -m MODEL --json > revision.json\n"
                "qama bench -m MODEL --against revision.json --assert 'p50_us_ratio<=1.1'\n"
                "qama bench -m MODEL --assert 'p99_us<=300' --assert 'peak_rss_bytes<=16e6'\n"};
  }

  void declare(CLI::App& app) override {
    declare_model(app, model_path_, model_options_);
    data_.declare(app, "Take inputs of", false);
    app.add_option("--limit", limit_,
                   "Take the first N samples of the data. Without --data: 16 synthetic inputs, the "
                   "same everywhere.")
        ->type_name("N")
        ->check(CLI::Range(std::int64_t{1}, kMostInputs))
        ->capture_default_str();
    app.add_option("--runs", runs_,
                   "Time N single samples, and as many for each throughput; each input runs once "
                   "before them.")
        ->type_name("N")
        ->check(CLI::Range(1, 1000000))
        ->capture_default_str();
    pictures_.declare(app);
    declare_device(app, run_.device);
    run_.declare_the_rest(app);
    app.add_option("--threads", threads_,
                   "Measure the throughput on N threads; may be a list: 1,2,4.")
        ->type_name("N")
        ->delimiter(',')
        ->check(CLI::Range(1, runtime::kMaxThreads))
        ->default_str("1, and one a processor");
    app.add_option("--batch", batches_,
                   "Measure the throughput of batches of N samples; may be a list. A batch smaller "
                   "than the threads is left out.")
        ->type_name("N")
        ->delimiter(',')
        ->check(CLI::Range(1, 4096))
        ->default_str("1,8,64");
    app.add_option("--against", against_,
                   "Compare with FILE: what --json printed of the same model and inputs, by "
                   "another revision, device or machine.")
        ->type_name("FILE");
    app.add_option("--assert", assertions_,
                   "Fail unless this holds: FIGURE<=VALUE, or >=, < or >. May be given again.")
        ->type_name("TEXT")
        ->expected(1)
        ->take_all();
  }

  Status run(Console& console) override {
    load_us_ = processor_us();
    before_ = read_machine(kSys);
    const std::vector<Load> loads = loads_asked();
    std::vector<Assertion> assertions;
    QAMA_ASSIGN_OR_RETURN(assertions, read_assertions(loads));
    std::optional<BenchReport> then;
    if (!against_.empty()) {
      QAMA_ASSIGN_OR_RETURN(then, read_against());
    }
    QAMA_ASSIGN_OR_RETURN(session_,
                          open_timed(model_path_, model_options_, run_, console, opening_));
    QAMA_RETURN_IF_ERROR(read_inputs(console));
    describe();
    std::vector<Figure> ratio;
    if (then) {
      // Refused before the work, not behind it.
      QAMA_ASSIGN_OR_RETURN(ratio, ratios(report_, *then, against_));
    }
    QAMA_RETURN_IF_ERROR(measure_samples(console));
    Progress progress(console, "qama: throughput", static_cast<std::int64_t>(loads.size()));
    for (std::size_t i = 0; i < loads.size(); ++i) {
      RunArguments run = run_;
      run.threads = loads[i].threads;
      QAMA_ASSIGN_OR_RETURN(const Throughput found,
                            measure_throughput(session_->plan().shared_model(), model_path_, run,
                                               loads[i].batch, runs_, inputs_));
      report_.set(load_name(loads[i]), found.samples_per_s);
      progress.update(static_cast<std::int64_t>(i) + 1);
    }
    if (then) {
      QAMA_ASSIGN_OR_RETURN(ratio, ratios(report_, *then, against_));
    }
    print(console, then, ratio);
    std::vector<Figure> all = report_.figures;
    all.insert(all.end(), ratio.begin(), ratio.end());
    for (const Assertion& assertion : assertions) {
      const Status kept = check_assertion(assertion, all);
      if (!kept.ok()) console.report(kept.error());
    }
    return {};
  }

 private:
  static constexpr const char* kSys = "/sys";

  [[nodiscard]] std::vector<Load> loads_asked() const {
    std::set<std::int32_t> threads(threads_.begin(), threads_.end());
    if (threads.empty()) {
      const auto processors = static_cast<std::int32_t>(std::thread::hardware_concurrency());
      threads = {1, std::clamp(processors, 1, runtime::kMaxThreads)};
    }
    std::set<std::int32_t> batches(batches_.begin(), batches_.end());
    if (batches.empty()) batches = {1, 8, 64};
    std::vector<Load> out;
    for (const std::int32_t t : threads) {
      for (const std::int32_t b : batches) {
        if (t <= b) out.push_back({t, b});
      }
    }
    return out;
  }

  Result<std::vector<Assertion>> read_assertions(std::span<const Load> loads) const {
    std::vector<std::string> names = figure_names(loads);
    if (!against_.empty()) {
      const std::size_t own = names.size();
      for (std::size_t i = 0; i < own; ++i) names.push_back(names[i] + "_ratio");
    }
    std::vector<Assertion> out;
    for (const std::string& text : assertions_) {
      QAMA_ASSIGN_OR_RETURN(out.emplace_back(), parse_assertion(text, names));
    }
    return out;
  }

  Result<BenchReport> read_against() const {
    QAMA_ASSIGN_OR_RETURN(const auto bytes, platform::read_file(against_, kMaxReportFile,
                                                                ErrorCode::report_bad_format));
    return parse_bench_report({reinterpret_cast<const char*>(bytes.data()), bytes.size()},
                              against_);
  }

  Status read_inputs(const Console& console) {
    const std::shared_ptr<const runtime::Model> model = session_->plan().shared_model();
    if (data_.path.empty()) {
      inputs_ = synthetic_samples(model->architecture());
      report_.inputs = std::to_string(inputs_.size()) + " synthetic inputs, seed " +
                       std::to_string(kSyntheticSeed);
      return {};
    }
    QAMA_ASSIGN_OR_RETURN(const auto set, data_.open(*model, model_path_, console));
    QAMA_ASSIGN_OR_RETURN(const SampleBatch reader,
                          SampleBatch::create(model, pictures_.options()));
    io::Sample sample;
    for (std::int64_t i = 0; i < std::min(limit_, set->info().samples); ++i) {
      QAMA_RETURN_IF_ERROR(set->next(sample));
      QAMA_ASSIGN_OR_RETURN(inputs_.emplace_back(), reader.sample_of(sample));
      labels_.push_back(sample.label);
    }
    report_.inputs = "the first " + std::to_string(inputs_.size()) + " of " + set->info().name +
                     "/" + set->info().split;
    return {};
  }

  void describe() {
    report_.version = qama_version();
    report_.model = model_path_;
    report_.model_sha256 = session_->model().file().sha256();
    if (session_->device() != nullptr) report_.device = session_->device()->info().uri;
    report_.runs = runs_;
    report_.seed = session_->seed();
    report_.schedules = schedules_json(session_->schedules());
    report_.provenance = provenance();
  }

  /// Each input once, for the answers; then the runs that are timed.
  Status measure_samples(const Console& console) {
    const auto classes = static_cast<std::size_t>(session_->model().classes());
    std::vector<float> logits(classes);
    std::vector<std::int32_t> answers;
    std::vector<std::byte> bytes;
    double first_us = 0;
    for (const runtime::Sample& input : inputs_) {
      QAMA_RETURN_IF_ERROR(runtime::run_sample(*session_, input, logits));
      if (answers.empty()) first_us = session_->latency_us(0);
      answers.push_back(runtime::argmax(logits));
      const auto raw = std::as_bytes(std::span(logits));
      bytes.insert(bytes.end(), raw.begin(), raw.end());
    }
    report_.labels_sha256 = answers_sha256(answers);
    report_.logits_sha256 = platform::sha256_hex(bytes);

    std::vector<double> latencies;
    latencies.reserve(static_cast<std::size_t>(runs_));
    Progress progress(console, "qama: bench", runs_);
    const MachineState begin = read_machine(kSys);
    const double cpu = processor_us();
    for (std::int32_t r = 0; r < runs_; ++r) {
      QAMA_RETURN_IF_ERROR(runtime::run_sample(
          *session_, inputs_[static_cast<std::size_t>(r) % inputs_.size()], logits));
      latencies.push_back(session_->latency_us(0));
      progress.update(r + 1);
    }
    const double cpu_us = (processor_us() - cpu) / runs_;
    const MachineState end = read_machine(kSys);
    std::sort(latencies.begin(), latencies.end());

    const double start_us = load_us_ + opening_.model_us;
    double sum = 0;
    for (const double value : latencies) sum += value;
    std::optional<double> energy = energy_between(begin, end);
    if (energy) *energy /= runs_;
    std::optional<double> accuracy;
    if (!labels_.empty()) {
      std::size_t right = 0;
      for (std::size_t i = 0; i < labels_.size(); ++i) right += answers[i] == labels_[i] ? 1 : 0;
      accuracy = static_cast<double>(right) / static_cast<double>(labels_.size());
    }
    report_.set("start_us", start_us);
    report_.set("load_us", load_us_);
    report_.set("model_us", opening_.model_us);
    report_.set("plan_us", opening_.plan_us);
    report_.set("session_us", opening_.session_us);
    report_.set("first_us", first_us);
    report_.set("first_answer_us", start_us + opening_.plan_us + opening_.session_us + first_us);
    report_.set("mean_us", sum / runs_);
    report_.set("min_us", latencies.front());
    report_.set("p50_us", percentile(latencies, 50));
    report_.set("p90_us", percentile(latencies, 90));
    report_.set("p99_us", percentile(latencies, 99));
    report_.set("p99.9_us", percentile(latencies, 99.9));
    report_.set("max_us", latencies.back());
    report_.set("cpu_us", cpu_us);
    report_.set("energy_uj", energy);
    report_.set("temperature_c", end.temperature_c);
    report_.set("peak_rss_bytes", static_cast<double>(peak_rss_bytes()));
    report_.set("arena_bytes", static_cast<double>(session_->plan().arena_bytes()));
    report_.set("weight_bytes", static_cast<double>(session_->plan().weight_bytes()));
    report_.set("accuracy", accuracy);
    const auto told = [](const std::string& text) { return text.empty() ? Json() : Json(text); };
    report_.machine["governor"] = told(end.governor);
    report_.machine["temperature_before_c"] =
        before_.temperature_c ? Json(*before_.temperature_c) : Json();
    report_.machine["energy"] = end.no_energy.empty() ? "RAPL" : "RAPL is " + end.no_energy;
    return {};
  }

  void print(Console& console, const std::optional<BenchReport>& then,
             std::span<const Figure> ratio) const {
    const bool same_answers = then && then->labels_sha256 == report_.labels_sha256;
    if (console.json) {
      Json out = report_.json();
      if (then) {
        Json& against = out["against"];
        against["file"] = against_;
        against["device"] = then->device;
        against["provenance"] = then->provenance;
        against["same_labels"] = same_answers;
        against["same_logits"] = then->logits_sha256 == report_.logits_sha256;
        for (const Figure& figure : ratio) {
          against["ratios"][figure.name] = figure.value ? Json(*figure.value) : Json();
        }
      }
      console.object(out);
      return;
    }
    const auto number = [](const std::optional<double>& value) {
      if (!value) return std::string("-");
      return format(*value < 10 ? "%.4f" : *value < 1e5 ? "%.1f" : "%.0f", *value);
    };
    console.line("model " + report_.model + ", " + report_.inputs + ", " +
                 std::to_string(report_.runs) + " runs");
    console.line(
        format("  %-16s %12s%s", "figure", "now", then ? "          then     now/then" : ""));
    for (std::size_t i = 0; i < report_.figures.size(); ++i) {
      const Figure& figure = report_.figures[i];
      std::string line = format("  %-16s %12s", figure.name.c_str(), number(figure.value).c_str());
      if (then) {
        std::optional<double> old;
        for (const Figure& other : then->figures) {
          if (other.name == figure.name) old = other.value;
        }
        line += format(" %13s %12s", number(old).c_str(), number(ratio[i].value).c_str());
      }
      console.line(line);
    }
    console.line("labels " + report_.labels_sha256.substr(0, 16) + ", logits " +
                 report_.logits_sha256.substr(0, 16) +
                 (!then          ? ""
                  : same_answers ? ", the same labels as then"
                                 : ", OTHER LABELS than then"));
    console.line("machine " + report_.machine.dump());
    console.line("provenance " + report_.provenance.dump());
  }

  std::string model_path_;
  weights::ModelOptions model_options_;
  DataArguments data_;
  std::int64_t limit_ = 1000;
  std::int32_t runs_ = 1000;
  PictureArguments pictures_;
  RunArguments run_;  ///< of one thread
  std::vector<std::int32_t> threads_, batches_;
  std::string against_;
  std::vector<std::string> assertions_;

  double load_us_ = 0;
  MachineState before_;
  Opening opening_;
  std::unique_ptr<runtime::Session> session_;
  std::vector<runtime::Sample> inputs_;
  std::vector<std::int32_t> labels_;  ///< of the inputs, where they are known
  BenchReport report_;
};

}  // namespace

std::unique_ptr<Command> make_bench() {
  return std::make_unique<Bench>();
}

}  // namespace qama::cli
