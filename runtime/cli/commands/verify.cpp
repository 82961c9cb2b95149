// `qama verify`: a model against the intermediates that PyTorch recorded for it. First with the
// golden's spins in place of the solver's, so that every tensor can be compared; then with spins of
// its own, where only the answers can agree.
#include <algorithm>
#include <cmath>
#include <limits>

#include "hal/base/quote.h"
#include "runtime/cli/arguments.h"
#include "runtime/cli/command.h"
#include "runtime/cli/numbers.h"
#include "runtime/cli/report.h"
#include "runtime/engine/hooks.h"
#include "weights/golden_file.h"

namespace qama::cli {
namespace {

/// Difference of one named tensor over all samples.
struct Difference {
  double max_abs = 0;
  double error = 0;  ///< sum (ours - golden)^2
  double power = 0;  ///< sum golden^2
  std::int64_t elements = 0;

  void add(double ours, double golden) {
    const double difference = ours - golden;
    // Written so that a NaN counts as the largest difference.
    if (!(std::fabs(difference) <= max_abs)) max_abs = std::fabs(difference);
    error += difference * difference;
    power += golden * golden;
    ++elements;
  }
  /// Normalised mean square error; 0 for two zeros.
  [[nodiscard]] double nmse() const {
    if (error == 0) return 0;
    return power > 0 ? error / power : std::numeric_limits<double>::infinity();
  }
};

/// Compares what a run records with the golden file, sample by sample.
class Comparer final : public runtime::Recorder {
 public:
  Comparer(const weights::GoldenFile& golden, const weights::Architecture& architecture,
           std::span<const std::int32_t> lengths)
      : golden_(golden), architecture_(architecture), lengths_(lengths) {}

  /// Position of the batch's first sample in the golden file.
  std::int32_t first = 0;

  void tensor(std::string_view name, std::int32_t sample, std::span<const float> values) override {
    compare(name, sample, values, false);
  }
  void spins(std::string_view name, std::int32_t sample,
             std::span<const std::uint8_t> values) override {
    compare(name, sample, values, true);
  }
  void energies(std::string_view name, std::int32_t sample,
                std::span<const double> values) override {
    compare(name, sample, values, true);
  }

  [[nodiscard]] const std::vector<std::pair<std::string, Difference>>& differences() const {
    return differences_;
  }

 private:
  /// `heads`: [B, H, N] rather than [B, N, dim] (or [B, width], which is compared whole).
  template <typename T>
  void compare(std::string_view name, std::int32_t sample, std::span<const T> values, bool heads) {
    const weights::TensorView* tensor = golden_.find(name);
    if (tensor == nullptr) return;
    Difference& difference = difference_of(name);
    const auto at = static_cast<std::size_t>(first + sample) * values.size();
    // What lies behind a text's own tokens means nothing.
    const auto own = static_cast<std::size_t>(
        lengths_.empty() ? architecture_.tokens()
                         : lengths_[static_cast<std::size_t>(first + sample)]);
    const bool by_token = tensor->shape.size() == 3;
    const auto width = static_cast<std::size_t>(tensor->shape.back());
    const auto golden_f32 = tensor->f32();
    const auto golden_u8 = tensor->u8();
    const std::size_t count = golden_f32.ok()  ? golden_f32->size()
                              : golden_u8.ok() ? golden_u8->size()
                                               : 0;
    for (std::size_t i = 0; i < values.size() && at + i < count; ++i) {
      if (by_token && (heads ? i % width : i / width) >= own) continue;
      const double expected = golden_f32.ok() ? static_cast<double>((*golden_f32)[at + i])
                                              : static_cast<double>((*golden_u8)[at + i]);
      difference.add(static_cast<double>(values[i]), expected);
    }
  }

  Difference& difference_of(std::string_view name) {
    for (auto& [known, difference] : differences_) {
      if (known == name) return difference;
    }
    return differences_.emplace_back(std::string(name), Difference{}).second;
  }

