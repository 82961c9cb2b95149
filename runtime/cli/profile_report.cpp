#include "runtime/cli/profile_report.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <numeric>

#include "hal/base/quote.h"
#include "runtime/cli/html_page.h"

namespace qama::cli {
namespace {

using Timing = hal::SolveTiming;

/// Where a solve's time goes. `machine`: device time, which an emulator models.
struct Part {
  const char* key;
  const char* name;
  double Timing::*field;
  bool machine;
};
constexpr std::array kParts = {
    Part{"quantise_us", "quantise", &Timing::quantise_us, false},
    Part{"encode_us", "encode", &Timing::encode_us, false},
    Part{"send_us", "send", &Timing::send_us, false},
    Part{"network_us", "rest of the network", &Timing::network_us, false},
    Part{"queue_us", "queue", &Timing::queue_us, false},
    Part{"program_us", "program", &Timing::program_us, true},
    Part{"anneal_us", "anneal", &Timing::anneal_us, true},
    Part{"readout_us", "readout", &Timing::readout_us, true},
    Part{"verify_us", "verify", &Timing::verify_us, false},
};

std::vector<double> sorted(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values;
}

double mean(const std::vector<double>& values) {
  if (values.empty()) return 0;
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double median(std::vector<double> values) {
  return percentile(sorted(std::move(values)), 50);
}

bool is_solve(const runtime::StepInfo& step) {
  return step.op == "qama.solve";
}

std::vector<double> latencies(const DeviceProfile& device) {
  std::vector<double> out;
  for (const ProfileRun& run : device.runs) out.push_back(run.latency_us);
  return sorted(std::move(out));
}

std::vector<double> step_times(const DeviceProfile& device, std::size_t step) {
  std::vector<double> out;
  for (const ProfileRun& run : device.runs)
    out.push_back(static_cast<double>(run.steps[step].duration_ns) * 1e-3);
  return out;
}

/// A value of every run: the sum over its steps that `wanted` accepts.
template <typename Wanted>
std::vector<double> sums(const DeviceProfile& device, const Wanted& wanted) {
  std::vector<double> out;
  for (const ProfileRun& run : device.runs) {
    double sum = 0;
    for (std::size_t i = 0; i < run.steps.size(); ++i) {
      if (wanted(device.steps[i])) sum += static_cast<double>(run.steps[i].duration_ns) * 1e-3;
    }
    out.push_back(sum);
  }
  return out;
}

/// Whether the solve was done by the device that was asked.
bool own(const runtime::LayerSolve& solve) {
  return solve.result.fallback == hal::FallbackReason::none;
}

bool modelled(const DeviceProfile& device) {
  for (const ProfileRun& run : device.runs) {
    for (const auto& solve : run.solves) {
      if (own(solve) && solve.result.timing.modelled) return true;
    }
  }
  return false;
}

/// p50 over the device's own solves of `value(timing)`.
template <typename Value>
double solve_median(const DeviceProfile& device, const Value& value) {
  std::vector<double> out;
  for (const ProfileRun& run : device.runs) {
    for (const auto& solve : run.solves) {
      if (own(solve)) out.push_back(value(solve.result.timing));
    }
  }
  return median(std::move(out));
}

double part_median(const DeviceProfile& device, const Part& part) {
  return solve_median(device, [&](const Timing& t) { return t.*part.field; });
}

/// Wall time of a solve that none of the measured parts covers: an emulator's own computing.
double rest_median(const DeviceProfile& device) {
  return solve_median(device, [](const Timing& t) {
    double rest = t.total_us;
    for (const Part& part : kParts) {
      if (!part.machine || !t.modelled) rest -= t.*part.field;
    }
    return std::max(rest, 0.0);
  });
}

double solver_share(const DeviceProfile& device) {
  const double all = mean(sums(device, [](const auto&) { return true; }));
  return all > 0 ? mean(sums(device, is_solve)) / all : 0;
}

struct Counts {
  double sweeps = 0, proposals = 0, flips = 0, energy = 0;
  std::int64_t solves = 0;
};
Counts counts_of(const DeviceProfile& device) {
  Counts out;
  for (const ProfileRun& run : device.runs) {
    for (const auto& solve : run.solves) {
      out.sweeps += solve.result.sweeps;
      out.proposals += static_cast<double>(solve.result.proposals);
      out.flips += static_cast<double>(solve.result.flips);
      out.energy += solve.energy;
      ++out.solves;
    }
  }
  if (out.solves > 0) {
    const auto n = static_cast<double>(out.solves);
    out.sweeps /= n;
    out.proposals /= n;
    out.flips /= n;
    out.energy /= n;
  }
  return out;
}

double within(const GapReport& gap, double limit) {
  if (gap.sorted.empty()) return 0;
  const auto good =
      std::upper_bound(gap.sorted.begin(), gap.sorted.end(), limit) - gap.sorted.begin();
  return static_cast<double>(good) / static_cast<double>(gap.sorted.size());
}

// ---- bytes over a rate --------------------------------------------------------------------------

/// Bytes that `payload` bytes of TCP are on an Ethernet: 1448 a segment, and around each 20 of IP,
/// 32 of TCP with time stamps and 38 of Ethernet with preamble and gap.
double ethernet_bytes(std::size_t payload) {
  const std::size_t segments = std::max<std::size_t>((payload + 1447) / 1448, 1);
  return static_cast<double>(payload + segments * (20 + 32 + 38));
}

struct Rate {
  const char* name;
  double bits_per_us;
};
constexpr std::array kRates = {Rate{"1 GbE", 1000.0}, Rate{"100 Mb/s", 100.0}};

/// One line of the projection: what a job-after-job run would take with a machine of the modelled
/// times.
struct Projection {
  std::string device, link, form;
  double host_us = 0;      ///< measured: everything but link and machine
  double software_us = 0;  ///< measured on this link: send and rest of the network
  double wire_us = 0;      ///< computed
  double machine_us = 0;   ///< modelled
  [[nodiscard]] double sum() const { return host_us + software_us + wire_us + machine_us; }
};

std::vector<Projection> projections(const Profile& profile) {
  std::vector<Projection> out;
  const auto layers = static_cast<double>(profile.layers);
  for (const DeviceProfile& device : profile.devices) {
    if (!modelled(device)) continue;
    Projection base;
    base.device = device.uri;
    base.host_us = median(sums(device, [](const auto& step) { return !is_solve(step); }));
    for (const Part& part : kParts) {
      const double us = layers * part_median(device, part);
      if (part.machine) {
        base.machine_us += us;
      } else if (part.field == &Timing::send_us || part.field == &Timing::network_us) {
        base.software_us += us;
      } else if (part.field != &Timing::queue_us) {
        base.host_us += us;
      }
    }
    base.link = "as measured";
    base.form = "as measured";
    out.push_back(base);
    if (!profile.job.size) continue;
    const hal::JobSize& job = *profile.job.size;
    for (const Rate& rate : kRates) {
      for (const bool dense : {false, true}) {
        Projection line = base;
        line.link = rate.name;
        line.form = dense ? "dense" : "block";
        const std::size_t request = dense ? job.dense_request : job.block_request;
        line.wire_us =
            layers * 8 * (ethernet_bytes(request) + ethernet_bytes(job.reply)) / rate.bits_per_us;
        out.push_back(line);
      }
    }
  }
  return out;
}

std::string us(double value) {
  return format(value >= 1000 ? "%.0f" : "%.1f", value);
}

// ---- JSON ---------------------------------------------------------------------------------------

Json device_profile_json(const Profile& profile, const DeviceProfile& device) {
  Json out;
  out["device"] = device.has_device ? Json(device.info.uri) : Json();
  out["is_emulated"] = device.info.is_emulated;
  out["init_us"] = device.model_us + device.plan_us + device.session_us;
  out["init"] = {{"model_us", device.model_us},
                 {"plan_us", device.plan_us},
                 {"session_us", device.session_us}};
  out["first_us"] = device.first_us;
  const std::vector<double> latency = latencies(device);
  out["latency_us"] = {{"min", percentile(latency, 1e-9)}, {"p50", percentile(latency, 50)},
                       {"p90", percentile(latency, 90)},   {"p99", percentile(latency, 99)},
                       {"max", percentile(latency, 100)},  {"mean", mean(latency)}};
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
  out["layers"] = std::move(layers);

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
  solver["gap_against"] = {
      {"device", "cpu:"}, {"sweeps", gap.reference_sweeps}, {"restarts", gap.reference_restarts}};
  solver["solves"] = counts.solves;
  solver["p50_us"] = median(sums(device, is_solve));
  solver["share"] = solver_share(device);
  solver["solved_by"] = device.solvers.solved_by();
  solver["fallbacks"] = device.solvers.fallbacks();
  solver["seed"] = device.seed;
  out["solver"] = std::move(solver);

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
  out["link"] = std::move(link);

  out["arena_bytes"] = device.arena_bytes;
  out["weight_bytes"] = device.weight_bytes;
  out["peak_rss_bytes"] = device.peak_rss;
  if (device.batch > 0) {
    out["throughput"] = {{"batch", device.batch},
                         {"in_flight", device.in_flight},
                         {"samples_per_s", device.samples_per_s}};
  }
  out["provenance"] = profile.provenance;
  return out;
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
  if (profile.layers > 0) {
    Json bytes = {{"fits", profile.job.size.has_value()}};
    if (profile.job.size) {
      const hal::JobSize& job = *profile.job.size;
      bytes.update({{"spins", job.spins},
                    {"ancillas", job.ancillas},
                    {"block_bytes", job.block_request},
                    {"dense_bytes", job.dense_request},
                    {"reply_bytes", job.reply},
                    {"zeroed_share", job.zeroed_share},
                    {"mean_error_steps", job.mean_error},
                    {"coupling_deviation_steps", job.coupling_deviation}});
    } else {
      bytes["why_not"] = profile.job.why_not;
    }
    out["machine_job"] = std::move(bytes);
  }
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
  out["projection"] = std::move(lines);
  out["devices"] = std::move(devices);
  return out;
}

// ---- tables -------------------------------------------------------------------------------------

namespace {

/// A table's lines for the terminal and cells for the page: the same figures in both.
struct Table {
  std::string title, note;
  std::vector<std::string> head;
  std::vector<std::vector<std::string>> rows;
};

std::vector<Table> tables_of(const Profile& profile) {
  std::vector<Table> out;
  const auto per_device = [&](Table& table, const std::string& name, const auto& value) {
    std::vector<std::string> row{name};
    for (const DeviceProfile& device : profile.devices) row.push_back(value(device));
    table.rows.push_back(std::move(row));
  };
  const auto device_head = [&](const char* first) {
    std::vector<std::string> head{first};
    for (const DeviceProfile& device : profile.devices) head.push_back(device.uri);
    return head;
  };

  Table whole{"A sample, microseconds, measured", "", device_head("measured"), {}};
  per_device(whole, "open model, plan, session",
             [](const auto& d) { return us(d.model_us + d.plan_us + d.session_us); });
  per_device(whole, "first sample", [](const auto& d) { return us(d.first_us); });
  for (const auto& [name, p] : {std::pair{"latency min", 1e-9},
                                {"latency p50", 50.0},
                                {"latency p90", 90.0},
                                {"latency p99", 99.0},
                                {"latency max", 100.0}}) {
    per_device(whole, name, [p = p](const auto& d) { return us(percentile(latencies(d), p)); });
  }
  per_device(whole, "all but the solver, p50", [](const auto& d) {
    return us(median(sums(d, [](const auto& step) { return !is_solve(step); })));
  });
  if (profile.layers > 0) {
    per_device(whole, "the solver, p50",
               [](const auto& d) { return us(median(sums(d, is_solve))); });
    per_device(whole, "the solver's share",
               [](const auto& d) { return format("%.0f %%", 100 * solver_share(d)); });
  }
  if (std::any_of(profile.devices.begin(), profile.devices.end(),
                  [](const auto& d) { return d.batch > 0; })) {
    per_device(whole, "samples a second, batch", [](const auto& d) {
      return format("%.0f (%d in flight)", d.samples_per_s, d.in_flight);
    });
  }
  out.push_back(std::move(whole));

  Table layers{"Layers, microseconds p50, measured", "", device_head("layer"), {}};
  const DeviceProfile& first = profile.devices[0];
  for (std::size_t i = 0; i < first.steps.size(); ++i) {
    per_device(layers, first.steps[i].name + "  " + first.steps[i].op, [i](const auto& d) {
      return us(median(step_times(d, i))) + "  " + d.steps[i].implementation;
    });
  }
  out.push_back(std::move(layers));
  if (profile.layers == 0) return out;

  Table solve{"A solve, microseconds p50, measured", "", device_head("measured"), {}};
  for (const Part& part : kParts) {
    per_device(solve, part.name, [&](const auto& d) {
      const double value = part_median(d, part);
      return value == 0 || (part.machine && modelled(d)) ? std::string("-") : us(value);
    });
  }
  per_device(solve, "the emulator's own computing",
             [](const auto& d) { return modelled(d) ? us(rest_median(d)) : std::string("-"); });
  out.push_back(std::move(solve));

  if (std::any_of(profile.devices.begin(), profile.devices.end(),
                  [](const auto& d) { return modelled(d); })) {
    Table model{"A solve, microseconds, modelled by the emulator",
                "Device time of a machine with the emulator's assumptions; nobody measured it.",
                device_head("modelled"),
                {}};
    for (const Part& part : kParts) {
      if (!part.machine) continue;
      per_device(model, part.name, [&](const auto& d) {
        return modelled(d) ? us(part_median(d, part)) : std::string("-");
      });
    }
    out.push_back(std::move(model));
  }

  Table quality{"Answers", "", device_head("solver"), {}};
  per_device(quality, "solved by", [](const auto& d) { return d.solvers.text(); });
  per_device(quality, "sweeps a solve",
             [](const auto& d) { return format("%.0f", counts_of(d).sweeps); });
  per_device(quality, "proposals",
             [](const auto& d) { return format("%.0f", counts_of(d).proposals); });
  per_device(quality, "flips", [](const auto& d) { return format("%.0f", counts_of(d).flips); });
  per_device(quality, "mean energy",
             [](const auto& d) { return format("%.4f", counts_of(d).energy); });
  per_device(quality, "mean gap to the best known",
             [](const auto& d) { return format("%.4f %%", 100 * mean(d.gap.sorted)); });
  per_device(quality, "gap p95",
             [](const auto& d) { return format("%.4f %%", 100 * percentile(d.gap.sorted, 95)); });
  per_device(quality, "within 0.1 %",
             [](const auto& d) { return format("%.1f %%", 100 * within(d.gap, 1e-3)); });
  quality.note = format(
      "Best known: %d sweeps, %d restarts on cpu:, or the device's own answer if that is lower; "
      "%zu problems.",
      first.gap.reference_sweeps, first.gap.reference_restarts, first.gap.sorted.size());
  out.push_back(std::move(quality));

  if (!profile.job.size) return out;
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
    for (const Rate& rate : kRates) {
      row.push_back(
          us(8 * (ethernet_bytes(bytes) + ethernet_bytes(link.reply)) / rate.bits_per_us));
    }
    wire.rows.push_back(std::move(row));
  }
  out.push_back(std::move(wire));

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
  if (!sum.rows.empty()) out.push_back(std::move(sum));
  return out;
}

}  // namespace

void print_profile(const Profile& profile, Console& console) {
  console.line("model " + profile.model_path + ", " + profile.inputs + ", " +
               std::to_string(profile.runs) + " runs");
  for (const Table& table : tables_of(profile)) {
    console.line("");
    console.line(table.title);
    if (!table.note.empty()) console.line("  " + table.note);
    std::vector<std::size_t> widths;
    const auto widen = [&widths](const std::vector<std::string>& row) {
      widths.resize(std::max(widths.size(), row.size()));
      for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    };
    widen(table.head);
    for (const auto& row : table.rows) widen(row);
    const auto print = [&](const std::vector<std::string>& row) {
      std::string line = "  ";
      for (std::size_t i = 0; i < row.size(); ++i) {
        const std::string pad(widths[i] - row[i].size(), ' ');
        line += i == 0 ? row[i] + pad : "  " + pad + row[i];
      }
      console.line(line);
    };
    print(table.head);
    for (const auto& row : table.rows) print(row);
  }
  console.line("");
  for (const DeviceProfile& device : profile.devices) {
    console.line("device " +
                 (device.has_device ? device.info.uri : std::string("none (softmax attention)")) +
                 ", arena " + std::to_string(device.arena_bytes) + " bytes, peak resident " +
                 std::to_string(device.peak_rss) + " bytes (of the process so far)" +
                 (device.info.is_emulated ? ", an EMULATED machine" : ""));
  }
  console.line("provenance " + profile.provenance.dump());
}

// ---- files --------------------------------------------------------------------------------------

Status write_profile_csv(const Profile& profile, const std::string& path) {
  std::ofstream file(path, std::ios::binary);
  file << "device,run,input,part,op,implementation,measured_us,modelled_us\n";
  const auto line = [&](const DeviceProfile& device, std::size_t run, std::int32_t input,
                        const std::string& part, const std::string& op,
                        const std::string& implementation, double value, bool is_modelled) {
    const std::string number = format("%.3f", value);
    file << '"' << device.uri << "\"," << run << ',' << input << ',' << part << ',' << op << ",\""
         << implementation << "\"," << (is_modelled ? "," + number : number + ",") << '\n';
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
  if (file.flush().good()) return {};
  return Error{ErrorCode::io_error, "file " + quote(path) + " cannot be written"};
}

Status write_profile_trace(const Profile& profile, const std::string& path) {
  constexpr std::size_t kMostRuns = 100;  // a viewer has enough of it
  std::int64_t origin = 0;
  for (const DeviceProfile& device : profile.devices) {
    if (device.runs.empty() || device.runs[0].steps.empty()) continue;
    const std::int64_t start = device.runs[0].steps[0].start_ns;
    origin = origin == 0 ? start : std::min(origin, start);
  }
  Json events = Json::array();
  const auto meta = [&](std::size_t pid, int tid, const char* what, const std::string& name) {
    events.push_back(
        {{"ph", "M"}, {"pid", pid}, {"tid", tid}, {"name", what}, {"args", {{"name", name}}}});
  };
  const auto slice = [&](std::size_t pid, int tid, const std::string& name, const char* category,
                         double start_us, double duration_us, Json arguments = Json::object()) {
    events.push_back({{"ph", "X"},
                      {"pid", pid},
                      {"tid", tid},
                      {"name", name},
                      {"cat", category},
                      {"ts", start_us},
                      {"dur", duration_us},
                      {"args", std::move(arguments)}});
  };
  for (std::size_t d = 0; d < profile.devices.size(); ++d) {
    const DeviceProfile& device = profile.devices[d];
    const std::size_t pid = d + 1;
    meta(pid, 0, "process_name", device.uri.empty() ? "model" : device.uri);
    meta(pid, 1, "thread_name", "measured (wall time)");
    if (modelled(device))
      meta(pid, 2, "thread_name", "modelled by the emulator (device time, no clock)");
    for (std::size_t r = 0; r < std::min(device.runs.size(), kMostRuns); ++r) {
      const ProfileRun& run = device.runs[r];
      if (run.steps.empty()) continue;
      const auto at = [&](std::int64_t ns) { return static_cast<double>(ns - origin) * 1e-3; };
      const runtime::StepTime& last = run.steps.back();
      slice(pid, 1, "sample " + std::to_string(run.input), "sample", at(run.steps[0].start_ns),
            at(last.start_ns + last.duration_ns) - at(run.steps[0].start_ns), {{"run", r}});
      std::size_t layer = 0;
      for (std::size_t i = 0; i < run.steps.size(); ++i) {
        const runtime::StepInfo& step = device.steps[i];
        const double start = at(run.steps[i].start_ns);
        const double duration = static_cast<double>(run.steps[i].duration_ns) * 1e-3;
        Json arguments = {{"op", step.op}, {"implementation", step.implementation}};
        if (!is_solve(step) || layer >= run.solves.size()) {
          slice(pid, 1, step.name, "step", start, duration, std::move(arguments));
          continue;
        }
        const runtime::LayerSolve& solve = run.solves[layer++];
        const Timing& t = solve.result.timing;
        arguments["solved_by"] = solve.result.solved_by;
        arguments["fallback"] = std::string(hal::fallback_reason_name(solve.result.fallback));
        arguments["energy"] = solve.energy;
        arguments["flips"] = solve.result.flips;
        slice(pid, 1, step.name, "step", start, duration, std::move(arguments));
        if (!t.modelled) continue;
        double x = start;
        const auto part = [&](const char* name, double length) {
          slice(pid, 1, name, "link", x, length);
          x += length;
        };
        part("quantise", t.quantise_us);
        part("encode", t.encode_us);
        part("send", t.send_us);
        const double sent = x;
        part("network, queue and the emulator's computing",
             std::max(start + duration - t.verify_us - x, 0.0));
        part("verify", t.verify_us);
        double m = sent;
        for (const Part& machine : kParts) {
          if (!machine.machine) continue;
          slice(pid, 2, machine.name, "modelled", m, t.*machine.field);
          m += t.*machine.field;
        }
      }
    }
  }
  const Json out = {{"traceEvents", std::move(events)},
                    {"displayTimeUnit", "ns"},
                    {"otherData", profile.provenance}};
  std::ofstream file(path, std::ios::binary);
  file << out.dump(-1, ' ', false, Json::error_handler_t::replace) << '\n';
  if (file.flush().good()) return {};
  return Error{ErrorCode::io_error, "file " + quote(path) + " cannot be written"};
}

Status write_profile_html(const Profile& profile, const std::string& path) {
  HtmlPage page("Where the time goes: " + profile.model_path,
                profile.inputs + ", " + std::to_string(profile.runs) + " runs a device, " +
                    std::to_string(profile.layers) + " QAMA layers of " +
                    std::to_string(profile.spins) + " spins");
  const bool emulated = std::any_of(profile.devices.begin(), profile.devices.end(),
                                    [](const auto& d) { return d.info.is_emulated; });
  if (emulated) {
    page.text(
        "One of the devices is an emulator of a coherent Ising machine: its wall time says nothing "
        "about a real one, and "
        "its device time (hatched below) is modelled from assumptions. The two are never added "
        "up.");
  }
  std::vector<Series> series;
  for (const DeviceProfile& device : profile.devices)
    series.push_back({device.uri.empty() ? "model" : device.uri, latencies(device)});
  page.heading("Latency of a sample, measured: share of runs at or below");
  page.markup(cumulative_chart(series, "us, logarithmic"));

  page.heading("A sample by kind of work, measured (p50 of each, microseconds)");
  std::vector<std::string> kinds;
  for (const runtime::StepInfo& step : profile.devices[0].steps) {
    if (std::find(kinds.begin(), kinds.end(), step.op) == kinds.end()) kinds.push_back(step.op);
  }
  // The kinds that take longest first, the small ones together.
  std::stable_sort(kinds.begin(), kinds.end(), [&](const std::string& a, const std::string& b) {
    const auto cost = [&](const std::string& kind) {
      return median(sums(profile.devices[0], [&](const auto& step) { return step.op == kind; }));
    };
    return cost(a) > cost(b);
  });
  constexpr std::size_t kMostKinds = 8;
  std::vector<std::string> names(
      kinds.begin(),
      kinds.begin() + static_cast<std::ptrdiff_t>(std::min(kinds.size(), kMostKinds)));
  if (kinds.size() > kMostKinds) names.emplace_back("others");
  // A chart a device, each to its own scale: an emulator's computing would leave nothing to see of
  // the others.
  for (const DeviceProfile& device : profile.devices) {
    BarRow row{device.uri.empty() ? "model" : device.uri, {}};
    for (std::size_t k = 0; k < names.size(); ++k) {
      row.parts.push_back(median(sums(device, [&](const auto& step) {
        const auto at = static_cast<std::size_t>(std::find(kinds.begin(), kinds.end(), step.op) -
                                                 kinds.begin());
        return k < kMostKinds ? at == k : at >= kMostKinds;
      })));
    }
    page.markup(bar_chart(names, {row}, "us"));
  }

  if (profile.layers > 0) {
    std::vector<std::string> measured;
    for (const Part& part : kParts)
      measured.emplace_back(part.machine ? std::string(part.name) + " (own clock)" : part.name);
    measured.emplace_back("emulator's computing");
    page.heading("A solve, measured (p50 of each part, microseconds)");
    for (const DeviceProfile& device : profile.devices) {
      BarRow row{device.uri, {}};
      for (const Part& part : kParts)
        row.parts.push_back(part.machine && modelled(device) ? 0 : part_median(device, part));
      row.parts.push_back(modelled(device) ? rest_median(device) : 0);
      page.markup(bar_chart(measured, {row}, "us"));
    }
    std::vector<BarRow> rows;
    std::vector<std::string> machine;
    for (const Part& part : kParts) {
      if (part.machine) machine.emplace_back(part.name);
    }
    for (const DeviceProfile& device : profile.devices) {
      if (!modelled(device)) continue;
      BarRow row{device.uri, {}};
      for (const Part& part : kParts) {
        if (part.machine) row.parts.push_back(part_median(device, part));
      }
      rows.push_back(std::move(row));
    }
    if (!rows.empty()) {
      page.heading("A solve, modelled by the emulator (device time, microseconds)");
      page.markup(bar_chart(machine, rows, "us", true));
    }
  }
  for (const Table& table : tables_of(profile)) {
    page.heading(table.title);
    if (!table.note.empty()) page.text(table.note);
    page.table(table.head, table.rows);
  }
  page.heading("Provenance");
  std::vector<std::vector<std::string>> facts{{"model's SHA-256", profile.sha256},
                                              {"architecture", profile.architecture}};
  for (const auto& [key, value] : profile.provenance.items()) {
    facts.push_back({key, value.is_string() ? value.get_ref<const std::string&>() : value.dump()});
  }
  for (std::vector<std::string>& fact : facts) {
    if (fact[1].size() > 110) fact[1] = fact[1].substr(0, 110) + "...";
  }
  page.table({"what", "value"}, facts);
  return page.write(path);
}

}  // namespace qama::cli
