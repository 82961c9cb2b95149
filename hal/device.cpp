#include "hal/device.h"

#include <string>

namespace qama::hal {
namespace {

std::string text_of(const Workload& workload) {
  std::string out = std::to_string(workload.shape.heads) + " x " +
                    std::to_string(workload.shape.tokens) + " spins";
  if (workload.rank > 0) out += ", rank " + std::to_string(workload.rank);
  return out;
}

}  // namespace

std::string_view device_state_name(DeviceState state) noexcept {
  switch (state) {
    case DeviceState::available:
      return "available";
    case DeviceState::busy:
      return "busy";
    case DeviceState::calibrating:
      return "calibrating";
    case DeviceState::faulty:
      return "faulty";
    case DeviceState::unreachable:
      return "unreachable";
  }
  return "unknown";
}

Workload Workload::of(const Problem& problem) noexcept {
  const auto* factors = std::get_if<FactorsView>(&problem);
  return {shape_of(problem), form_of(problem), factors != nullptr ? factors->rank : 0};
}

Status check_fits(const Workload& workload, const Problem& problem) {
  const Workload given = Workload::of(problem);
  const Form wanted = workload.form == Form::planes ? Form::dense : workload.form;
  if (given.form == wanted && given.shape.heads == workload.shape.heads &&
      given.shape.tokens >= 1 && given.shape.tokens <= workload.shape.tokens &&
      given.rank == workload.rank) {
    return {};
  }
  return Error{ErrorCode::invalid_argument,
               "a problem in form " + std::string(name_of(given.form)) + " of " + text_of(given) +
                   ", expected form " + std::string(name_of(wanted)) + " and at most " +
                   text_of(workload)};
}

Status check_workload(const DeviceInfo& info, const Workload& workload) {
  if (!info.forms.has(workload.form)) {
    return Error{ErrorCode::unsupported, "device '" + info.uri + "' takes no problems in form " +
                                             std::string(name_of(workload.form)) +
                                             ", expected one of " + info.forms.text()};
  }
  const ProblemShape& shape = workload.shape;
  const bool factors = workload.form == Form::factors;
  const bool matrix = workload.form == Form::dense || workload.form == Form::planes;
  const std::int32_t heads = workload.form == Form::dense || factors ? kMaxHeads : 1;
  const std::int32_t tokens = matrix ? kMaxDenseTokens : kMaxTokens;
  const std::int32_t rank = factors ? kMaxRankLimit : 0;
  if (shape.heads >= 1 && shape.heads <= heads && shape.tokens >= 1 && shape.tokens <= tokens &&
      workload.rank >= (factors ? 1 : 0) && workload.rank <= rank) {
    return {};
  }
  return Error{ErrorCode::problem_too_large, "a layer of " + text_of(workload) + " in form " +
                                                 std::string(name_of(workload.form)) +
                                                 ", expected 1 x 1 to " +
                                                 text_of({{heads, tokens}, workload.form, rank})};
}

}  // namespace qama::hal
