// `qama profile`: where the time goes, on one or several devices side by side over the same inputs.
// This file runs and collects; what is made of it is profile_report.h's business.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <random>

#include "hal/base/quote.h"
#include "hal/device.h"
#include "hal/job_size.h"
#include "runtime/api/sample.h"
#include "runtime/cli/arguments.h"
#include "runtime/cli/command.h"
#include "runtime/cli/profile_report.h"
#include "runtime/cli/provenance.h"

namespace qama::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::int32_t kSyntheticInputs = 16;
constexpr std::uint64_t kSyntheticSeed = 1;
constexpr std::int32_t kReferenceSweeps = 200;
constexpr std::int32_t kReferenceRestarts = 64;
constexpr std::int64_t kMostReferenceSpins =
    1024;  // beyond, a reference would take longer than everything else

double us_since(Clock::time_point start) {
  return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
}

/// Inputs that need no file: a few soft blobs a picture, words at random; the same on every
/// machine.
std::vector<runtime::Sample> synthetic_inputs(const weights::Architecture& a) {
  std::mt19937_64 random(kSyntheticSeed);
  const auto number = [&random](double limit) {
    return static_cast<double>(random() >> 11) * 0x1p-53 * limit;
  };
  std::vector<runtime::Sample> out(kSyntheticInputs);
  for (std::size_t n = 0; n < out.size(); ++n) {
    runtime::Sample& input = out[n];
    input.index = n;
    if (a.is_text()) {
      input.tokens.resize(static_cast<std::size_t>(a.max_tokens));
      for (std::int32_t& id : input.tokens)
        id = static_cast<std::int32_t>(random() % static_cast<std::uint64_t>(a.vocabulary));
      input.length = a.max_tokens;
      continue;
    }
    const auto height = static_cast<std::size_t>(a.image_height);
    const auto width = static_cast<std::size_t>(a.image_width);
    const auto channels = static_cast<std::size_t>(a.image_channels);
    std::vector<double> light(height * width * channels);
    for (int blob = 0; blob < 5; ++blob) {
      const double row = number(static_cast<double>(height));
      const double column = number(static_cast<double>(width));
      const double size = 1.0 + number(static_cast<double>(width) / 6);
      std::vector<double> strength(channels);
      for (double& value : strength) value = 100 + number(200);
      for (std::size_t y = 0; y < height; ++y) {
        for (std::size_t x = 0; x < width; ++x) {
          const double dy = (static_cast<double>(y) - row) / size;
          const double dx = (static_cast<double>(x) - column) / size;
          const double share = std::max(1 - 0.4 * (dy * dy + dx * dx), 0.0);
          for (std::size_t c = 0; c < channels; ++c)
            light[(y * width + x) * channels + c] += share * strength[c];
        }
      }
    }
    for (const double value : light)
      input.pixels.push_back(static_cast<std::uint8_t>(std::min(value, 255.0)));
  }
  return out;
}

/// Solves every layer that goes by at length, and takes its size on a machine's link.
class Reference final : public runtime::ProblemSink {
 public:
  /// Null if the model's layers are too large for it.
  static Result<std::unique_ptr<Reference>> create(const weights::Architecture& a) {
    const hal::ProblemShape shape{a.heads, a.spins_per_head()};
    std::unique_ptr<Reference> out;
    if (!a.is_qama() || shape.spins() > kMostReferenceSpins) return out;
    out.reset(new Reference);
    QAMA_ASSIGN_OR_RETURN(out->device_, hal::open_device("cpu:"));
    QAMA_ASSIGN_OR_RETURN(out->solver_, out->device_->compile(shape));
    out->options_.schedule.sweeps = kReferenceSweeps;
    out->options_.schedule.restarts = kReferenceRestarts;
    out->options_.schedule.t_start = a.attention.anneal.t_start;
    out->options_.schedule.t_end = a.attention.anneal.t_end;
    out->spins_.resize(static_cast<std::size_t>(a.heads) *
                       static_cast<std::size_t>(hal::words_per_head(a.spins_per_head())));
    auto gauge = hal::gauge_jobs(shape);
    if (gauge.ok()) {
      out->gauge_ = std::move(gauge).value();
    } else {
      out->why_not_ = gauge.error().message;
    }
    return out;
  }

