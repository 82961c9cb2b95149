#include "hal/search/answers.h"

#include <cmath>
#include <iterator>

namespace qama::hal {

void AnswerSet::add(double value, const std::vector<std::uint64_t>& spins) {
  ++reads_;
  if (most_ == 0) return;
  // What is no number is behind all that are.
  Key key{std::isnan(value) ? HUGE_VAL : sign_ * value, spins};
  // What has left once is behind those that stay, so it never comes back with a wrong count.
  if (counts_.size() == most_ && std::prev(counts_.end())->first < key) return;
  ++counts_[std::move(key)];
  if (counts_.size() > most_) counts_.erase(std::prev(counts_.end()));
}

std::vector<AnswerSet::Answer> AnswerSet::answers() const {
  std::vector<Answer> out;
  out.reserve(counts_.size());
  for (const auto& [key, count] : counts_) out.push_back({key.spins, sign_ * key.cost, count});
  return out;
}

}  // namespace qama::hal
