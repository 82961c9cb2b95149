// The object of `--json`.
#include "runtime/cli/profile/figures.h"
#include "runtime/cli/profile/report.h"
#include "runtime/cli/report.h"

namespace qama::cli {
namespace {

Json layers_json(const DeviceProfile& device) {
  const double all = mean(sums(device, [](const auto&) { return true; }));
  Json layers = Json::array();
  for (std::size_t i = 0; i < device.steps.size(); ++i) {
    const runtime::StepInfo& step = device.steps[i];
    const std::vector<double> times = step_times(device, i);
    layers.push_back({{"name", step.name},
                      {"op", step.op},
                      {"implementation", step.implementation},
                      {"block", step.block},
                      {"macs", step.macs},
                      {"p50_us", median(times)},
                      {"share", all > 0 ? mean(times) / all : 0}});
  }
  return layers;
}

Json solver_json(const DeviceProfile& device) {
  const Counts counts = counts_of(device);
  const GapReport& gap = device.gap;
  Json solver;
  solver["sweeps"] = counts.sweeps;
  solver["proposals"] = counts.proposals;
  solver["flips"] = counts.flips;
  solver["energy"] = counts.energy;
  solver["gap"] = gap.sorted.empty() ? Json() : Json(mean(gap.sorted));
  solver["gap_p50"] = gap.sorted.empty() ? Json() : Json(percentile(gap.sorted, 50));
  solver["gap_p95"] = gap.sorted.empty() ? Json() : Json(percentile(gap.sorted, 95));
  solver["gap_within_0.1_percent"] = gap.sorted.empty() ? Json() : Json(within(gap, 1e-3));
  solver["gap_problems"] = gap.sorted.size();
  solver["gap_against"] = "best known on cpu:";
  solver["solves"] = counts.solves;
  solver["p50_us"] = median(sums(device, is_solve));
  solver["share"] = solver_share(device);
  solver["solved_by"] = device.solvers.solved_by();
  solver["fallbacks"] = device.solvers.fallbacks();
  solver["seed"] = device.seed;
  return solver;
}

Json link_json(const DeviceProfile& device) {
  Json link;
  const bool emulated = modelled(device);
  Json modelled_fields = Json::array();
  for (const Part& part : kParts) {
    link[part.key] = part_median(device, part);
    if (part.machine && emulated) modelled_fields.push_back(part.key);
  }
  link["emulator_us"] = emulated ? rest_median(device) : 0;
  link["modelled"] = emulated;
  link["modelled_fields"] = std::move(modelled_fields);
  return link;
}

Json device_profile_json(const Profile& profile, const DeviceProfile& device) {
  Json out;
  out["device"] = device.has_device ? Json(device.info.uri) : Json();
  out["name"] = device.has_device ? Json(device.info.name) : Json();
  out["is_emulated"] = device.info.is_emulated;
  out["init_us"] = device.opening.sum();
  out["init"] = {{"model_us", device.opening.model_us},
                 {"plan_us", device.opening.plan_us},
                 {"session_us", device.opening.session_us}};
  out["first_us"] = device.first_us;
  const std::vector<double> latency = latencies(device);
  out["latency_us"] = {{"min", percentile(latency, 1e-9)}, {"p50", percentile(latency, 50)},
                       {"p90", percentile(latency, 90)},   {"p99", percentile(latency, 99)},
                       {"max", percentile(latency, 100)},  {"mean", mean(latency)}};
  out["layers"] = layers_json(device);
  out["solver"] = solver_json(device);
  out["link"] = link_json(device);
  out["arena_bytes"] = device.arena_bytes;
  out["weight_bytes"] = device.weight_bytes;
  out["peak_rss_bytes"] = device.peak_rss;
  if (device.throughput.batch > 0) {
    out["throughput"] = {{"batch", device.throughput.batch},
                         {"in_flight", device.throughput.in_flight},
                         {"samples_per_s", device.throughput.samples_per_s}};
  }
  out["provenance"] = profile.provenance;
  return out;
}

Json job_json(const MachineJob& job) {
  Json bytes = {{"fits", job.size.has_value()}};
  if (job.size) {
    const hal::JobSize& size = *job.size;
    bytes.update({{"spins", size.spins},
                  {"ancillas", size.ancillas},
                  {"block_bytes", size.block_request},
                  {"dense_bytes", size.dense_request},
                  {"reply_bytes", size.reply},
                  {"zeroed_share", size.zeroed_share},
                  {"mean_error_steps", size.mean_error},
                  {"coupling_deviation_steps", size.coupling_deviation}});
  } else {
    bytes["why_not"] = job.why_not;
  }
  return bytes;
}

Json projections_json(const Profile& profile) {
  Json lines = Json::array();
  for (const Projection& line : projections(profile)) {
    lines.push_back({{"device", line.device},
                     {"link", line.link},
                     {"form", line.form},
                     {"host_measured_us", line.host_us},
                     {"link_software_measured_us", line.software_us},
                     {"wire_computed_us", line.wire_us},
                     {"machine_modelled_us", line.machine_us},
                     {"sum_projected_us", line.sum()}});
  }
  return lines;
}

}  // namespace

Json profile_json(const Profile& profile) {
  Json out;
  out["model"] = profile.model_path;
  out["inputs"] = profile.inputs;
  out["runs"] = profile.runs;
  Json devices = Json::array();
  for (const DeviceProfile& device : profile.devices)
    devices.push_back(device_profile_json(profile, device));
  out.update(devices[0]);
  for (Json& device : devices) device.erase("provenance");
  if (profile.layers > 0) out["machine_job"] = job_json(profile.job);
  out["projection"] = projections_json(profile);
  out["devices"] = std::move(devices);
  return out;
}

}  // namespace qama::cli
