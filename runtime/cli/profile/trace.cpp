// A Chrome trace: a process a device, with a thread of measured time and one of modelled time.
#include <algorithm>

#include "runtime/cli/files.h"
#include "runtime/cli/profile/figures.h"
#include "runtime/cli/profile/report.h"

namespace qama::cli {
namespace {

constexpr std::size_t kMostRuns = 100;  // enough for a viewer
constexpr int kMeasured = 1;            // threads
constexpr int kModelled = 2;

/// Events of one device; times are microseconds since the first step of all.
class DeviceTrace {
 public:
  DeviceTrace(Json& events, std::size_t pid, std::int64_t origin_ns)
      : events_(events), pid_(pid), origin_ns_(origin_ns) {}

  void name(const DeviceProfile& device) {
    meta(0, "process_name", device.uri.empty() ? "model" : device.uri);
    meta(kMeasured, "thread_name", "measured (wall time)");
    if (modelled(device)) {
      meta(kModelled, "thread_name", "modelled by the emulator (device time, no clock)");
    }
  }

  void run(const DeviceProfile& device, std::size_t number) {
    const ProfileRun& run = device.runs[number];
    if (run.steps.empty()) return;
    const runtime::StepTime& last = run.steps.back();
    const double begin = at(run.steps[0].start_ns);
    slice(kMeasured, "sample " + std::to_string(run.input), "sample", begin,
          at(last.start_ns + last.duration_ns) - begin, {{"run", number}});
    std::size_t layer = 0;
    for (std::size_t i = 0; i < run.steps.size(); ++i) {
      const runtime::StepInfo& step = device.steps[i];
      const bool solved = is_solve(step) && layer < run.solves.size();
      this->step(step, run.steps[i], solved ? &run.solves[layer++] : nullptr);
    }
  }

 private:
  [[nodiscard]] double at(std::int64_t ns) const {
    return static_cast<double>(ns - origin_ns_) * 1e-3;
  }

  void meta(int tid, const char* what, const std::string& name) {
    events_.push_back(
        {{"ph", "M"}, {"pid", pid_}, {"tid", tid}, {"name", what}, {"args", {{"name", name}}}});
  }

  void slice(int tid, const std::string& name, const char* category, double start_us,
             double duration_us, Json arguments = Json::object()) {
    events_.push_back({{"ph", "X"},
                       {"pid", pid_},
                       {"tid", tid},
                       {"name", name},
                       {"cat", category},
                       {"ts", start_us},
                       {"dur", duration_us},
                       {"args", std::move(arguments)}});
  }

  void step(const runtime::StepInfo& step, const runtime::StepTime& time,
            const runtime::LayerSolve* solve) {
    const double start = at(time.start_ns);
    const double duration = static_cast<double>(time.duration_ns) * 1e-3;
    Json arguments = {{"op", step.op}, {"implementation", step.implementation}};
    if (solve != nullptr) {
      arguments["solved_by"] = solve->result.solved_by;
      arguments["fallback"] = std::string(hal::fallback_reason_name(solve->result.fallback));
      arguments["energy"] = solve->energy;
      arguments["flips"] = solve->result.flips;
    }
    slice(kMeasured, step.name, "step", start, duration, std::move(arguments));
    if (solve != nullptr && solve->result.timing.modelled) {
      parts(solve->result.timing, start, duration);
    }
  }

  /// What an emulated solve consists of: the host's parts one after the other, the machine's below.
  void parts(const Timing& t, double start, double duration) {
    double x = start;
    const auto part = [&](const char* name, double length) {
      slice(kMeasured, name, "link", x, length);
      x += length;
    };
    part("quantise", t.quantise_us);
    part("encode", t.encode_us);
    part("send", t.send_us);
    double m = x;
    part("network, queue and the emulator's computing",
         std::max(start + duration - t.verify_us - x, 0.0));
    part("verify", t.verify_us);
    for (const Part& machine : kParts) {
      if (!machine.machine) continue;
      slice(kModelled, machine.name, "modelled", m, t.*machine.field);
      m += t.*machine.field;
    }
  }

  Json& events_;
  std::size_t pid_;
  std::int64_t origin_ns_;
};

std::int64_t first_start(const Profile& profile) {
  std::int64_t origin = 0;
  for (const DeviceProfile& device : profile.devices) {
    if (device.runs.empty() || device.runs[0].steps.empty()) continue;
    const std::int64_t start = device.runs[0].steps[0].start_ns;
    origin = origin == 0 ? start : std::min(origin, start);
  }
  return origin;
}

}  // namespace

Status write_profile_trace(const Profile& profile, const std::string& path) {
  Json events = Json::array();
  for (std::size_t d = 0; d < profile.devices.size(); ++d) {
    const DeviceProfile& device = profile.devices[d];
    DeviceTrace trace(events, d + 1, first_start(profile));
    trace.name(device);
    for (std::size_t r = 0; r < std::min(device.runs.size(), kMostRuns); ++r) trace.run(device, r);
  }
  const Json out = {{"traceEvents", std::move(events)},
                    {"displayTimeUnit", "ns"},
                    {"otherData", profile.provenance}};
  return write_file(path, out.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
}

}  // namespace qama::cli
