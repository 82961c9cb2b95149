// `qama profile`: where the time goes, on one or several devices side by side over the same inputs.
#include "runtime/cli/arguments.h"
#include "runtime/cli/command.h"
#include "runtime/cli/files.h"
#include "runtime/cli/profile/collect.h"
#include "runtime/cli/profile/report.h"
#include "runtime/cli/report.h"

namespace qama::cli {
namespace {

class ProfileCommand final : public Command {
 public:
  CommandText text() const override {
    return {.summary = "Show where the time goes, on one or several devices.",
            .notes =
                "Measured time (a clock), modelled time (an emulator's) and computed time (bytes "
                "over a rate) never\n"
                "share a column.\n",
            .examples =
                "qama profile -m weights/models/fashion-mnist-qama.safetensors\n"
                "qama profile -m MODEL --device cpu: --device cim://127.0.0.1:7010 --html "
                "profile.html\n"
                "qama profile -m MODEL shoe.png --runs 1000 --csv runs.csv --trace trace.json "
                "--json\n"};
  }

  void declare(CLI::App& app) override {
    declare_model(app, request_.model_path, request_.model_options);
    app.add_option("--input,INPUT", request_.inputs,
                   "An input, as `qama classify` takes it. Without any: 16 synthetic ones, the "
                   "same everywhere.")
        ->type_name("");
    app.add_option("--device", request_.devices,
                   "Run on this device; several devices run the same inputs and take turns.")
        ->type_name("URI")
        ->expected(1)
        ->take_all()
        ->default_str("cpu:");
    app.add_option("--runs", request_.runs, "Time N runs on each device.")
        ->type_name("N")
        ->check(CLI::Range(1, 1000000))
        ->capture_default_str();
    app.add_option(
           "--warm-up", request_.warm_up,
           "Do N runs before them that do not count; the very first run is reported by itself.")
        ->type_name("N")
        ->check(CLI::Range(0, 100000))
        ->capture_default_str();
    app.add_option("--batch", request_.batch,
                   "Measure the throughput of batches of N samples, too.")
        ->type_name("N")
        ->check(CLI::Range(2, 4096));
    declare_output(app, "--csv", csv_,
                   "Write every part of every run to FILE; measured_us and modelled_us are "
                   "separate columns.");
    declare_output(app, "--trace", trace_,
                   "Write a Chrome trace to FILE, for Perfetto or chrome://tracing.");
    declare_output(app, "--html", html_, "Write a page with plots to FILE; it needs no network.");
    app.add_flag("--strict", request_.strict,
                 "Fail if a layer uses a reference implementation, or if an input says nothing to "
                 "the model.");
    request_.pictures.declare(app);
    request_.run.declare_without_device(app);
  }

  Status run(Console& console) override {
    if (request_.devices.empty()) request_.devices.emplace_back("cpu:");
    QAMA_ASSIGN_OR_RETURN(const Profile profile, collect_profile(request_, console));
    if (!csv_.empty()) QAMA_RETURN_IF_ERROR(write_profile_csv(profile, csv_));
    if (!trace_.empty()) QAMA_RETURN_IF_ERROR(write_profile_trace(profile, trace_));
    if (!html_.empty()) QAMA_RETURN_IF_ERROR(write_profile_html(profile, html_));
    if (console.json) {
      console.object(profile_json(profile));
    } else {
      print_profile(profile, console);
    }
    for (const DeviceProfile& device : profile.devices) {
      if (request_.strict) QAMA_RETURN_IF_ERROR(refuse_references(device.steps));
    }
    return {};
  }

 private:
  ProfileRequest request_;
  std::string csv_, trace_, html_;
};

}  // namespace

std::unique_ptr<Command> make_profile() {
  return std::make_unique<ProfileCommand>();
}

}  // namespace qama::cli
