// `qama verify-install`: a device proves that it computes what the release computed.
#include <algorithm>
#include <filesystem>

#include "hal/base/quote.h"
#include "hal/base/sentence.h"
#include "hal/platform/file.h"
#include "qama/qama.h"
#include "runtime/api/answer.h"
#include "runtime/api/sample.h"
#include "runtime/cli/arguments.h"
#include "runtime/cli/command.h"
#include "runtime/cli/files.h"
#include "runtime/cli/profile/synthetic.h"
#include "runtime/cli/release/list.h"
#include "runtime/cli/release/self_test.h"

namespace qama::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPlain = "cpu:scalar";
constexpr std::string_view kSuffix = ".safetensors";

class VerifyInstall final : public Command {
 public:
  CommandText text() const override {
    return {
        .summary = "Prove that this machine computes what the release computed.",
        .notes =
            "The program carries a list of its release. Each model's SHA-256 must be that of the "
            "list, and its answer\n"
            "to an input, too. Annealing layers of every form must get the spins of the list, on "
            "the plain kernel and\n"
            "on every kernel that this processor has. It takes about a second and no network.\n"
            "\n"
            "Without MODEL: those beside the program, or in share/qama/models of its "
            "installation.\n"
            "\n"
            "The list is no signature: whoever can change the program can change it. `qama sign` "
            "and --trust are for\n"
            "that.\n",
        .examples =
            "qama verify-install\n"
            "qama verify-install weights/models/*.safetensors\n"
            "qama verify-install --list release.txt MODEL\n"};
  }

  void declare(CLI::App& app) override {
    app.add_option("MODEL", models_, "A model file of the release.")->type_name("");
    declare_trust(app, model_options_);
    app.add_option("--list", list_, "Compare with the list in FILE in place of the program's own.")
        ->type_name("FILE");
    declare_output(app, "--write", write_,
                   "Compare nothing; write the list of what this machine computes to FILE, for a "
                   "release.");
  }

  Status run(Console& console) override {
    if (models_.empty()) find_models();
    if (!write_.empty()) return write();
    ReleaseList expected;
    QAMA_ASSIGN_OR_RETURN(expected, read_list());
    if (models_.empty()) {
      console.log("note: no model is beside the program; only the spins are verified");
    }
    for (const std::string& path : models_) {
      const auto entry = expected.models.find(fs::path(path).stem().string());
      if (entry == expected.models.end()) {
        console.report(missing(path, expected));
        add("model", path, "", {}, false);
        continue;
      }
      check_model(console, path, entry->second);
    }
    for (const hal::DeviceListing& kernel : hal::list_devices()) {
      if (!kernel.usable || !kernel.uri.starts_with("cpu:") || kernel.uri == "cpu:") continue;
      QAMA_RETURN_IF_ERROR(check_spins(console, kernel.uri, expected));
    }
    if (console.json) {
      Json out;
      out["version"] = qama_version();
      out["ok"] = !console.failed();
      out["checks"] = std::move(checks_);
      console.object(out);
    }
    return {};
  }

