#include "hal/schedule.h"

#include <cmath>
#include <cstdio>
#include <string>

#include "hal/base/quote.h"

namespace qama::hal {
namespace {

std::string text_of(double value) {
  char out[32];
  std::snprintf(out, sizeof out, "%.9g", value);
  return out;
}

std::string text_of(std::int32_t value) {
  return std::to_string(value);
}

/// Keeps the first error.
struct Bounds {
  std::string_view where;
  ErrorCode code;
  Status status;

  template <typename Number>
  void range(std::string_view name, Number value, Number low, Number high) {
    if (!status.ok() || (value >= low && value <= high)) return;  // no NaN is in a range
    status = Error{code, std::string(where) + "." + std::string(name) + ": " + text_of(value) +
                             ", expected " + text_of(low) + " to " + text_of(high)};
  }
};

}  // namespace

std::string_view name_of(StartKind start) noexcept {
  for (const auto& [name, kind] : kStartNames) {
    if (kind == start) return name;
  }
  return "";
}

Result<StartKind> parse_start_kind(std::string_view name) {
  std::string expected;
  for (const auto& [known, kind] : kStartNames) {
    if (known == name) return kind;
    expected += (expected.empty() ? "" : ", ") + std::string(known);
  }
  return Error{ErrorCode::invalid_argument,
               "start " + quote(name) + ", expected one of " + expected};
}

Status validate(const Schedule& schedule, std::string_view where, ErrorCode code) {
  Bounds bounds{where, code, {}};
  bounds.range("sweeps", schedule.sweeps, 0, kMaxSweeps);
  bounds.range("restarts", schedule.restarts, 1, kMaxRestarts);
  bounds.range("t_start", schedule.t_start, kColdest, kHottest);
  bounds.range("t_end", schedule.t_end, kColdest, schedule.t_start);
  bounds.range("start", static_cast<std::int32_t>(schedule.start), 0,
               static_cast<std::int32_t>(StartKind::mixed));
  bounds.range("rounds", schedule.rounds, 0, kMaxRestarts);
  bounds.range("round_sweeps", schedule.round_sweeps, 0, kMaxSweeps);
  const double coldest = schedule.rounds > 0 ? schedule.t_end : kColdest;
  bounds.range("t_round", schedule.t_round, coldest, kHottest);
  return std::move(bounds.status);
}

Schedule ScheduleOverrides::apply(Schedule schedule) const noexcept {
  schedule.sweeps = sweeps.value_or(schedule.sweeps);
  schedule.restarts = restarts.value_or(schedule.restarts);
  schedule.rounds = rounds.value_or(schedule.rounds);
  schedule.round_sweeps = round_sweeps.value_or(schedule.round_sweeps);
  return schedule;
}

}  // namespace qama::hal
