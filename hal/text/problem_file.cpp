#include "hal/text/problem_file.h"

namespace qama::hal {

std::string_view name_of(ProblemKind kind) noexcept {
  switch (kind) {
    case ProblemKind::qama:
      return "qama";
    case ProblemKind::maxcut:
      return "maxcut";
    case ProblemKind::qubo:
      return "qubo";
    case ProblemKind::ising:
      return "ising";
  }
  return "";
}

}  // namespace qama::hal