 private:
  Result<ReleaseList> read_list() const {
    if (list_.empty()) return parse_release_list(own_release_list(), "of the program");
    QAMA_ASSIGN_OR_RETURN(const auto bytes,
                          platform::read_file(list_, kMaxListBytes, ErrorCode::report_bad_format));
    return parse_release_list({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, list_);
  }

  void find_models() {
    std::error_code error;
    const fs::path folder = fs::read_symlink("/proc/self/exe", error).parent_path();
    for (const fs::path& place : {folder, folder.parent_path() / "share" / "qama" / "models"}) {
      for (auto entry = fs::directory_iterator(place, error);
           !error && entry != fs::directory_iterator(); entry.increment(error)) {
        if (entry->path().extension() == kSuffix) models_.push_back(entry->path().string());
      }
    }
    std::sort(models_.begin(), models_.end());
  }

  /// A file that is not there, or one that the list does not know by its name.
  static Error missing(const std::string& path, const ReleaseList& expected) {
    const auto bytes = platform::file_bytes(path);
    if (!bytes.ok()) return bytes.error();
    std::string names;
    for (const auto& [name, entry] : expected.models) names += (names.empty() ? "" : ", ") + name;
    return make_error(ErrorCode::not_found, "model ", quote(path),
                      " is not in the list: expected a file named like one of ", names);
  }

  void add(const char* what, const std::string& name, const std::string& got, const Json& expected,
           bool ok) {
    checks_.push_back({{"what", what},
                       {"name", name},
                       {"got", got.empty() ? Json() : Json(got)},
                       {"expected", expected},
                       {"ok", ok}});
  }

  /// One comparison: a line, or an error.
  void compare(Console& console, const char* what, const std::string& name, const std::string& got,
               const std::string& expected, ErrorCode code) {
    const bool ok = got == expected;
    add(what, name, got, expected, ok);
    if (!ok) {
      console.report(
          make_error(code, what, " of ", quote(name), " is ", got, ", expected ", expected));
    } else if (!console.json) {
      console.line(format("ok  %-6s %s", what, name.c_str()));
    }
  }

  void check_model(Console& console, const std::string& path, const ReleaseModel& expected) {
    const auto model = runtime::Model::open(path, model_options_);
    if (!model.ok()) {
      console.report(model.error());
      add("model", path, std::string(error_name(model.error().code)), expected.sha256, false);
      return;
    }
    compare(console, "model", path, (*model)->file().sha256(), expected.sha256,
            ErrorCode::model_checksum_mismatch);
    const auto answer = answer_of(*model, path, expected.input);
    if (!answer.ok()) {
      console.report(answer.error());
      add("answer", path, std::string(error_name(answer.error().code)), expected.answer, false);
      return;
    }
    compare(console, "answer", path, std::to_string(*answer), std::to_string(expected.answer),
            ErrorCode::golden_mismatch);
  }

  /// The class of a synthetic input.
  static Result<std::int32_t> answer_of(const std::shared_ptr<const runtime::Model>& model,
                                        const std::string& path, std::int32_t input) {
    const auto inputs = synthetic_samples(model->architecture());
    if (static_cast<std::size_t>(input) >= inputs.size()) {
      return make_error(ErrorCode::index_out_of_range, "input ", input, " of model ", quote(path),
                        ", expected less than ", inputs.size());
    }
    QAMA_ASSIGN_OR_RETURN(const auto session, open_silently(model, path));
    std::vector<float> logits(static_cast<std::size_t>(model->classes()));
    QAMA_RETURN_IF_ERROR(
        runtime::run_sample(*session, inputs[static_cast<std::size_t>(input)], logits));
    return runtime::argmax(logits);
  }

  static Result<std::unique_ptr<runtime::Session>> open_silently(
      const std::shared_ptr<const runtime::Model>& model, const std::string& path) {
    Console silent;
    silent.quiet = true;
    return RunArguments().open(model, path, 1, silent);
  }

  Status check_spins(Console& console, const std::string& kernel, const ReleaseList& expected) {
    QAMA_ASSIGN_OR_RETURN(const auto device, hal::open_device(kernel));
    const std::vector<std::string> layers = self_test_layers();
    for (std::size_t i = 0; i < layers.size(); ++i) {
      const auto entry = expected.spins.find(layers[i]);
      if (entry == expected.spins.end()) {
        return make_error(ErrorCode::not_found, "layer ", quote(layers[i]), " is not in the list");
      }
      QAMA_ASSIGN_OR_RETURN(const std::string got, self_test_spins(*device, i));
      compare(console, "spins", layers[i] + " " + kernel, got, entry->second,
              ErrorCode::golden_mismatch);
    }
    return {};
  }

  /// The list of what is computed here: spins of the plain kernel, and of each model the synthetic
  /// input that it is surest of, so that no rounding of floats decides.
  Status write() const {
    ReleaseList list;
    QAMA_ASSIGN_OR_RETURN(const auto device, hal::open_device(kPlain));
    const std::vector<std::string> layers = self_test_layers();
    for (std::size_t i = 0; i < layers.size(); ++i) {
      QAMA_ASSIGN_OR_RETURN(list.spins[layers[i]], self_test_spins(*device, i));
    }
    for (const std::string& path : models_) {
      QAMA_ASSIGN_OR_RETURN(const auto model, runtime::Model::open(path, model_options_));
      ReleaseModel& entry = list.models[fs::path(path).stem().string()];
      entry.sha256 = model->file().sha256();
      QAMA_ASSIGN_OR_RETURN(const auto session, open_silently(model, path));
      const auto inputs = synthetic_samples(model->architecture());
      std::vector<float> logits(static_cast<std::size_t>(model->classes()));
      std::vector<double> p(logits.size());
      double surest = 0;
      for (std::size_t i = 0; i < inputs.size(); ++i) {
        QAMA_RETURN_IF_ERROR(runtime::run_sample(*session, inputs[i], logits));
        QAMA_RETURN_IF_ERROR(runtime::softmax(logits, p));
        const std::int32_t answer = runtime::argmax(logits);
        if (p[static_cast<std::size_t>(answer)] <= surest) continue;
        surest = p[static_cast<std::size_t>(answer)];
        entry.input = static_cast<std::int32_t>(i);
        entry.answer = answer;
      }
    }
    return write_file(write_, list.text());
  }

  std::vector<std::string> models_;
  weights::ModelOptions model_options_;
  std::string list_, write_;
  Json checks_ = Json::array();
};

}  // namespace

std::unique_ptr<Command> make_verify_install() {
  return std::make_unique<VerifyInstall>();
}

}  // namespace qama::cli
