#include "runtime/cli/profile/tables.h"

#include <algorithm>
#include <utility>

#include "hal/search/best_known.h"
#include "runtime/cli/profile/figures.h"
#include "runtime/cli/report.h"

namespace qama::cli {
namespace {

std::string us(double value) {
  return format(value >= 1000 ? "%.0f" : "%.1f", value);
}

/// A table with a column a device.
Table device_table(const Profile& profile, const char* title, const char* first_head) {
  Table out{title, "", {first_head}, {}};
  for (const DeviceProfile& device : profile.devices) out.head.push_back(device.uri);
  return out;
}

template <typename Value>
void per_device(Table& table, const Profile& profile, const std::string& name, const Value& value) {
  std::vector<std::string> row{name};
  for (const DeviceProfile& device : profile.devices) row.push_back(value(device));
  table.rows.push_back(std::move(row));
}

template <typename Wanted>
bool any_device(const Profile& profile, const Wanted& wanted) {
  return std::any_of(profile.devices.begin(), profile.devices.end(), wanted);
}

Table sample_table(const Profile& profile) {
  Table whole = device_table(profile, "A sample, microseconds, measured", "measured");
  per_device(whole, profile, "open model, plan, session",
             [](const auto& d) { return us(d.opening.sum()); });
  per_device(whole, profile, "first sample", [](const auto& d) { return us(d.first_us); });
  for (const auto& [name, p] : {std::pair{"latency min", 1e-9},
                                {"latency p50", 50.0},
                                {"latency p90", 90.0},
                                {"latency p99", 99.0},
                                {"latency max", 100.0}}) {
    per_device(whole, profile, name,
               [p = p](const auto& d) { return us(percentile(latencies(d), p)); });
  }
  per_device(whole, profile, "all but the solver, p50", [](const auto& d) {
    return us(median(sums(d, [](const auto& step) { return !is_solve(step); })));
  });
  if (profile.layers > 0) {
    per_device(whole, profile, "the solver, p50",
               [](const auto& d) { return us(median(sums(d, is_solve))); });
    per_device(whole, profile, "the solver's share",
               [](const auto& d) { return format("%.0f %%", 100 * solver_share(d)); });
  }
  if (any_device(profile, [](const auto& d) { return d.throughput.batch > 0; })) {
    per_device(whole, profile, "samples a second, batch", [](const auto& d) {
      return format("%.0f (%d in flight)", d.throughput.samples_per_s, d.throughput.in_flight);
    });
  }
  return whole;
}

Table layer_table(const Profile& profile) {
  Table layers = device_table(profile, "Layers, microseconds p50, measured", "layer");
  const DeviceProfile& first = profile.devices[0];
  for (std::size_t i = 0; i < first.steps.size(); ++i) {
    per_device(layers, profile, first.steps[i].name + "  " + first.steps[i].op, [i](const auto& d) {
      return us(median(step_times(d, i))) + "  " + d.steps[i].implementation;
    });
  }
  return layers;
}

Table solve_table(const Profile& profile) {
  Table solve = device_table(profile, "A solve, microseconds p50, measured", "measured");
  for (const Part& part : kParts) {
    per_device(solve, profile, part.name, [&](const auto& d) {
      const double value = part_median(d, part);
      return value == 0 || (part.machine && modelled(d)) ? std::string("-") : us(value);
    });
  }
  per_device(solve, profile, "the emulator's own computing",
             [](const auto& d) { return modelled(d) ? us(rest_median(d)) : std::string("-"); });
  return solve;
}

Table modelled_table(const Profile& profile) {
  Table model =
      device_table(profile, "A solve, microseconds, modelled by the emulator", "modelled");
  model.note = "Device time of a machine with the emulator's assumptions; nobody measured it.";
  for (const DeviceProfile& device : profile.devices) {
    if (modelled(device)) model.note += " " + device.info.uri + " is " + device.info.name + ".";
  }
  for (const Part& part : kParts) {
    if (!part.machine) continue;
    per_device(model, profile, part.name, [&](const auto& d) {
      return modelled(d) ? us(part_median(d, part)) : std::string("-");
    });
  }
  return model;
}

Table answer_table(const Profile& profile) {
  Table quality = device_table(profile, "Answers", "solver");
  const GapReport& gap = profile.devices[0].gap;
  per_device(quality, profile, "solved by", [](const auto& d) { return d.solvers.text(); });
  per_device(quality, profile, "sweeps a solve",
             [](const auto& d) { return format("%.0f", counts_of(d).sweeps); });
  per_device(quality, profile, "proposals",
             [](const auto& d) { return format("%.0f", counts_of(d).proposals); });
  per_device(quality, profile, "flips",
             [](const auto& d) { return format("%.0f", counts_of(d).flips); });
  per_device(quality, profile, "mean energy",
             [](const auto& d) { return format("%.4f", counts_of(d).energy); });
  per_device(quality, profile, "mean gap to the best known",
             [](const auto& d) { return format("%.4f %%", 100 * mean(d.gap.sorted)); });
  per_device(quality, profile, "gap p95",
             [](const auto& d) { return format("%.4f %%", 100 * percentile(d.gap.sorted, 95)); });
  per_device(quality, profile, "within 0.1 %",
             [](const auto& d) { return format("%.1f %%", 100 * within(d.gap, 1e-3)); });
  quality.note = format(
      "Best known: exact up to %lld spins, else long runs on cpu: until two repetitions find "
      "nothing lower, or the device's own answer if that is lower; %zu problems.",
      static_cast<long long>(hal::kExactSpins), gap.sorted.size());
  return quality;
}

Table wire_table(const Profile& profile) {
  const hal::JobSize& link = *profile.job.size;
  Table wire{"Wire time of a solve, microseconds, computed (not measured)",
             format("%lld spins and %d ancillas, 8 bits. Bytes with TCP, IP and Ethernet around "
                    "them, over the rate, both ways; "
                    "switches, stacks and distance add to it.",
                    static_cast<long long>(profile.spins), link.ancillas),
             {"computed", "request bytes", "1 GbE", "100 Mb/s"},
             {}};
  for (const auto& [name, bytes] :
       {std::pair{"a block a head", link.block_request}, {"dense matrix", link.dense_request}}) {
    std::vector<std::string> row{name, std::to_string(bytes)};
    for (const Rate& rate : kRates) row.push_back(us(wire_us(bytes, link.reply, rate)));
    wire.rows.push_back(std::move(row));
  }
  return wire;
}

Table projection_table(const Profile& profile) {
  Table sum{"What a machine of the modelled times would make of a sample, microseconds",
            "A projection: each column is of one kind, only the last adds them up. One job after "
            "the other, no queue. "
            "Compare with the measured latency of cpu: above.",
            {"link, form", "host, measured", "link software, measured here", "wire, computed",
             "machine, modelled", "sum, projected"},
            {}};
  for (const Projection& line : projections(profile)) {
    const std::string name =
        line.wire_us > 0 ? line.link + ", " + line.form : "this link as measured";
    sum.rows.push_back({name, us(line.host_us), us(line.software_us),
                        line.wire_us > 0 ? us(line.wire_us) : "-", us(line.machine_us),
                        us(line.sum())});
  }
  return sum;
}

}  // namespace

std::vector<Table> tables_of(const Profile& profile) {
  std::vector<Table> out{sample_table(profile), layer_table(profile)};
  if (profile.layers == 0) return out;
  out.push_back(solve_table(profile));
  if (any_device(profile, modelled)) out.push_back(modelled_table(profile));
  out.push_back(answer_table(profile));
  if (!profile.job.size) return out;
  out.push_back(wire_table(profile));
  Table projection = projection_table(profile);
  if (!projection.rows.empty()) out.push_back(std::move(projection));
  return out;
}

}  // namespace qama::cli
