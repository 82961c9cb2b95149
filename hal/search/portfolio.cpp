#include "hal/search/phase.h"

namespace qama::hal {

Portfolio::Portfolio(std::int32_t sweeps, bool improves) {
  entries_.push_back({make_restarts_phase(sweeps)});
  if (improves) entries_.push_back({make_reheat_phase()});
}

Phase& Portfolio::next(bool any_answer) {
  current_ = 0;
  for (std::size_t k = 1; k < entries_.size() && any_answer; ++k) {
    if (entries_[k].in_vain_us < entries_[current_].in_vain_us) current_ = k;
  }
  return *entries_[current_].phase;
}

void Portfolio::ended(bool gained, double busy_us) {
  Entry& entry = entries_[current_];
  if (entry.phase->learn(gained)) entry.in_vain_us += busy_us;
}

}  // namespace qama::hal
