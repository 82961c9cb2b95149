// `qama eval`: a model over a split of a data set in its official layout.
#include <algorithm>
#include <charconv>
#include <chrono>
#include <filesystem>
#include <limits>

#include "hal/base/quote.h"
#include "qama/qama.h"
#include "runtime/api/sample.h"
#include "runtime/cli/arguments.h"
#include "runtime/cli/command.h"
#include "runtime/cli/data_arguments.h"
#include "runtime/cli/eval_report.h"
#include "runtime/cli/files.h"
#include "runtime/cli/interrupt.h"
#include "runtime/cli/picture_arguments.h"
#include "runtime/cli/recorder.h"
#include "runtime/cli/sample_batch.h"
#include "runtime/engine/preprocess.h"
#include "runtime/io/dataset.h"
#include "runtime/io/image.h"
#include "weights/tensor_file.h"

namespace qama::cli {
namespace {

constexpr std::int32_t kSamplesAThread = 8;

/// 0/4 .. 3/4 and 1/4 .. 4/4 name the same four shards: job arrays count either way.
Result<Shard> parse_shard(const std::string& text) {
  Shard out;
  const char* begin = text.data();
  const char* end = begin + text.size();
  const auto first = std::from_chars(begin, end, out.index);
  if (first.ec == std::errc() && first.ptr != end && *first.ptr == '/') {
    const auto second = std::from_chars(first.ptr + 1, end, out.count);
    if (second.ec == std::errc() && second.ptr == end && out.count >= 1 && out.index >= 0 &&
        out.index <= out.count) {
      out.index %= out.count;
      return out;
    }
  }
  return Error{ErrorCode::usage,
               "--shard is " + quote(text) + ", expected I/N with N parts and I from 0 to N"};
}

Result<std::int64_t> parse_count(const std::string& text) {
  std::int64_t out = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (code == std::errc() && *end == '\0' && out >= 1) return out;
  return Error{ErrorCode::usage,
               "--record's count is " + quote(text) + ", expected a whole number above 0"};
}

class Eval final : public Command {
 public:
  CommandText text() const override {
    return {
        .summary = "Measure accuracy and speed over a data set, or over your own labelled data.",
        .examples =
            "qama eval -m weights/models/mnist-qama.safetensors --dataset mnist --data DIR\n"
            "qama eval -m MODEL --data MINE      (MINE/LABEL/*.png, or MINE/LABEL/*.txt)\n"
            "qama eval -m MODEL --data mine.csv  (with the columns file or text, and label)\n"
            "qama eval -m MODEL --data features.csv  (its files: NAME.npy, or NAME.npy:INDEX)\n"
            "qama eval -m MODEL --dataset imdb --data DIR --limit 1000 --threads 4 --json\n"
            "qama eval -m MODEL --dataset mnist --data DIR --record OUT 200   (for qama solve)\n"
            "qama eval -m MODEL --dataset mnist --data DIR --shard 0/8 --json  (for qama merge)\n"};
  }

  void declare(CLI::App& app) override {
    declare_model(app, model_path_, model_options_);
    data_.declare(app, "Evaluate on");
    pictures_.declare(app);
    app.add_flag("--strict", strict_, "Fail if a picture has one colour.");
    app.add_option("--limit", limit_, "Take only the first N samples.")
        ->type_name("N")
        ->check(CLI::Range(std::int64_t{1}, std::numeric_limits<std::int64_t>::max()));
    app.add_option("--shard", shard_,
                   "Of those, take shard I of N: samples I, I + N, I + 2 N and so on. I is 0 to N, "
                   "and N means 0, so that job arrays may count from 0 or from 1. `qama merge` "
                   "puts the shards' --json together.")
        ->type_name("I/N");
    app.add_option("--record", record_,
                   "Write the first N layers that are solved as problem files below DIR, which is "
                   "made if it is missing.")
        ->expected(2)
        ->type_name("DIR N");
    declare_output(app, "--answers", answers_,
                   "Write a line a sample to FILE: index, label, answer and the answer's "
                   "probability, with tabs between them.");
    run_.declare(app);
  }

