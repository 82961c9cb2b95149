#include "runtime/cli/profile/figures.h"

#include <algorithm>
#include <numeric>

#include "runtime/cli/report.h"

namespace qama::cli {
namespace {

std::vector<double> sorted(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values;
}

/// Whether the solve was done by the device that was asked.
bool own(const runtime::LayerSolve& solve) {
  return solve.result.fallback == hal::FallbackReason::none;
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

/// Bytes that `payload` bytes of TCP are on an Ethernet: 1448 a segment, and around each 20 of IP,
/// 32 of TCP with time stamps and 38 of Ethernet with preamble and gap.
double ethernet_bytes(std::size_t payload) {
  const std::size_t segments = std::max<std::size_t>((payload + 1447) / 1448, 1);
  return static_cast<double>(payload + segments * (20 + 32 + 38));
}

}  // namespace

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

bool modelled(const DeviceProfile& device) {
  for (const ProfileRun& run : device.runs) {
    for (const auto& solve : run.solves) {
      if (own(solve) && solve.result.timing.modelled) return true;
    }
  }
  return false;
}

double part_median(const DeviceProfile& device, const Part& part) {
  return solve_median(device, [&](const Timing& t) { return t.*part.field; });
}

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

double wire_us(std::size_t request, std::size_t reply, const Rate& rate, double jobs) {
  return jobs * 8 * (ethernet_bytes(request) + ethernet_bytes(reply)) / rate.bits_per_us;
}

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
      } else if (part.field == &Timing::login_us || part.field == &Timing::send_us ||
                 part.field == &Timing::network_us) {
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
        line.wire_us =
            wire_us(dense ? job.dense_request : job.block_request, job.reply, rate, layers);
        out.push_back(line);
      }
    }
  }
  return out;
}

}  // namespace qama::cli
