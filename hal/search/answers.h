// The best different answers of a search, of all that its parts gave.
//
//   AnswerSet kept(10, file.maximises());
//   hooks.answer = [&](double, double value, const auto& spins) { kept.add(value, spins); };
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

namespace qama::hal {

/// One thread at a time. What is kept does not depend on the order in which answers come.
class AnswerSet {
 public:
  struct Answer {
    std::vector<std::uint64_t> spins;  ///< as BestAnswer::spins
    double value = 0;
    std::int64_t count = 0;  ///< how often it came
  };

  AnswerSet(std::int64_t most, bool larger_is_better) noexcept
      : most_(static_cast<std::size_t>(most)), sign_(larger_is_better ? -1 : 1) {}

  /// Of answers of one value, those of the smaller words stay.
  void add(double value, const std::vector<std::uint64_t>& spins);
  /// The best first.
  [[nodiscard]] std::vector<Answer> answers() const;
  /// Answers that came, equal ones and those that were not kept included.
  [[nodiscard]] std::int64_t reads() const noexcept { return reads_; }

 private:
  struct Key {
    double cost = 0;
    std::vector<std::uint64_t> spins;
    bool operator<(const Key& other) const {
      return cost < other.cost || (cost == other.cost && spins < other.spins);
    }
  };
  std::size_t most_;
  double sign_;
  std::int64_t reads_ = 0;
  std::map<Key, std::int64_t> counts_;
};

}  // namespace qama::hal
