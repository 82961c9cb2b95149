// Figures that several commands report: percentiles, schedules, a device's description.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "hal/device.h"
#include "runtime/api/answer.h"
#include "runtime/cli/console.h"
#include "runtime/engine/session.h"

namespace qama::cli {

/// Nearest-rank percentile (0 < p <= 100) of sorted values; 0 if there are none.
[[nodiscard]] double percentile(std::span<const double> sorted, double p);

/// SHA-256 of the predicted classes, four bytes each, little-endian.
[[nodiscard]] std::string answers_sha256(std::span<const std::int32_t> classes);

/// "8 sweeps, 8 restarts" and rounds, if any; several schedules as "block 0: ..., block 1: ...".
[[nodiscard]] std::string schedules_text(std::span<const hal::Schedule> layers);
/// One object a layer, with the keys of the model file's schedule.
[[nodiscard]] Json schedules_json(std::span<const hal::Schedule> layers);

/// UNSUPPORTED if a step fell to a reference implementation (runtime::is_reference): `--strict`.
[[nodiscard]] Status refuse_references(std::span<const runtime::StepInfo> steps);

/// The fields of a device that cli.md names, from its description and, if it was probed, its
/// health.
[[nodiscard]] Json device_json(const hal::DeviceInfo& info, const hal::DeviceHealth* health);

}  // namespace qama::cli
