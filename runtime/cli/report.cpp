#include "runtime/cli/report.h"

#include <algorithm>
#include <cmath>

#include "hal/platform/sha256.h"

namespace qama::cli {

double percentile(std::span<const double> sorted, double p) {
  if (sorted.empty()) return 0;
  const double rank = std::ceil(p / 100.0 * static_cast<double>(sorted.size()));
  return sorted[static_cast<std::size_t>(std::max(rank, 1.0)) - 1];
}

std::string answers_sha256(std::span<const std::int32_t> classes) {
  std::vector<std::byte> bytes;
  for (const std::int32_t answer : classes) {
    for (const int shift : {0, 8, 16, 24}) {
      bytes.push_back(static_cast<std::byte>(static_cast<std::uint32_t>(answer) >> shift));
    }
  }
  return platform::sha256_hex(bytes);
}

namespace {

std::string schedule_text(const hal::Schedule& schedule) {
  std::string out = std::to_string(schedule.sweeps) + " sweeps, " +
                    std::to_string(schedule.restarts) + " restarts";
  if (schedule.start != hal::StartKind::guessed)
    out += ", " + std::string(hal::name_of(schedule.start)) + " starts";
  if (schedule.rounds == 0) return out;
  return out + ", " + std::to_string(schedule.rounds) + " rounds of " +
         std::to_string(schedule.round_sweeps) + " sweeps";
}

}  // namespace

std::string schedules_text(std::span<const hal::Schedule> layers) {
  std::string out;
  bool same = true;
  for (std::size_t layer = 0; layer < layers.size(); ++layer) {
    const std::string text = schedule_text(layers[layer]);
    same = same && text == schedule_text(layers[0]);
    out += (layer > 0 ? "; block " : "block ") + std::to_string(layer) + ": " + text;
  }
  return same && !layers.empty() ? schedule_text(layers[0]) : out;
}

Json schedules_json(std::span<const hal::Schedule> layers) {
  Json out = Json::array();
  for (const hal::Schedule& schedule : layers) {
    Json& entry = out.emplace_back();
    hal::for_each_field(schedule, [&](std::string_view name, const auto& value) {
      if constexpr (std::is_enum_v<std::remove_cvref_t<decltype(value)>>) {
        entry[std::string(name)] = hal::name_of(value);
      } else {
        entry[std::string(name)] = value;
      }
    });
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