  Status run(Console& console) override {
    Shard shard;
    if (!shard_.empty()) {
      QAMA_ASSIGN_OR_RETURN(shard, parse_shard(shard_));
    }
    std::int64_t record_count = 0;
    if (!record_.empty()) {
      QAMA_ASSIGN_OR_RETURN(record_count, parse_count(record_[1]));
    }
    QAMA_ASSIGN_OR_RETURN(model_, runtime::Model::open(model_path_, model_options_));
    QAMA_ASSIGN_OR_RETURN(const auto set, data_.open(*model_, model_path_, console));
    const std::int32_t batch = run_.threads == 1 && run_.in_flight_for(run_.device) == 1
                                   ? 1
                                   : run_.threads * kSamplesAThread;
    run_.integers = !record_.empty();
    QAMA_ASSIGN_OR_RETURN(const auto session, run_.open(model_, model_path_, batch, console));
    if (!data_.split.empty() && data_.split != set->info().split) {
      console.log("split '" + set->info().split + "' stands for '" + data_.split + "'");
    }
    for (const std::string& path : set->info().left_out) {
      console.log(quote(path) + " is left out: it is no file of a class");
    }
    ProblemRecorder recorder(
        record_.empty() ? "" : record_[0], std::filesystem::path(model_path_).stem().string(),
        record_count, {model_path_, model_options_.trust.value_or(""), data_.path, run_.device});
    if (record_count > 0) {
      if (session->plan().qama_layers() == 0) {
        return Error{ErrorCode::model_wrong_kind,
                     "model " + quote(model_path_) + " has softmax attention, --record needs QAMA"};
      }
      QAMA_RETURN_IF_ERROR(recorder.prepare());
    }

    EvalReport report = begin_report(set->info(), shard, *session);
    const Interrupt interrupt;
    QAMA_RETURN_IF_ERROR(run_samples(console, *set, *session, recorder, report));
    if (!answers_.empty()) QAMA_RETURN_IF_ERROR(write_file(answers_, lines_));
    if (record_count > 0) {
      if (!recorder.status().ok()) return recorder.status();
      console.log("recorded " + std::to_string(recorder.written()) + " problems below " +
                  quote(record_[0]));
    }
    report.stopped = Interrupt::signal() != 0;
    if (!report.answers.empty()) report.print(console);
    if (report.stopped) {
      console.stopped_by(Interrupt::signal(),
                         "these are the figures of " + std::to_string(report.count()) + " samples");
    }
    return {};
  }

 private:
  /// All that is known before the first sample.
  EvalReport begin_report(const io::DatasetInfo& info, const Shard& shard,
                          const runtime::Session& session) const {
    EvalReport out;
    out.version = qama_version();
    out.model_sha256 = model_->file().sha256();
    out.dataset = info.name;
    out.split = info.split;
    out.data_sha256 = info.sha256;
    out.classes = model_->file().labels();
    out.fit = pictures_.fit;
    out.invert = pictures_.invert;
    out.seed = session.seed();
    out.schedules.assign(session.schedules().begin(), session.schedules().end());
    out.samples = limit_ > 0 ? std::min(limit_, info.samples) : info.samples;
    out.model = model_path_;
    if (session.device() != nullptr) out.device = session.device()->info().uri;
    out.threads = run_.threads;
    out.shard = shard;
    out.mergeable = !shard_.empty();
    out.own = info.own;
    out.confusion.assign(out.classes.size(), std::vector<std::int64_t>(out.classes.size()));
    return out;
  }

