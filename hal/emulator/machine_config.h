// What the emulated machine is like: a JSON file, every number of which is either published or an
// assumption that is labelled as one. configs/cpqc-550.json is the default, built in.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "hal/base/result.h"
#include "hal/emulator/dynamics.h"

namespace qama::emulator {

struct MachineConfig {
  std::string name = "emulated CPQC-550";
  int max_spins = 550;
  int max_reads = 100;
  double round_trip_ns = 810;      ///< assumption; round_trip_ns * round_trips is 162 us
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

  /// IO_ERROR, or INVALID_ARGUMENT for bad JSON, an unknown key or a number out of range.
  [[nodiscard]] static Result<MachineConfig> parse(std::string_view json);
  [[nodiscard]] static Result<MachineConfig> load(const std::string& path);
};

}  // namespace qama::emulator
