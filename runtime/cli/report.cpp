#include "runtime/cli/report.h"

#include <algorithm>
#include <cmath>

namespace qama::cli {

double percentile(std::span<const double> sorted, double p) {
  if (sorted.empty()) return 0;
  const double rank = std::ceil(p / 100.0 * static_cast<double>(sorted.size()));
  return sorted[static_cast<std::size_t>(std::max(rank, 1.0)) - 1];
}

namespace {

std::string schedule_text(const hal::SolveOptions& options) {
  std::string out =
      std::to_string(options.sweeps) + " sweeps, " + std::to_string(options.restarts) + " restarts";
  if (options.start != hal::StartKind::guessed)
    out += ", " + std::string(hal::name_of(options.start)) + " starts";
  if (options.rounds == 0) return out;
  return out + ", " + std::to_string(options.rounds) + " rounds of " +
         std::to_string(options.round_sweeps) + " sweeps";
}

}  // namespace

std::string schedules_text(std::span<const hal::SolveOptions> layers) {
  std::string out;
  bool same = true;
  for (std::size_t layer = 0; layer < layers.size(); ++layer) {
    const std::string text = schedule_text(layers[layer]);
    same = same && text == schedule_text(layers[0]);
    out += (layer > 0 ? "; block " : "block ") + std::to_string(layer) + ": " + text;
  }
  return same && !layers.empty() ? schedule_text(layers[0]) : out;
}

Json schedules_json(std::span<const hal::SolveOptions> layers) {
  Json out = Json::array();
  for (const hal::SolveOptions& options : layers) {
    out.push_back({{"sweeps", options.sweeps},
                   {"restarts", options.restarts},
                   {"t_start", options.t_start},
                   {"t_end", options.t_end},
                   {"start", hal::name_of(options.start)},
                   {"rounds", options.rounds},
                   {"round_sweeps", options.round_sweeps},
                   {"t_round", options.t_round}});
  }
  return out;
}

Status refuse_references(std::span<const runtime::StepInfo> steps) {
  for (const runtime::StepInfo& step : steps) {
    if (!runtime::is_reference(step.implementation)) continue;
    return Error{ErrorCode::unsupported, "step '" + step.name + "' (" + step.op +
                                             "): implementation '" + step.implementation +
                                             "', expected none of the reference ones (--strict)"};
  }
  return {};
}

Json device_json(const hal::DeviceInfo& info, const hal::DeviceHealth* health) {
  Json out;
  out["uri"] = info.uri;
  out["name"] = info.name;
  out["detail"] = info.detail;
  out["max_spins"] = info.max_spins;
  out["coupling_bits"] = info.coupling_bits;
  out["encodings"] = info.encodings;
  out["max_in_flight"] = info.max_in_flight;
  out["is_emulated"] = info.is_emulated;
  out["deterministic"] = info.deterministic;
  if (health != nullptr) {
    out["state"] = hal::device_state_name(health->state);
    out["state_detail"] = health->detail;
    out["round_trip_us"] = health->round_trip_us;
  }
  return out;
}

}  // namespace qama::cli