  const weights::GoldenFile& golden_;
  const weights::Architecture& architecture_;
  std::span<const std::int32_t> lengths_;
  std::vector<std::pair<std::string, Difference>> differences_;  ///< in the order of the network
};

/// How far a model may be from its golden file.
struct Bounds {
  double logits;     ///< largest difference
  double nmse;       ///< of every tensor
  double agreement;  ///< least share of equal answers
};
constexpr Bounds kFloats{1e-4, 1e-8, 1.0};
/// What rounding weights and inputs to 8 bits costs the shipped models at most, and twice that.
constexpr Bounds kInt8{1.0, 5e-3, 0.95};
/// The same of products in half precision.
constexpr Bounds kHalf{0.1, 1e-4, 0.95};

Bounds bounds_of(const weights::ModelFile& file) {
  for (const weights::TensorView& tensor : file.tensors()) {
    if (tensor.dtype == weights::Dtype::i8) return kInt8;
  }
  return file.architecture().half_products ? kHalf : kFloats;
}

class Verify final : public Command {
 public:
  CommandText text() const override {
    return {
        .summary = "Compare every intermediate value of a model with PyTorch's.",
        .notes =
            "The golden file's spins take the place of the solver's, as far as it has them. Then "
            "logits and tensors must be within the bounds, and every answer must be the golden "
            "file's; in int8 and with products in half precision, 95 % of them. What the solver's "
            "own spins give is printed beside it and has no bound.\n",
        .examples =
            "qama verify weights/models/mnist-qama.safetensors mnist-qama.golden.safetensors\n"};
  }

  void declare(CLI::App& app) override {
    app.add_option("MODEL", model_path_, "The model file.")->required()->type_name("");
    app.add_option("GOLDEN", golden_path_,
                   "The file of intermediates that the exporter wrote for it.")
        ->required()
        ->type_name("");
    declare_trust(app, model_options_);
    app.add_option("--tolerance", tolerance_,
                   "Allow a logit to differ by X, with the golden file's spins. Without it: " +
                       format("%g, %g with products in half precision, and %g in int8.",
                              kFloats.logits, kHalf.logits, kInt8.logits))
        ->type_name("X")
        ->check(above_zero());
    app.add_option(
           "--nmse", most_nmse_,
           "Allow a tensor a normalised mean square error of X, with the golden file's spins. "
           "Without it: " +
               format("%g, %g with products in half precision, and %g in int8.", kFloats.nmse,
                      kHalf.nmse, kInt8.nmse))
        ->type_name("X")
        ->check(above_zero());
    run_.declare(app);
  }

  Status run(Console& console) override {
    QAMA_ASSIGN_OR_RETURN(model_, runtime::Model::open(model_path_, model_options_));
    QAMA_ASSIGN_OR_RETURN(golden_, weights::GoldenFile::open(golden_path_));
    const weights::Architecture& a = model_->architecture();
    QAMA_RETURN_IF_ERROR(golden_->matches(a, model_->file().sha256()));
    QAMA_RETURN_IF_ERROR(read_golden());
    QAMA_ASSIGN_OR_RETURN(session_, run_.open(model_, model_path_, 1, console));

    Comparer comparer(*golden_, a, lengths_);
    QAMA_ASSIGN_OR_RETURN(const Answers forced, answers(console, &comparer));
    std::optional<Answers> own;
    if (session_->plan().qama_layers() > 0) {
      QAMA_ASSIGN_OR_RETURN(own, answers(console, nullptr));
    }
    return report(console, comparer, forced, own);
  }

 private:
  /// What the session says of every sample of the golden file.
  struct Answers {
    std::vector<std::int32_t> classes;
    double agreement = 0;            ///< share of samples with the golden's own answer
    std::optional<double> accuracy;  ///< share of samples with the right label, if labels are known
    double logits_max_abs = 0;
  };

