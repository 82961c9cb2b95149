// `qama eval`: a model over a split of a data set in its official layout.
#include <algorithm>
#include <charconv>
#include <chrono>
#include <filesystem>
#include <limits>

#include "hal/base/quote.h"
#include "hal/platform/sha256.h"
#include "runtime/api/sample.h"
#include "runtime/cli/arguments.h"
#include "runtime/cli/command.h"
#include "runtime/cli/data_arguments.h"
#include "runtime/cli/files.h"
#include "runtime/cli/interrupt.h"
#include "runtime/cli/picture_arguments.h"
#include "runtime/cli/recorder.h"
#include "runtime/cli/report.h"
#include "runtime/cli/sample_batch.h"
#include "runtime/engine/preprocess.h"
#include "runtime/io/dataset.h"
#include "runtime/io/image.h"
#include "weights/tensor_file.h"

namespace qama::cli {
namespace {

constexpr std::int32_t kSamplesAThread = 8;

/// Samples k with k % count == index % count: 0/4 .. 3/4 and 1/4 .. 4/4 name the same four parts.
struct Shard {
  std::int64_t index = 0;
  std::int64_t count = 1;
};

Result<Shard> parse_shard(const std::string& text) {
  Shard out;
  const char* begin = text.data();
  const char* end = begin + text.size();
  const auto first = std::from_chars(begin, end, out.index);
  if (first.ec == std::errc() && first.ptr != end && *first.ptr == '/') {
    const auto second = std::from_chars(first.ptr + 1, end, out.count);
    if (second.ec == std::errc() && second.ptr == end && out.count >= 1 && out.index >= 0 &&
        out.index <= out.count) {
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

/// What is counted while samples go by.
struct Tally {
  std::int64_t samples = 0;
  std::int64_t correct = 0;
  std::int64_t blank = 0;                            ///< pictures with nothing to see
  std::int64_t unread = 0;                           ///< samples of one's own that cannot be read
  std::vector<std::vector<std::int64_t>> confusion;  ///< [label][answer]
  std::vector<double> latency_us;
  double label_probability = 0;
  double seconds = 0;  ///< inside the session
  runtime::SolveCounter solvers;
  std::vector<std::byte> answers;  ///< predicted classes, four bytes each, little-endian
  std::string lines;               ///< what --answers writes
};

class Eval final : public Command {
 public:
  CommandText text() const override {
    return {
        .summary = "Measure accuracy and speed over a data set, or over your own labelled data.",
        .examples =
            "qama eval -m weights/models/mnist-qama.safetensors --dataset mnist --data DIR\n"
            "qama eval -m MODEL --data MINE      (MINE/LABEL/*.png, or MINE/LABEL/*.txt)\n"
            "qama eval -m MODEL --data mine.csv  (with the columns file or text, and label)\n"
            "qama eval -m MODEL --dataset imdb --data DIR --limit 1000 --threads 4 --json\n"
            "qama eval -m MODEL --dataset mnist --data DIR --record OUT 200   (for qama solve)\n"};
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
                   "Of those, take every N-th sample from the I-th on; I is 0 to N, and N means 0.")
        ->type_name("I/N");
    app.add_option("--record", record_,
                   "Write the first N layers that are solved as problem files below DIR, which is "
                   "made if it is missing.")
        ->expected(2)
        ->type_name("DIR N");
    app.add_option("--answers", answers_,
                   "Write a line a sample to FILE: index, label, answer and the answer's "
                   "probability, with tabs between them.")
        ->type_name("FILE");
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
    QAMA_RETURN_IF_ERROR(check_outputs({{"--answers", answers_}}, {model_path_, data_.path}));
    QAMA_ASSIGN_OR_RETURN(model_, runtime::Model::open(model_path_, model_options_));
    QAMA_ASSIGN_OR_RETURN(const auto set, data_.open(*model_));
    QAMA_RETURN_IF_ERROR(check_kind(console, set->info()));
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
    ProblemRecorder recorder(record_.empty() ? "" : record_[0],
                             std::filesystem::path(model_path_).stem().string(), record_count);
    if (record_count > 0) {
      if (session->plan().qama_layers() == 0) {
        return Error{ErrorCode::model_wrong_kind,
                     "model " + quote(model_path_) + " has softmax attention, --record needs QAMA"};
      }
      QAMA_RETURN_IF_ERROR(recorder.prepare());
    }

    Tally tally;
    tally.confusion.assign(static_cast<std::size_t>(model_->classes()),
                           std::vector<std::int64_t>(static_cast<std::size_t>(model_->classes())));
    const Interrupt interrupt;
    QAMA_RETURN_IF_ERROR(run_samples(console, *set, shard, *session, recorder, tally));
    if (!answers_.empty()) QAMA_RETURN_IF_ERROR(write_file(answers_, tally.lines));
    if (record_count > 0) {
      if (!recorder.status().ok()) return recorder.status();
      console.log("recorded " + std::to_string(recorder.written()) + " problems below " +
                  quote(record_[0]));
    }
    if (tally.samples > 0) report(console, set->info(), shard, *session, tally);
    if (Interrupt::signal() != 0) {
      console.stopped_by(Interrupt::signal(),
                         "these are the figures of " + std::to_string(tally.samples) + " samples");
    }
    return {};
  }

 private:
  /// MODEL_WRONG_KIND where the model cannot say anything about these samples.
  Status check_kind(const Console& console, const io::DatasetInfo& info) const {
    const weights::Architecture& a = model_->architecture();
    const std::string set = "data set '" + info.name + "'";
    if (info.kind == io::SampleKind::text) {
      if (!a.is_text()) return wrong_kind(model_path_, *model_, "the texts of " + set);
    } else if (info.own) {
      return {};  // its labels are the model's, and its images are made to fit
    } else if (!a.is_image() || a.image_height != info.height || a.image_width != info.width ||
               a.image_channels != info.channels) {
      return wrong_kind(model_path_, *model_,
                        "the images of " + set + ", " + std::to_string(info.height) + " x " +
                            std::to_string(info.width) + " x " + std::to_string(info.channels));
    }
    if (static_cast<std::size_t>(a.classes) != info.classes.size()) {
      return Error{ErrorCode::model_wrong_kind, "model " + quote(model_path_) + " has " +
                                                    std::to_string(a.classes) + " classes, " + set +
                                                    " " + std::to_string(info.classes.size())};
    }
    const auto lowered = [](std::string text) {
      for (char& c : text) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
      return text;
    };
    for (std::int32_t c = 0; c < a.classes; ++c) {
      const std::string& expected = info.classes[static_cast<std::size_t>(c)];
      if (lowered(std::string(model_->label(c))) != lowered(expected)) {
        console.log("warning: class " + std::to_string(c) + " is " + quote(model_->label(c)) +
                    " in the model and " + quote(expected) + " in " + set);
        break;
      }
    }
    return {};
  }

  Status run_samples(Console& console, io::Dataset& set, const Shard& shard,
                     runtime::Session& session, ProblemRecorder& recorder, Tally& tally) const {
    const std::int64_t end = limit_ > 0 ? std::min(limit_, set.info().samples) : set.info().samples;
    const std::int64_t first = shard.index % shard.count;
    const std::int64_t total = first < end ? (end - first - 1) / shard.count + 1 : 0;
    if (total == 0) {
      return Error{ErrorCode::dataset_empty,
                   "shard " + shard_ + " of " + std::to_string(end) + " samples has none"};
    }
    QAMA_ASSIGN_OR_RETURN(SampleBatch batch, SampleBatch::create(model_, pictures_.options()));
    std::vector<std::int32_t> labels;
    Progress progress(console, "qama: eval", total);
    io::Sample sample;
    const auto most = static_cast<std::size_t>(session.plan().options().max_batch);
    for (std::int64_t taken = 0; taken < total && Interrupt::signal() == 0;) {
      batch.clear();
      labels.clear();
      for (; batch.size() < most && taken < total; ++taken) {
        QAMA_RETURN_IF_ERROR(set.skip(first + taken * shard.count - set.position()));
        Status status = set.next(sample);
        std::optional<Error> doubt;
        if (status.ok()) status = batch.add(sample, &doubt);
        if (strict_ && doubt) return *doubt;
        if (doubt) ++tally.blank;
        if (status.ok()) {
          labels.push_back(sample.label);
        } else if (set.info().own) {
          console.report(status.error());
          ++tally.unread;
        } else {
          return status;
        }
      }
      if (batch.size() == 0) continue;
      runtime::Hooks hooks;
      if (!recorder.full()) hooks.problems = &recorder;
      const auto start = std::chrono::steady_clock::now();
      QAMA_RETURN_IF_ERROR(batch.run(session, hooks));
      tally.seconds +=
          std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      for (std::size_t i = 0; i < batch.size(); ++i) {
        QAMA_RETURN_IF_ERROR(add(session, static_cast<std::int32_t>(i), batch.index(i), labels[i],
                                 batch.logits(i), tally));
      }
      progress.update(taken);
    }
    if (tally.blank > 0) {
      console.log("note: " + std::to_string(tally.blank) +
                  " pictures have one colour, there is nothing to see");
    }
    if (tally.samples > 0 || Interrupt::signal() != 0) return {};
    return Error{ErrorCode::dataset_empty,
                 "none of " + std::to_string(total) + " samples can be read"};
  }

  Status add(const runtime::Session& session, std::int32_t position, std::uint64_t index,
             std::int32_t label, std::span<const float> logits, Tally& tally) const {
    std::vector<double> p(logits.size());
    QAMA_RETURN_IF_ERROR(runtime::softmax(logits, p));
    const std::int32_t answer = runtime::argmax(logits);
    ++tally.samples;
    tally.correct += answer == label ? 1 : 0;
    ++tally.confusion[static_cast<std::size_t>(label)][static_cast<std::size_t>(answer)];
    tally.label_probability += p[static_cast<std::size_t>(label)];
    tally.latency_us.push_back(session.latency_us(position));
    tally.solvers.add(session, position);
    if (!answers_.empty()) {
      tally.lines += format("%llu\t%d\t%d\t%.7f\n", static_cast<unsigned long long>(index), label,
                            answer, p[static_cast<std::size_t>(answer)]);
    }
    for (const int shift : {0, 8, 16, 24}) {
      tally.answers.push_back(static_cast<std::byte>(static_cast<std::uint32_t>(answer) >> shift));
    }
    return {};
  }

  void report(Console& console, const io::DatasetInfo& info, const Shard& shard,
              const runtime::Session& session, Tally& tally) const {
    std::sort(tally.latency_us.begin(), tally.latency_us.end());
    const auto n = static_cast<double>(tally.samples);
    const double accuracy = static_cast<double>(tally.correct) / n;
    const double rate = tally.seconds > 0 ? n / tally.seconds : 0;
    const std::string checksum = platform::sha256_hex(tally.answers);
    const double p50 = percentile(tally.latency_us, 50);
    const double p90 = percentile(tally.latency_us, 90);
    const double p99 = percentile(tally.latency_us, 99);
    if (console.json) {
      Json out;
      out["model"] = model_path_;
      out["dataset"] = info.name;
      out["split"] = info.split;
      out["n"] = tally.samples;
      out["correct"] = tally.correct;
      if (info.own) out["unread"] = tally.unread;
      out["accuracy"] = accuracy;
      out["mean_label_probability"] = tally.label_probability / n;
      out["confusion"] = tally.confusion;
      out["classes"] = model_->file().labels();
      out["latency_us"] = {
          {"p50", p50}, {"p90", p90}, {"p99", p99}, {"max", percentile(tally.latency_us, 100)}};
      out["images_per_s"] = rate;
      out["seconds"] = tally.seconds;
      out["device"] = session.device() != nullptr ? Json(session.device()->info().uri) : Json();
      out["solved_by"] = tally.solvers.solved_by();
      out["fallbacks"] = tally.solvers.fallbacks();
      out["seed"] = session.seed();
      if (!session.schedules().empty()) {
        out["sweeps"] = session.schedules()[0].sweeps;
        out["restarts"] = session.schedules()[0].restarts;
        out["schedules"] = schedules_json(session.schedules());
      }
      out["threads"] = run_.threads;
      out["shard"] = {{"index", shard.index % shard.count}, {"of", shard.count}};
      out["checksum"] = checksum;
      if (Interrupt::signal() != 0) out["stopped"] = true;
      console.object(out);
      return;
    }
    console.line(format("%s on %s/%s: %lld of %lld right, accuracy %.2f %%", model_path_.c_str(),
                        info.name.c_str(), info.split.c_str(),
                        static_cast<long long>(tally.correct),
                        static_cast<long long>(tally.samples), 100 * accuracy));
    if (tally.unread > 0) {
      console.line(format("%lld samples cannot be read and are not counted",
                          static_cast<long long>(tally.unread)));
    }
    console.line(format("mean probability of the label %.4f", tally.label_probability / n));
    console.line(format("latency us: p50 %.1f, p90 %.1f, p99 %.1f; %.1f %s/s", p50, p90, p99, rate,
                        info.kind == io::SampleKind::text ? "texts" : "images"));
    if (session.device() != nullptr) {
      console.line("device " + session.device()->info().uri + ", solved by " +
                   tally.solvers.text() + ", seed " + std::to_string(session.seed()));
    }
    console.line("confusion (row: label, column: answer)");
    for (std::size_t row = 0; row < tally.confusion.size(); ++row) {
      std::string line;
      for (const std::int64_t count : tally.confusion[row]) {
        line += format("%7lld", static_cast<long long>(count));
      }
      console.line(line + "  " + std::string(model_->label(static_cast<std::int32_t>(row))));
    }
    console.line("checksum " + checksum);
  }

  std::string model_path_;
  weights::ModelOptions model_options_;
  DataArguments data_;
  std::int64_t limit_ = 0;
  std::string shard_;
  std::vector<std::string> record_;
  std::string answers_;
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
