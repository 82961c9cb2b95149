// What the emulated machine is like: a JSON file, every number of which is either published or an
// assumption that is labelled as one. Two presets are built in and stand as files in configs/:
//
//   assumed     162 us a read. That is the mean of the 40 published times, taken as the time of a
//               ring whatever the problem is: an assumption. The default.
//   published   15 us a read, the median of those 40 times. All 40 problems were one head of 512
//               spins whose couplings vanish at eight bits; no time of a coupled layer is
//               published.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "hal/base/result.h"
#include "hal/emulator/dynamics.h"

namespace qama::emulator {

struct MachineConfig {
  std::string name = "emulated CPQC-550, preset assumed";  ///< ends with the preset's name
  std::string preset = "assumed";                          ///< "own" for a file that names none
  int max_spins = 550;
  int max_reads = 100;
  double round_trip_ns = 810;      ///< round_trip_ns * round_trips is a read's time
  double program_ns_per_byte = 8;  ///< assumption
  double program_ns_fixed = 2000;  ///< assumption
  double readout_ns = 5000;        ///< assumption, a read
  DynamicsConfig dynamics;
  int queue_limit = 1024;  ///< jobs of all sessions
  int credit_jobs = 16;
  std::uint32_t credit_bytes = 8U << 20;
  int max_sessions = 64;
  int max_connections = 256;
  int heartbeat_ms = 1000;
  int lease_ms = 10000;
  int remember_ms = 60000;
  int hello_ms = 5000;  ///< a connection that has said nothing valid by then is closed
  int idle_ms = 60000;  ///< a data connection that says nothing for so long is closed

  /// "assumed" or "published"; INVALID_ARGUMENT for another name.
  [[nodiscard]] static Result<MachineConfig> of_preset(std::string_view preset);
  /// INVALID_ARGUMENT for bad JSON, an unknown key, a number out of range or not whole where whole
  /// ones count, or the name of a built-in preset beside other times than its own. load() has the
  /// errors of a file, too.
  [[nodiscard]] static Result<MachineConfig> parse(std::string_view json);
  [[nodiscard]] static Result<MachineConfig> load(const std::string& path);
};

}  // namespace qama::emulator