  void problem(const runtime::LayerProblem& layer) override {
    // A layer whose couplings were never built has no integers to solve here.
    if (!status_.ok() || layer.problem == nullptr || layer.problem->couplings == nullptr) return;
    hal::SolveOptions options = options_;
    options.seed = layer.seed + 1;
    hal::SolveResult result;
    status_ = solver_->solve(*layer.problem, options, spins_, result);
    if (!status_.ok()) return;
    energies.push_back({layer.layer, result.energy});
    // A layer that cannot be rounded does not count.
    if (gauge_ != nullptr) static_cast<void>(gauge_->add(*layer.problem));
  }

  [[nodiscard]] const Status& status() const noexcept { return status_; }

  [[nodiscard]] MachineJob job() const {
    return {gauge_ != nullptr ? gauge_->size() : std::nullopt, why_not_};
  }

  struct Best {
    std::int32_t layer = 0;
    std::int64_t energy = 0;
  };
  std::vector<Best> energies;  ///< of the layers that went by; the caller clears it

 private:
  Reference() = default;
  std::shared_ptr<hal::Device> device_;
  std::unique_ptr<hal::Solver> solver_;
  hal::SolveOptions options_;
  std::vector<std::uint64_t> spins_;
  std::unique_ptr<hal::JobGauge> gauge_;
  std::string why_not_;
  Status status_;
};

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
    declare_model(app, model_path_);
    app.add_option("--input,INPUT", inputs_,
                   "An input, as `qama classify` takes it. Without any: 16 synthetic ones, the "
                   "same everywhere.")
        ->type_name("");
    app.add_option("--device", devices_,
                   "Run on this device; several devices run the same inputs and take turns.")
        ->type_name("URI")
        ->expected(1)
        ->take_all()
        ->default_str("cpu:");
    app.add_option("--runs", runs_, "Time N runs on each device.")
        ->type_name("N")
        ->check(CLI::Range(1, 1000000))
        ->capture_default_str();
    app.add_option(
           "--warm-up", warm_up_,
           "Do N runs before them that do not count; the very first run is reported by itself.")
        ->type_name("N")
        ->check(CLI::Range(0, 100000))
        ->capture_default_str();
    app.add_option("--batch", batch_, "Measure the throughput of batches of N samples, too.")
        ->type_name("N")
        ->check(CLI::Range(2, 4096));
    app.add_option("--csv", csv_,
                   "Write every part of every run to FILE; measured_us and modelled_us are "
                   "separate columns.")
        ->type_name("FILE");
    app.add_option("--trace", trace_,
                   "Write a Chrome trace to FILE, for Perfetto or chrome://tracing.")
        ->type_name("FILE");
    app.add_option("--html", html_, "Write a page with plots to FILE; it needs no network.")
        ->type_name("FILE");
    app.add_flag("--strict", strict_, "Fail if a layer uses a reference implementation.");
    run_.declare_without_device(app);
  }

  Status run(Console& console) override {
    if (devices_.empty()) devices_.emplace_back("cpu:");
    Profile profile;
    profile.model_path = model_path_;
    profile.runs = runs_;
    profile.warm_up = warm_up_;
    profile.threads = run_.threads;
    profile.provenance = provenance();
    std::vector<std::unique_ptr<runtime::Session>> sessions;
    for (const std::string& uri : devices_) {
      QAMA_RETURN_IF_ERROR(open(uri, profile, sessions, console));
    }
    const runtime::Model& model = sessions[0]->model();
    const weights::Architecture& a = model.architecture();
    profile.sha256 = model.file().sha256();
    profile.architecture = a.to_json();
    profile.layers = sessions[0]->plan().qama_layers();
    profile.spins = profile.layers > 0 ? std::int64_t{a.heads} * a.spins_per_head() : 0;
    profile.provenance["threads"] = run_.threads;
    profile.provenance["model_sha256"] = profile.sha256;
    profile.provenance["seed"] = sessions[0]->seed();

    std::vector<runtime::Sample> inputs;
    if (inputs_.empty()) {
      inputs = synthetic_inputs(a);
      profile.inputs = std::to_string(inputs.size()) + " synthetic inputs, seed " +
                       std::to_string(kSyntheticSeed);
    } else {
      QAMA_ASSIGN_OR_RETURN(
          const auto reader,
          runtime::SampleReader::create(sessions[0]->plan().shared_model(), model_path_));
      for (const std::string& name : inputs_) {
        QAMA_ASSIGN_OR_RETURN(runtime::Sample input, reader.read(name));
        inputs.push_back(std::move(input));
      }
      profile.inputs = std::to_string(inputs.size()) + " inputs";
    }
    profile.provenance["inputs"] = profile.inputs;
    QAMA_RETURN_IF_ERROR(measure(inputs, profile, sessions, console));
    for (std::size_t d = 0; d < sessions.size(); ++d)
      profile.devices[d].peak_rss = peak_rss_bytes();
    if (batch_ > 0) {
      for (std::size_t d = 0; d < sessions.size(); ++d)
        QAMA_RETURN_IF_ERROR(measure_batches(inputs, *sessions[d], profile.devices[d], console));
    }
    QAMA_RETURN_IF_ERROR(measure_gaps(inputs, profile, sessions));

    if (!csv_.empty()) QAMA_RETURN_IF_ERROR(write_profile_csv(profile, csv_));
    if (!trace_.empty()) QAMA_RETURN_IF_ERROR(write_profile_trace(profile, trace_));
    if (!html_.empty()) QAMA_RETURN_IF_ERROR(write_profile_html(profile, html_));
    if (console.json) {
      console.object(profile_json(profile));
    } else {
      print_profile(profile, console);
    }
    return strict_ ? check_implementations(profile) : Status();
  }

 private:
  Status open(const std::string& uri, Profile& profile,
              std::vector<std::unique_ptr<runtime::Session>>& sessions, const Console& console) {
    DeviceProfile device;
    device.uri = uri;
    Clock::time_point start = Clock::now();
    QAMA_ASSIGN_OR_RETURN(auto model, runtime::Model::open(model_path_));
    device.model_us = us_since(start);
    start = Clock::now();
    QAMA_ASSIGN_OR_RETURN(
        auto plan,
        runtime::Plan::create(std::move(model),
                              {1, run_.threads, 1, hal::forms_of(uri).has(hal::Form::factors)}));
    device.plan_us = us_since(start);
    start = Clock::now();
    run_.device = uri;
    QAMA_ASSIGN_OR_RETURN(auto session, run_.open(plan, model_path_, console));
    device.session_us = us_since(start);
    device.has_device = session->device() != nullptr;
    if (device.has_device) device.info = session->device()->info();
    device.arena_bytes = plan->arena_bytes();
    device.weight_bytes = plan->weight_bytes();
    device.seed = session->seed();
    device.steps.assign(plan->steps().begin(), plan->steps().end());
    profile.devices.push_back(std::move(device));
    sessions.push_back(std::move(session));
    return {};
  }

  /// Devices take turns input by input, so that what else the machine does meets all alike.
  Status measure(const std::vector<runtime::Sample>& inputs, Profile& profile,
                 std::vector<std::unique_ptr<runtime::Session>>& sessions,
                 const Console& console) const {
    std::vector<runtime::Profiler> profilers;
    for (const auto& session : sessions) profilers.emplace_back(session->plan());
    std::vector<float> logits(static_cast<std::size_t>(sessions[0]->model().classes()));
    const std::int32_t total = 1 + warm_up_ + runs_;
    Progress progress(console, "runs", total);
    for (std::int32_t r = 0; r < total; ++r) {
      const std::size_t which = static_cast<std::size_t>(r) % inputs.size();
      for (std::size_t d = 0; d < sessions.size(); ++d) {
        DeviceProfile& device = profile.devices[d];
        runtime::Hooks hooks;
        hooks.profiler = &profilers[d];
        QAMA_RETURN_IF_ERROR(runtime::run_sample(*sessions[d], inputs[which], logits, hooks));
        if (r == 0) device.first_us = sessions[d]->latency_us(0);
        if (r <= warm_up_) continue;
        ProfileRun run;
        run.input = static_cast<std::int32_t>(which);
        run.latency_us = sessions[d]->latency_us(0);
        const auto row = profilers[d].row(0);
        run.steps.assign(row.begin(), row.end());
        const auto solves = sessions[d]->solves(0);
        run.solves.assign(solves.begin(), solves.end());
        device.runs.push_back(std::move(run));
        device.solvers.add(*sessions[d], 0);
      }
      progress.update(r + 1);
    }
    for (DeviceProfile& device : profile.devices) name_solvers(device);
    return {};
  }

  /// The plan knows only that a device solves; who did is known now.
  static void name_solvers(DeviceProfile& device) {
    std::size_t layer = 0;
    for (runtime::StepInfo& step : device.steps) {
      if (step.op != "qama.solve") continue;
      std::string names;
      for (const ProfileRun& run : device.runs) {
        const std::string name =
            layer < run.solves.size() ? run.solves[layer].result.solved_by : "";
        if (names.find(name) == std::string::npos) names += (names.empty() ? "" : "+") + name;
      }
      step.implementation = names;
      ++layer;
    }
  }

  Status measure_batches(const std::vector<runtime::Sample>& inputs, const runtime::Session& single,
                         DeviceProfile& device, const Console& console) {
    run_.device = device.uri;
    const std::int32_t in_flight = run_.in_flight_for(device.uri);
    QAMA_ASSIGN_OR_RETURN(
        auto plan, runtime::Plan::create(single.plan().shared_model(),
                                         {batch_, run_.threads, in_flight,
                                          hal::forms_of(device.uri).has(hal::Form::factors)}));
    Console silent = console;
    silent.quiet = true;
    QAMA_ASSIGN_OR_RETURN(const auto session, run_.open(plan, model_path_, silent));
    const runtime::Model& model = session->model();
    const weights::Architecture& a = model.architecture();
    std::vector<std::uint8_t> pixels;
    std::vector<std::int32_t> tokens;
    std::vector<std::int32_t> lengths;
    for (std::int32_t i = 0; i < batch_; ++i) {
      const runtime::Sample& input = inputs[static_cast<std::size_t>(i) % inputs.size()];
      pixels.insert(pixels.end(), input.pixels.begin(), input.pixels.end());
      tokens.insert(tokens.end(), input.tokens.begin(), input.tokens.end());
      lengths.push_back(input.length);
    }
    std::vector<float> logits(static_cast<std::size_t>(batch_) *
                              static_cast<std::size_t>(model.classes()));
    const auto once = [&] {
      return a.is_text() ? session->run_tokens(tokens, lengths, logits)
                         : session->run_u8(pixels, batch_, logits);
    };
    QAMA_RETURN_IF_ERROR(once());
    const std::int32_t rounds = std::max(runs_ / batch_, 1);
    std::vector<double> rates;
    for (std::int32_t round = 0; round < rounds; ++round) {
      const Clock::time_point start = Clock::now();
      QAMA_RETURN_IF_ERROR(once());
      rates.push_back(static_cast<double>(batch_) / us_since(start) * 1e6);
    }
    std::sort(rates.begin(), rates.end());
    device.batch = batch_;
    device.in_flight = in_flight;
    device.samples_per_s = percentile(rates, 50);
    return {};
  }

  Status measure_gaps(const std::vector<runtime::Sample>& inputs, Profile& profile,
                      std::vector<std::unique_ptr<runtime::Session>>& sessions) const {
    const weights::Architecture& a = sessions[0]->model().architecture();
    QAMA_ASSIGN_OR_RETURN(const auto reference, Reference::create(a));
    if (reference == nullptr) return {};
    std::vector<float> logits(static_cast<std::size_t>(a.classes));
    const std::size_t count = std::min<std::size_t>(inputs.size(), 64);
    for (std::size_t d = 0; d < sessions.size(); ++d) {
      GapReport& gap = profile.devices[d].gap;
      gap.reference_sweeps = kReferenceSweeps;
      gap.reference_restarts = kReferenceRestarts;
      runtime::Hooks hooks;
      hooks.problems = reference.get();
      for (std::size_t i = 0; i < count; ++i) {
        reference->energies.clear();
        QAMA_RETURN_IF_ERROR(runtime::run_sample(*sessions[d], inputs[i], logits, hooks));
        QAMA_RETURN_IF_ERROR(Status(reference->status()));
        for (const Reference::Best& found : reference->energies) {
          const std::int64_t own =
              sessions[d]->solves(0)[static_cast<std::size_t>(found.layer)].result.energy;
          const std::int64_t best = std::min(own, found.energy);
          if (best != 0)
            gap.sorted.push_back(static_cast<double>(own - best) /
                                 std::fabs(static_cast<double>(best)));
        }
      }
      std::sort(gap.sorted.begin(), gap.sorted.end());
    }
    profile.job = reference->job();
    return {};
  }

  static Status check_implementations(const Profile& profile) {
    for (const DeviceProfile& device : profile.devices) {
      QAMA_RETURN_IF_ERROR(refuse_references(device.steps));
    }
    return {};
  }

  std::string model_path_;
  std::vector<std::string> inputs_;
  std::vector<std::string> devices_;
  std::int32_t runs_ = 200;
  std::int32_t warm_up_ = 20;
  std::int32_t batch_ = 0;
  std::string csv_, trace_, html_;
  bool strict_ = false;
  RunArguments run_;
};

}  // namespace

std::unique_ptr<Command> make_profile() {
  return std::make_unique<ProfileCommand>();
}

}  // namespace qama::cli
