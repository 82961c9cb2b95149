#include <cmath>

#include "hal/cpu/tabu/tabu.h"

namespace qama::hal::cpu {

std::int32_t pick_reference(const TabuMoves& moves) {
  std::int32_t best = -1;
  double least = HUGE_VAL;
  for (std::int32_t k = 0; k < moves.count; ++k) {
    const std::int32_t i = (moves.from + k) % moves.count;
    const double cost = moves.fields[i] * moves.signs[i];
    const bool allowed = moves.free_from[i] <= moves.step || cost < moves.aspired;
    if (!allowed || !(cost < least)) continue;
    least = cost;
    best = i;
  }
  return best;
}

void add_row_reference(double* fields, const double* row, double change, std::int32_t count) {
  for (std::int32_t i = 0; i < count; ++i) fields[i] += change * row[i];
}

}  // namespace qama::hal::cpu
