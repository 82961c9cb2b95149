#include "runtime/cli/profile/collect.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <span>

#include "runtime/api/sample.h"
#include "runtime/cli/measure.h"
#include "runtime/cli/profile/reference.h"
#include "runtime/cli/profile/synthetic.h"
#include "runtime/cli/provenance.h"
#include "runtime/cli/report.h"

namespace qama::cli {
namespace {

class Collector {
 public:
  Collector(const ProfileRequest& request, const Console& console)
      : request_(request), console_(console) {}

  Result<Profile> collect() {
    profile_.model_path = request_.model_path;
    profile_.runs = request_.runs;
    profile_.warm_up = request_.warm_up;
    profile_.threads = request_.run.threads;
    profile_.provenance = provenance();
    for (const std::string& uri : request_.devices) QAMA_RETURN_IF_ERROR(open(uri));
    describe_model();
    QAMA_RETURN_IF_ERROR(read_inputs());
    QAMA_RETURN_IF_ERROR(measure());
    for (DeviceProfile& device : profile_.devices) device.peak_rss = peak_rss_bytes();
    for (std::size_t d = 0; request_.batch > 0 && d < sessions_.size(); ++d) {
      QAMA_RETURN_IF_ERROR(measure_batches(*sessions_[d], profile_.devices[d]));
    }
    QAMA_RETURN_IF_ERROR(measure_gaps());
    return std::move(profile_);
  }

 private:
  Status open(const std::string& uri) {
    DeviceProfile device;
    device.uri = uri;
    RunArguments arguments = request_.run;
    arguments.device = uri;
    QAMA_ASSIGN_OR_RETURN(auto session, open_timed(request_.model_path, request_.model_options,
                                                   arguments, console_, device.opening));
    device.has_device = session->device() != nullptr;
    if (device.has_device) device.info = session->device()->info();
    device.arena_bytes = session->plan().arena_bytes();
    device.weight_bytes = session->plan().weight_bytes();
    device.seed = session->seed();
    device.steps.assign(session->plan().steps().begin(), session->plan().steps().end());
    profile_.devices.push_back(std::move(device));
    sessions_.push_back(std::move(session));
    return {};
  }

  void describe_model() {
    const runtime::Model& model = sessions_[0]->model();
    const weights::Architecture& a = model.architecture();
    profile_.sha256 = model.file().sha256();
    profile_.architecture = a.to_json();
    profile_.layers = sessions_[0]->plan().qama_layers();
    profile_.spins = profile_.layers > 0 ? std::int64_t{a.heads} * a.spins_per_head() : 0;
    profile_.provenance["threads"] = request_.run.threads;
    profile_.provenance["model_sha256"] = profile_.sha256;
    profile_.provenance["seed"] = sessions_[0]->seed();
  }

  Status read_inputs() {
    if (request_.inputs.empty()) {
      inputs_ = synthetic_samples(sessions_[0]->model().architecture());
      profile_.inputs = std::to_string(inputs_.size()) + " synthetic inputs, seed " +
                        std::to_string(kSyntheticSeed);
    } else {
      QAMA_ASSIGN_OR_RETURN(
          const auto reader,
          runtime::SampleReader::create(sessions_[0]->plan().shared_model(), request_.model_path,
                                        request_.pictures.options()));
      for (const std::string& name : request_.inputs) {
        QAMA_ASSIGN_OR_RETURN(runtime::Sample input, reader.read(name));
        if (request_.strict && input.doubt) return *input.doubt;
        if (input.doubt) console_.log("note: " + input.doubt->message);
        inputs_.push_back(std::move(input));
      }
      profile_.inputs = std::to_string(inputs_.size()) + " inputs";
    }
    profile_.provenance["inputs"] = profile_.inputs;
    return {};
  }