  Status run_samples(Console& console, io::Dataset& set, runtime::Session& session,
                     ProblemRecorder& recorder, EvalReport& report) {
    const std::int64_t total = report.shard.share_of(report.samples);
    if (total == 0) {
      return Error{
          ErrorCode::dataset_empty,
          "shard " + shard_ + " of " + std::to_string(report.samples) + " samples has none"};
    }
    std::int64_t blank = 0;  // pictures with nothing to see
    QAMA_ASSIGN_OR_RETURN(SampleBatch batch, SampleBatch::create(model_, pictures_.options()));
    std::vector<std::int32_t> labels;  // of what was taken; kUnread: is not in the batch
    Progress progress(console, "qama: eval", total);
    io::Sample sample;
    const auto most = static_cast<std::size_t>(session.plan().options().max_batch);
    for (std::int64_t taken = 0; taken < total && Interrupt::signal() == 0;) {
      batch.clear();
      labels.clear();
      for (; batch.size() < most && taken < total; ++taken) {
        const std::int64_t index = report.shard.index + taken * report.shard.count;
        QAMA_RETURN_IF_ERROR(set.skip(index - set.position()));
        Status status = set.next(sample);
        if (!answers_.empty() && !sample.name.empty()) {
          QAMA_RETURN_IF_ERROR(check_no_input("--answers", answers_, {sample.name}));
        }
        std::optional<Error> doubt;
        if (status.ok()) status = batch.add(sample, &doubt);
        if (strict_ && doubt) return *doubt;
        if (doubt) ++blank;
        if (!status.ok() && !set.info().own) return status;
        if (!status.ok()) console.report(status.error());
        labels.push_back(status.ok() ? sample.label : EvalReport::kUnread);
      }
      if (batch.size() > 0) {
        runtime::Hooks hooks;
        if (!recorder.full()) hooks.problems = &recorder;
        const auto start = std::chrono::steady_clock::now();
        QAMA_RETURN_IF_ERROR(batch.run(session, hooks));
        report.seconds +=
            std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      }
      QAMA_RETURN_IF_ERROR(add(session, batch, labels, report));
      progress.update(taken);
    }
    if (blank > 0) {
      console.log("note: " + std::to_string(blank) +
                  " pictures have one colour, there is nothing to see");
    }
    // The other shards may have some that can be read.
    if (report.count() > 0 || report.mergeable || Interrupt::signal() != 0) return {};
    return Error{ErrorCode::dataset_empty,
                 "none of " + std::to_string(total) + " samples can be read"};
  }

  /// The samples of the last run, and those between them that are not in the batch.
  Status add(const runtime::Session& session, const SampleBatch& batch,
             std::span<const std::int32_t> labels, EvalReport& report) {
    std::vector<double> p(report.classes.size());
    std::size_t at = 0;  // in the batch
    for (const std::int32_t label : labels) {
      if (label == EvalReport::kUnread) {
        report.answers.push_back(EvalReport::kUnread);
        continue;
      }
      const std::span<const float> logits = batch.logits(at);
      QAMA_RETURN_IF_ERROR(runtime::softmax(logits, p));
      const std::int32_t answer = runtime::argmax(logits);
      const auto position = static_cast<std::int32_t>(at);
      report.add(label, answer, p[static_cast<std::size_t>(label)], session.latency_us(position));
      report.solvers.add(session, position);
      if (!answers_.empty()) {
        lines_ += format("%llu\t%d\t%d\t%.7f\n", static_cast<unsigned long long>(batch.index(at)),
                         label, answer, p[static_cast<std::size_t>(answer)]);
      }
      ++at;
    }
    return {};
  }

  std::string model_path_;
  weights::ModelOptions model_options_;
  DataArguments data_;
  std::int64_t limit_ = 0;
  std::string shard_;
  std::vector<std::string> record_;
  std::string answers_;
  std::string lines_;  ///< what --answers writes
  bool strict_ = false;
  PictureArguments pictures_;
  RunArguments run_;
  std::shared_ptr<const runtime::Model> model_;
};

}  // namespace

std::unique_ptr<Command> make_eval() {
  return std::make_unique<Eval>();
}

}  // namespace qama::cli
