// A line for every part of every run.
#include <string>

#include "runtime/cli/files.h"
#include "runtime/cli/profile/figures.h"
#include "runtime/cli/profile/report.h"

namespace qama::cli {

Status write_profile_csv(const Profile& profile, const std::string& path) {
  std::string file = "device,run,input,part,op,implementation,measured_us,modelled_us\n";
  const auto line = [&](const DeviceProfile& device, std::size_t run, std::int32_t input,
                        const std::string& part, const std::string& op,
                        const std::string& implementation, double value, bool is_modelled) {
    const std::string number = format("%.3f", value);
    file += '"' + device.uri + "\"," + std::to_string(run) + ',' + std::to_string(input) + ',' +
            part + ',' + op + ",\"" + implementation + "\"," +
            (is_modelled ? "," + number : number + ",") + '\n';
  };
  for (const DeviceProfile& device : profile.devices) {
    for (std::size_t r = 0; r < device.runs.size(); ++r) {
      const ProfileRun& run = device.runs[r];
      line(device, r, run.input, "sample", "", "", run.latency_us, false);
      std::size_t layer = 0;
      for (std::size_t i = 0; i < run.steps.size(); ++i) {
        const runtime::StepInfo& step = device.steps[i];
        const bool solve = is_solve(step) && layer < run.solves.size();
        const hal::SolveResult* result = solve ? &run.solves[layer++].result : nullptr;
        line(device, r, run.input, step.name, step.op,
             result != nullptr ? result->solved_by : step.implementation,
             static_cast<double>(run.steps[i].duration_ns) * 1e-3, false);
        if (result == nullptr || !device.info.is_emulated) continue;
        for (const Part& part : kParts) {
          line(device, r, run.input, step.name + "." + part.key, "", result->solved_by,
               result->timing.*part.field, part.machine && result->timing.modelled);
        }
      }
    }
  }
  return write_file(path, file);
}

}  // namespace qama::cli
