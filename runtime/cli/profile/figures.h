// Figures of a profile: medians, shares, and what a machine of the modelled times would make of it.
// The same for every output.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "runtime/cli/profile/profile.h"

namespace qama::cli {

using Timing = hal::SolveTiming;

/// Where a solve's time goes. `machine`: device time, which an emulator models.
struct Part {
  const char* key;
  const char* name;
  double Timing::*field;
  bool machine;
};
inline constexpr std::array kParts = {
    Part{"quantise_us", "quantise", &Timing::quantise_us, false},
    Part{"encode_us", "encode", &Timing::encode_us, false},
    Part{"login_us", "login", &Timing::login_us, false},
    Part{"send_us", "send", &Timing::send_us, false},
    Part{"network_us", "rest of the network", &Timing::network_us, false},
    Part{"queue_us", "queue", &Timing::queue_us, false},
    Part{"program_us", "program", &Timing::program_us, true},
    Part{"anneal_us", "anneal", &Timing::anneal_us, true},
    Part{"readout_us", "readout", &Timing::readout_us, true},
    Part{"verify_us", "verify", &Timing::verify_us, false},
};

[[nodiscard]] double mean(const std::vector<double>& values);
[[nodiscard]] double median(std::vector<double> values);
[[nodiscard]] bool is_solve(const runtime::StepInfo& step);
/// Of every run, sorted.
[[nodiscard]] std::vector<double> latencies(const DeviceProfile& device);
/// Microseconds of one step in every run.
[[nodiscard]] std::vector<double> step_times(const DeviceProfile& device, std::size_t step);

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

/// Whether an emulator modelled the device's time.
[[nodiscard]] bool modelled(const DeviceProfile& device);
/// p50 of a part over the device's own solves.
[[nodiscard]] double part_median(const DeviceProfile& device, const Part& part);
/// p50 of the wall time that no measured part covers: an emulator's own computing.
[[nodiscard]] double rest_median(const DeviceProfile& device);
/// The solver's share of a sample's time.
[[nodiscard]] double solver_share(const DeviceProfile& device);

/// Means over all solves.
struct Counts {
  double sweeps = 0, proposals = 0, flips = 0, energy = 0;
  std::int64_t solves = 0;
};
[[nodiscard]] Counts counts_of(const DeviceProfile& device);

/// Share of the problems whose gap is at most `limit`.
[[nodiscard]] double within(const GapReport& gap, double limit);

struct Rate {
  const char* name;
  double bits_per_us;
};
inline constexpr std::array kRates = {Rate{"1 GbE", 1000.0}, Rate{"100 Mb/s", 100.0}};

/// Time of jobs on the wire and back, from the bytes that Ethernet, IP and TCP make of them.
[[nodiscard]] double wire_us(std::size_t request, std::size_t reply, const Rate& rate,
                             double jobs = 1);

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

[[nodiscard]] std::vector<Projection> projections(const Profile& profile);

}  // namespace qama::cli
