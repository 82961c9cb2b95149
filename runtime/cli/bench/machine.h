// What the system tells of the processor while it works: governor, temperature, energy. Most
// systems tell some of it only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace qama::cli {

/// One reading of the files below `sys`.
struct MachineState {
  /// A counter of energy that the processor keeps (RAPL), of one package.
  struct Counter {
    std::string name;
    std::int64_t microjoules = 0;
    std::int64_t wraps_at = 0;  ///< it begins again at 0 behind this value
  };

  std::string governor;  ///< "performance"; all of them where processors differ; "": not told
  std::optional<double> temperature_c;  ///< of the hottest thermal zone
  std::vector<Counter> energy;
  /// Why there is no counter; "" where there are some.
  std::string no_energy;
};

/// `sys`: "/sys", or a folder like it.
[[nodiscard]] MachineState read_machine(const std::string& sys);

/// Microjoules of all packages between two readings; empty where one has no counters, or others.
[[nodiscard]] std::optional<double> energy_between(const MachineState& before,
                                                   const MachineState& after);

}  // namespace qama::cli