  Status read_golden() {
    const weights::Architecture& a = model_->architecture();
    const auto batch = static_cast<std::size_t>(golden_->batch());
    QAMA_ASSIGN_OR_RETURN(const weights::TensorView* logits, golden_->tensor("logits"));
    QAMA_ASSIGN_OR_RETURN(logits_, logits->f32());
    if (const weights::TensorView* labels = golden_->find("labels")) {
      QAMA_ASSIGN_OR_RETURN(labels_, labels->i32());
    }
    if (a.is_text()) {
      QAMA_ASSIGN_OR_RETURN(const weights::TensorView* tokens, golden_->tensor("tokens"));
      QAMA_ASSIGN_OR_RETURN(tokens_, tokens->i32());
      QAMA_ASSIGN_OR_RETURN(const weights::TensorView* lengths, golden_->tensor("lengths"));
      QAMA_ASSIGN_OR_RETURN(lengths_, lengths->i32());
    } else {
      QAMA_ASSIGN_OR_RETURN(const weights::TensorView* input, golden_->tensor("input"));
      QAMA_ASSIGN_OR_RETURN(input_, input->f32());
    }
    for (std::size_t b = 0; b < batch; ++b) {
      const auto classes = static_cast<std::size_t>(a.classes);
      golden_classes_.push_back(runtime::argmax(logits_.subspan(b * classes, classes)));
    }
    return {};
  }

  /// With a comparer: recorded, and with the golden's spins as far as it has them.
  Result<Answers> answers(const Console& console, Comparer* comparer) const {
    const weights::Architecture& a = model_->architecture();
    const auto batch = static_cast<std::size_t>(golden_->batch());
    const auto classes = static_cast<std::size_t>(a.classes);
    const std::size_t spins =
        static_cast<std::size_t>(a.heads) * static_cast<std::size_t>(a.spins_per_head());
    std::vector<float> logits(classes);
    Answers out;
    std::size_t right = 0;
    std::size_t same = 0;
    Progress progress(console, "qama: verify", golden_->batch());
    for (std::size_t b = 0; b < batch; ++b) {
      std::vector<std::span<const std::uint8_t>> forced;
      runtime::RunOptions options;
      options.first_sample = b;
      if (comparer != nullptr) {
        comparer->first = static_cast<std::int32_t>(b);
        options.hooks.recorder = comparer;
        for (const std::int32_t block : session_->plan().qama_blocks()) {
          const weights::TensorView* tensor =
              golden_->find("block." + std::to_string(block) + ".spins");
          if (tensor == nullptr) {
            forced.emplace_back();
            continue;
          }
          QAMA_ASSIGN_OR_RETURN(const std::span<const std::uint8_t> all, tensor->u8());
          forced.push_back(all.subspan(b * spins, spins));
        }
        options.hooks.forced_spins = forced;
      }
      if (a.is_text()) {
        const auto width = static_cast<std::size_t>(a.max_tokens);
        QAMA_RETURN_IF_ERROR(session_->run_tokens(tokens_.subspan(b * width, width),
                                                  lengths_.subspan(b, 1), logits, options));
      } else {
        const std::size_t floats = model_->input_floats();
        QAMA_RETURN_IF_ERROR(
            session_->run_f32(input_.subspan(b * floats, floats), 1, logits, options));
      }
      const std::int32_t answer = runtime::argmax(logits);
      out.classes.push_back(answer);
      same += answer == golden_classes_[b] ? 1 : 0;
      if (!labels_.empty()) right += answer == labels_[b] ? 1 : 0;
      Difference difference;
      for (std::size_t c = 0; c < classes; ++c) {
        difference.add(static_cast<double>(logits[c]),
                       static_cast<double>(logits_[b * classes + c]));
      }
      if (!(difference.max_abs <= out.logits_max_abs)) out.logits_max_abs = difference.max_abs;
      progress.update(static_cast<std::int64_t>(b));
    }
    out.agreement = static_cast<double>(same) / static_cast<double>(batch);
    if (!labels_.empty()) out.accuracy = static_cast<double>(right) / static_cast<double>(batch);
    return out;
  }

