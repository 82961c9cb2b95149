// Fuzz target: the emulator's configuration. What is accepted must be a machine that can be built:
// every number finite and in the order of its neighbours.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "hal/emulator/machine_config.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto config =
      qama::emulator::MachineConfig::parse({reinterpret_cast<const char*>(data), size});
  if (!config.ok()) {
    if (config.error().message.empty() || config.error().message.find('\n') != std::string::npos)
      std::abort();
    return 0;
  }
  const auto& d = config->dynamics;
  for (const double value :
       {config->round_trip_ns, config->program_ns_per_byte, config->program_ns_fixed,
        config->readout_ns, d.dt, d.pump_start, d.pump_end, d.coupling, d.amplitude, d.rate,
        d.noise, d.homodyne_noise, d.adc_range}) {
    if (!std::isfinite(value)) std::abort();
  }
  for (const int value :
       {config->max_spins, config->max_reads, config->queue_limit, config->credit_jobs,
        config->max_sessions, config->max_connections, config->heartbeat_ms, config->lease_ms,
        config->remember_ms, config->hello_ms, d.round_trips, d.adc_bits}) {
    if (value < 0) std::abort();
  }
  if (config->max_spins < 2 || config->name.size() > 63) std::abort();
  return 0;
}