  /// Devices take turns input by input, so that what else the machine does meets all alike.
  Status measure() {
    std::vector<runtime::Profiler> profilers;
    for (const auto& session : sessions_) profilers.emplace_back(session->plan());
    std::vector<float> logits(static_cast<std::size_t>(sessions_[0]->model().classes()));
    const std::int32_t total = 1 + request_.warm_up + request_.runs;
    Progress progress(console_, "runs", total);
    for (std::int32_t r = 0; r < total; ++r) {
      const std::size_t which = static_cast<std::size_t>(r) % inputs_.size();
      for (std::size_t d = 0; d < sessions_.size(); ++d) {
        runtime::Hooks hooks;
        hooks.profiler = &profilers[d];
        QAMA_RETURN_IF_ERROR(runtime::run_sample(*sessions_[d], inputs_[which], logits, hooks));
        if (r == 0) profile_.devices[d].first_us = sessions_[d]->latency_us(0);
        if (r <= request_.warm_up) continue;
        keep(d, which, profilers[d].row(0));
      }
      progress.update(r + 1);
    }
    for (DeviceProfile& device : profile_.devices) name_solvers(device);
    return {};
  }

  /// One counted run of device `d`, the session's last.
  void keep(std::size_t d, std::size_t input, std::span<const runtime::StepTime> steps) {
    ProfileRun run;
    run.input = static_cast<std::int32_t>(input);
    run.latency_us = sessions_[d]->latency_us(0);
    run.steps.assign(steps.begin(), steps.end());
    const auto solves = sessions_[d]->solves(0);
    run.solves.assign(solves.begin(), solves.end());
    profile_.devices[d].runs.push_back(std::move(run));
    profile_.devices[d].solvers.add(*sessions_[d], 0);
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

  Status measure_batches(const runtime::Session& single, DeviceProfile& device) const {
    RunArguments arguments = request_.run;
    arguments.device = device.uri;
    QAMA_ASSIGN_OR_RETURN(device.throughput,
                          measure_throughput(single.plan().shared_model(), request_.model_path,
                                             arguments, request_.batch, request_.runs, inputs_));
    return {};
  }

  Status measure_gaps() {
    const weights::Architecture& a = sessions_[0]->model().architecture();
    QAMA_ASSIGN_OR_RETURN(const auto reference, Reference::create(a));
    if (reference == nullptr) return {};
    std::vector<float> logits(static_cast<std::size_t>(a.classes));
    const std::size_t count = std::min<std::size_t>(inputs_.size(), 64);
    for (std::size_t d = 0; d < sessions_.size(); ++d) {
      GapReport& gap = profile_.devices[d].gap;
      runtime::Hooks hooks;
      hooks.problems = reference.get();
      for (std::size_t i = 0; i < count; ++i) {
        reference->energies.clear();
        QAMA_RETURN_IF_ERROR(runtime::run_sample(*sessions_[d], inputs_[i], logits, hooks));
        QAMA_RETURN_IF_ERROR(Status(reference->status()));
        const auto blocks = sessions_[d]->plan().qama_blocks();
        for (const Reference::Best& found : reference->energies) {
          const auto layer = std::lower_bound(blocks.begin(), blocks.end(), found.block);
          const std::int64_t own = sessions_[d]
                                       ->solves(0)[static_cast<std::size_t>(layer - blocks.begin())]
                                       .result.energy;
          const std::int64_t best = std::min(own, found.energy);
          if (best != 0)
            gap.sorted.push_back(static_cast<double>(own - best) /
                                 std::fabs(static_cast<double>(best)));
        }
      }
      std::sort(gap.sorted.begin(), gap.sorted.end());
    }
    profile_.job = reference->job();
    return {};
  }

  const ProfileRequest& request_;
  const Console& console_;
  Profile profile_;
  std::vector<std::unique_ptr<runtime::Session>> sessions_;  ///< one a device
  std::vector<runtime::Sample> inputs_;
};

}  // namespace

Result<Profile> collect_profile(const ProfileRequest& request, const Console& console) {
  return Collector(request, console).collect();
}

}  // namespace qama::cli