  Status report(Console& console, const Comparer& comparer, const Answers& forced,
                const std::optional<Answers>& own) const {
    Bounds most = bounds_of(model_->file());
    most.logits = tolerance_.value_or(most.logits);
    most.nmse = most_nmse_.value_or(most.nmse);
    std::string failure;
    const auto fail = [&failure](const std::string& what) {
      if (failure.empty()) failure = what;
    };
    if (!(forced.logits_max_abs <= most.logits)) {
      fail(format("logits differ by up to %.3g, expected at most %.3g", forced.logits_max_abs,
                  most.logits));
    }
    if (forced.agreement < most.agreement) {
      fail(format("the answers agree for %.2f %% of the samples, expected %g %%",
                  100 * forced.agreement, 100 * most.agreement));
    }
    Json tensors = Json::array();
    if (!console.json) {
      console.line(format("%-24s %12s %12s", "tensor", "max_abs", "nmse"));
    }
    for (const auto& [name, difference] : comparer.differences()) {
      const bool ok = difference.nmse() <= most.nmse;
      if (!ok) {
        fail("tensor " + quote(name) +
             format(": nmse %.3g, expected at most %.3g", difference.nmse(), most.nmse));
      }
      tensors.push_back({{"name", name},
                         {"max_abs", difference.max_abs},
                         {"nmse", difference.nmse()},
                         {"elements", difference.elements},
                         {"ok", ok}});
      if (!console.json) {
        console.line(format("%-24s %12.3g %12.3g%s", name.c_str(), difference.max_abs,
                            difference.nmse(), ok ? "" : "  <-"));
      }
    }
    const std::optional<double> golden_accuracy = accuracy_of_golden();
    if (console.json) {
      const auto number = [](const std::optional<double>& value) {
        return value ? Json(*value) : Json();
      };
      Json out;
      out["model"] = model_path_;
      out["golden"] = golden_path_;
      out["n"] = golden_->batch();
      out["tensors"] = std::move(tensors);
      out["logits_max_abs"] = forced.logits_max_abs;
      out["argmax_agreement"] = forced.agreement;
      out["accuracy"] = number(forced.accuracy);
      out["pytorch_accuracy"] = number(golden_accuracy);
      if (own) {
        out["own_spins"] = {{"argmax_agreement", own->agreement},
                            {"accuracy", number(own->accuracy)},
                            {"logits_max_abs", own->logits_max_abs}};
      }
      out["seed"] = session_->seed();
      out["ok"] = failure.empty();
      console.object(out);
    } else {
      console.line(format("samples %lld; logits max_abs %.3g; argmax agreement %.2f %%",
                          static_cast<long long>(golden_->batch()), forced.logits_max_abs,
                          100 * forced.agreement));
      if (own) {
        console.line(format("with its own spins: argmax agreement %.2f %%", 100 * own->agreement));
      }
      if (golden_accuracy && forced.accuracy) {
        std::string line = format("accuracy: PyTorch %.2f %%, here %.2f %%", 100 * *golden_accuracy,
                                  100 * *forced.accuracy);
        if (own && own->accuracy) {
          line += format(", with its own spins %.2f %%", 100 * *own->accuracy);
        }
        console.line(line);
      }
      console.line(failure.empty() ? "ok" : "not ok");
    }
    if (failure.empty()) return {};
    return Error{ErrorCode::golden_mismatch, "model " + quote(model_path_) + " and golden " +
                                                 quote(golden_path_) + ": " + failure};
  }

  [[nodiscard]] std::optional<double> accuracy_of_golden() const {
    if (labels_.empty()) return std::nullopt;
    std::size_t right = 0;
    for (std::size_t b = 0; b < golden_classes_.size(); ++b) {
      right += golden_classes_[b] == labels_[b] ? 1 : 0;
    }
    return static_cast<double>(right) / static_cast<double>(golden_classes_.size());
  }

  std::string model_path_;
  weights::ModelOptions model_options_;
  std::string golden_path_;
  std::optional<double> tolerance_, most_nmse_;
  RunArguments run_;
  std::shared_ptr<const runtime::Model> model_;
  std::shared_ptr<const weights::GoldenFile> golden_;
  std::unique_ptr<runtime::Session> session_;
  std::span<const float> logits_, input_;
  std::span<const std::int32_t> labels_, tokens_, lengths_;
  std::vector<std::int32_t> golden_classes_;
};

}  // namespace

std::unique_ptr<Command> make_verify() {
  return std::make_unique<Verify>();
}

}  // namespace qama::cli
