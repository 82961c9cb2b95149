#include <algorithm>

#include "hal/search/phase.h"

namespace qama::hal {
namespace {

/// The share of a phase that another one is ahead of.
constexpr double kShareBehind = 0.125;

}  // namespace

Portfolio::Portfolio(std::int32_t sweeps, bool fits_end, std::span<const PartKind> others) {
  entries_.push_back({make_restarts_phase(sweeps, fits_end)});
  for (const PartKind kind : others) {
    if (kind == PartKind::copies) entries_.push_back({make_reheat_phase()});
    if (kind == PartKind::tabu) entries_.push_back({make_tabu_phase()});
    if (kind == PartKind::exchanges) entries_.push_back({make_exchange_phase()});
  }
}

Phase& Portfolio::next(bool any_answer) {
  const auto used = [](const Entry& entry) {
    return entry.leads ? kShareBehind * entry.in_vain_us : entry.in_vain_us;
  };
  current_ = 0;
  for (std::size_t k = 1; k < entries_.size() && any_answer; ++k) {
    if (used(entries_[k]) < used(entries_[current_])) current_ = k;
  }
  return *entries_[current_].phase;
}

void Portfolio::ended(Standing standing, double cost, double busy_us) {
  if (standing == Standing::better) {
    for (Entry& entry : entries_) entry.leads = false;
  }
  Entry& entry = entries_[current_];
  entry.leads = entry.leads || standing != Standing::worse;
  const Outcome outcome{.gained = standing == Standing::better, .cost = cost};
  if (entry.phase->learn(outcome)) entry.in_vain_us += busy_us;
}

}  // namespace qama::hal
