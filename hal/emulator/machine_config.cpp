#include "hal/emulator/machine_config.h"

#include <cmath>
#include <type_traits>

#include "hal/base/quote.h"
#include "hal/base/strict_json.h"
#include "hal/platform/file.h"

namespace qama::emulator {
namespace {

// Every known number: where it goes and what is sensible.
struct Bound {
  const char* key;
  double low, high;
  bool whole;
  void (*set)(MachineConfig&, double);
};
#define QAMA_NUMBER(key, field, low, high)                                              \
  Bound {                                                                               \
    key, low, high, std::is_integral_v<decltype(MachineConfig::field)>,                 \
        [](MachineConfig& c, double v) { c.field = static_cast<decltype(c.field)>(v); } \
  }
// One address has half of the connections, and a client needs two.
constexpr Bound kBounds[] = {
    QAMA_NUMBER("max_spins", max_spins, 2, 2048),
    QAMA_NUMBER("max_reads", max_reads, 1, 65535),
    QAMA_NUMBER("round_trip_ns", round_trip_ns, 0, 1e9),
    QAMA_NUMBER("round_trips", dynamics.round_trips, 0, 1e6),
    QAMA_NUMBER("program_ns_per_byte", program_ns_per_byte, 0, 1e9),
    QAMA_NUMBER("program_ns_fixed", program_ns_fixed, 0, 1e9),
    QAMA_NUMBER("readout_ns", readout_ns, 0, 1e9),
    QAMA_NUMBER("dt", dynamics.dt, 1e-6, 10),
    QAMA_NUMBER("pump_start", dynamics.pump_start, -10, 10),
    QAMA_NUMBER("pump_end", dynamics.pump_end, -10, 10),
    QAMA_NUMBER("coupling", dynamics.coupling, 0, 100),
    QAMA_NUMBER("amplitude", dynamics.amplitude, 0, 100),
    QAMA_NUMBER("rate", dynamics.rate, 0, 100),
    QAMA_NUMBER("noise", dynamics.noise, 0, 10),
    QAMA_NUMBER("homodyne_noise", dynamics.homodyne_noise, 0, 10),
    QAMA_NUMBER("adc_bits", dynamics.adc_bits, 2, 16),
    QAMA_NUMBER("adc_range", dynamics.adc_range, 1e-3, 1e3),
    QAMA_NUMBER("queue_limit", queue_limit, 1, 65536),
    QAMA_NUMBER("credit_jobs", credit_jobs, 1, 4096),
    QAMA_NUMBER("credit_bytes", credit_bytes, 65536, 1 << 30),
    QAMA_NUMBER("max_sessions", max_sessions, 1, 4096),
    QAMA_NUMBER("max_connections", max_connections, 4, 4096),
    QAMA_NUMBER("heartbeat_ms", heartbeat_ms, 1, 60000),
    QAMA_NUMBER("lease_ms", lease_ms, 1, 600000),
    QAMA_NUMBER("remember_ms", remember_ms, 0, 600000),
    QAMA_NUMBER("hello_ms", hello_ms, 10, 600000),
    QAMA_NUMBER("idle_ms", idle_ms, 100, 3600000),
};
#undef QAMA_NUMBER

constexpr std::size_t kMaxConfigBytes = std::size_t{1} << 20;

/// Of the name in HELLO_ACK (hal/cim/PROTOCOL.md).
constexpr std::size_t kMostNameBytes = 63;

/// A read of 200 round trips takes the 15 us of the median published time.
constexpr double kPublishedRoundTripNs = 75;

Error bad(const std::string& text) {
  return {ErrorCode::invalid_argument, "machine configuration: " + text};
}

/// What every report of the machine shows: whose times these are.
std::string name_with(const std::string& name, const std::string& preset) {
  return name + ", preset " + preset;
}

/// The times that a preset's name stands for.
struct Time {
  const char* key;
  double (*of)(const MachineConfig&);
};
constexpr Time kTimes[] = {
    {"round_trip_ns", [](const MachineConfig& c) { return c.round_trip_ns; }},
    {"round_trips", [](const MachineConfig& c) { return 1.0 * c.dynamics.round_trips; }},
    {"readout_ns", [](const MachineConfig& c) { return c.readout_ns; }},
    {"program_ns_per_byte", [](const MachineConfig& c) { return c.program_ns_per_byte; }},
    {"program_ns_fixed", [](const MachineConfig& c) { return c.program_ns_fixed; }},
};

/// A file that names a built-in preset has its times, for every report shows that name.
Status check_preset(const MachineConfig& config) {
  const auto preset = MachineConfig::of_preset(config.preset);
  if (!preset.ok()) return {};  // a name of the file's own
  for (const Time& time : kTimes) {
    const double expected = time.of(*preset);
    if (time.of(config) == expected) continue;
    return bad(quote(time.key) + " is " + Json(time.of(config)).dump() + ", preset " +
               quote(config.preset) + " has " + Json(expected).dump() +
               ": name no preset for times of your own");
  }
  return {};
}

}  // namespace

Result<MachineConfig> MachineConfig::of_preset(std::string_view preset) {
  MachineConfig out;
  if (preset == out.preset) return out;
  if (preset != "published") {
    return bad("preset " + quote(preset) + ", expected 'assumed' or 'published'");
  }
  out.preset = preset;
  out.name = name_with("emulated CPQC-550", out.preset);
  out.round_trip_ns = kPublishedRoundTripNs;
  return out;
}

Result<MachineConfig> MachineConfig::parse(std::string_view text) {
  QAMA_ASSIGN_OR_RETURN(const Json json, parse_json(text, {.what = "machine configuration",
                                                           .code = ErrorCode::invalid_argument,
                                                           .twice = ErrorCode::invalid_argument,
                                                           .max_bytes = kMaxConfigBytes,
                                                           .max_depth = 8,
                                                           .max_values = 1024}));
  if (!json.is_object()) return bad("expected a JSON object");
  MachineConfig out;
  out.preset = "own";
  std::string name = "emulated CPQC-550";
  for (const auto& [key, value] : json.items()) {
    if (key == "assumptions" || key == "sources") continue;  // for readers
    if (key == "name" || key == "preset") {
      if (!value.is_string()) return bad(quote(key) + " is not a text");
      (key == "name" ? name : out.preset) = value.get<std::string>();
      continue;
    }
    if (key == "dynamics") {
      if (value == "cac") {
        out.dynamics.kind = Dynamics::cac;
      } else if (value == "mean_field") {
        out.dynamics.kind = Dynamics::mean_field;
      } else {
        return bad("'dynamics' is neither \"cac\" nor \"mean_field\"");
      }
      continue;
    }
    const Bound* known = nullptr;
    for (const Bound& bound : kBounds) {
      if (key == bound.key) known = &bound;
    }
    if (known == nullptr) return bad("unknown key " + quote(key));
    if (!value.is_number()) return bad(quote(key) + " is not a number");
    const double number = value.get<double>();
    if (!(number >= known->low && number <= known->high)) {
      return bad(quote(key) + " is " + value.dump() + ", expected " + Json(known->low).dump() +
                 " to " + Json(known->high).dump());
    }
    if (known->whole && number != std::floor(number))
      return bad(quote(key) + " is " + value.dump() + ", expected a whole number");
    known->set(out, number);
  }
  if (out.lease_ms < out.heartbeat_ms) return bad("'lease_ms' is below 'heartbeat_ms'");
  QAMA_RETURN_IF_ERROR(check_preset(out));
  out.name = name_with(name, out.preset);
  if (out.name.size() > kMostNameBytes) {
    return bad("name " + quote(out.name) + " has " + std::to_string(out.name.size()) +
               " bytes, expected at most " + std::to_string(kMostNameBytes));
  }
  return out;
}

Result<MachineConfig> MachineConfig::load(const std::string& path) {
  QAMA_ASSIGN_OR_RETURN(const auto bytes,
                        platform::read_file(path, kMaxConfigBytes, ErrorCode::invalid_argument));
  return parse({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

}  // namespace qama::emulator
