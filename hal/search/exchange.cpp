#include "hal/search/exchange.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#include "hal/base/random.h"

namespace qama::hal {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::int32_t kSmallestGrid = 3;
/// Temperatures of a run, at least; exchanges at one of them, at most. Between two, the clock is
/// looked at.
constexpr std::int64_t kTemperatures = 128;
constexpr std::int64_t kMostTriesAStep = 256;
constexpr std::int32_t kProbed = 256;
/// Temperatures: of the mean change of random exchanges, the first and the last.
constexpr double kHot = 0.5;
constexpr double kWarm = 0.1;  ///< the first, from the best answer
constexpr double kCold = 0.005;
/// Exchanges of a first run, for each that there is; a run that ends with the time may use most of
/// it.
constexpr std::int64_t kFirstRun = 50;
constexpr double kShareOfTime = 0.9;

/// For each variable, those that it is coupled to by the largest weight, in order.
struct Ties {
  std::vector<std::int64_t> first{0};
  std::vector<std::int32_t> others;
  [[nodiscard]] std::span<const std::int32_t> of(std::int32_t i) const {
    const auto k = static_cast<std::size_t>(i);
    return {others.data() + first[k], static_cast<std::size_t>(first[k + 1] - first[k])};
  }
  [[nodiscard]] bool has(std::int32_t i, std::int32_t j) const {
    const auto row = of(i);
    return std::binary_search(row.begin(), row.end(), j);
  }
};

/// Pairs that occur several times in a row are added up.
template <typename Visit>
void for_each_pair(const Landscape& landscape, std::int32_t i, Visit&& visit) {
  const std::span<const Landscape::Term> row = landscape.row(i);
  for (std::size_t at = 0; at < row.size();) {
    const std::int32_t other = row[at].other;
    double sum = 0;
    for (; at < row.size() && row[at].other == other; ++at) sum += weight_of(landscape, row[at]);
    visit(other, sum);
  }
}

Ties ties_of(const Landscape& landscape, double& largest) {
  largest = 0;
  for (std::int32_t i = 0; i < landscape.size(); ++i) {
    for_each_pair(landscape, i,
                  [&](std::int32_t, double weight) { largest = std::max(largest, weight); });
  }
  Ties out;
  for (std::int32_t i = 0; i < landscape.size(); ++i) {
    for_each_pair(landscape, i, [&](std::int32_t other, double weight) {
      if (weight == largest && largest > 0) out.others.push_back(other);
    });
    out.first.push_back(static_cast<std::int64_t>(out.others.size()));
  }
  return out;
}

/// Ties are those of a grid where a variable's are the others of its row and those of its column.
bool find_grid(const Ties& ties, std::int32_t size, Groups& out) {
  const auto side = static_cast<std::int32_t>(std::lround(std::sqrt(size)));
  if (side < kSmallestGrid || side * side != size) return false;
  for (std::int32_t i = 0; i < size; ++i) {
    if (ties.of(i).size() != static_cast<std::size_t>(2 * (side - 1))) return false;
  }
  // What the first variable and one that it is tied to are both tied to is in their row.
  std::vector<std::int32_t> row{0, ties.of(0)[0]};
  for (const std::int32_t i : ties.of(0)) {
    if (ties.has(i, row[1])) row.push_back(i);
  }
  if (row.size() != static_cast<std::size_t>(side)) return false;
  std::sort(row.begin(), row.end());
  std::vector<std::int32_t> column{0};
  for (const std::int32_t i : ties.of(0)) {
    if (!std::binary_search(row.begin(), row.end(), i)) column.push_back(i);
  }
  if (column.size() != static_cast<std::size_t>(side)) return false;
  out.members = row;
  for (std::size_t a = 1; a < column.size(); ++a) {
    // The cell of this row under row[b] is tied to both.
    for (const std::int32_t top : row) {
      std::int32_t found = top == 0 ? column[a] : -1;
      for (const std::int32_t i : ties.of(column[a])) {
        if (top != 0 && i != 0 && ties.has(i, top)) found = i;
      }
      if (found < 0) return false;
      out.members.push_back(found);
    }
  }
  std::vector<bool> seen(static_cast<std::size_t>(size));
  for (const std::int32_t i : out.members) {
    if (seen[static_cast<std::size_t>(i)]) return false;
    seen[static_cast<std::size_t>(i)] = true;
  }
  const auto cell = [&](std::int32_t a, std::int32_t b) {
    return out.members[static_cast<std::size_t>(a * side + b)];
  };
  for (std::int32_t a = 0; a < side; ++a) {
    for (std::int32_t b = 0; b < side; ++b) {
      for (std::int32_t c = b + 1; c < side; ++c) {
        if (!ties.has(cell(a, b), cell(a, c)) || !ties.has(cell(b, a), cell(c, a))) return false;
      }
    }
  }
  out.side = side;
  return true;
}

/// Ties are those of groups where all that are tied are tied to each other.
bool find_one_hot(const Ties& ties, std::int32_t size, Groups& out) {
  out.members.clear();
  out.first = {0};
  std::vector<bool> seen(static_cast<std::size_t>(size));
  for (std::int32_t i = 0; i < size; ++i) {
    if (seen[static_cast<std::size_t>(i)]) continue;
    const auto others = ties.of(i);
    if (others.empty()) {
      out.loose.push_back(i);
      continue;
    }
    for (const std::int32_t j : others) {
      if (seen[static_cast<std::size_t>(j)] || ties.of(j).size() != others.size()) return false;
      for (const std::int32_t k : others) {
        if (j != k && !ties.has(j, k)) return false;
      }
    }
    out.members.push_back(i);
    out.members.insert(out.members.end(), others.begin(), others.end());
    for (std::int32_t at = out.first.back(); at < static_cast<std::int32_t>(out.members.size());
         ++at) {
      seen[static_cast<std::size_t>(out.members[static_cast<std::size_t>(at)])] = true;
    }
    out.first.push_back(static_cast<std::int32_t>(out.members.size()));
  }
  return 2 * out.members.size() >= static_cast<std::size_t>(size) && out.first.size() > 2;
}

/// In (0, 1], for a logarithm.
double unit(std::uint64_t number) {
  return unit_interval(number) + 0x1p-53;
}

}  // namespace

std::optional<Groups> Groups::of(const Landscape& landscape) {
  Groups out;
  const Ties ties = ties_of(landscape, out.weight);
  if (find_grid(ties, landscape.size(), out) || find_one_hot(ties, landscape.size(), out))
    return out;
  return std::nullopt;
}

ExchangeSearch::ExchangeSearch(const TabuRows& rows, const Groups& groups)
    : rows_(rows),
      groups_(groups),
      fields_(static_cast<std::size_t>(rows.padded())),
      spins_(static_cast<std::size_t>(words_per_head(rows.size()))) {
  if (groups.side > 0) {
    chosen_.resize(static_cast<std::size_t>(groups.side));
    length_ = kFirstRun * groups.side * (groups.side - 1) / 2;
    return;
  }
  chosen_.resize(groups.first.size() - 1);
  length_ = kFirstRun * rows.size();
  group_of_.assign(static_cast<std::size_t>(rows.size()), -1);
  for (std::size_t g = 0; g < chosen_.size(); ++g) {
    for (std::int32_t at = groups.first[g]; at < groups.first[g + 1]; ++at) {
      group_of_[static_cast<std::size_t>(groups.members[static_cast<std::size_t>(at)])] =
          static_cast<std::int32_t>(g);
    }
  }
}

void ExchangeSearch::flip(std::int32_t i) {
  const bool was_set = is_set(i);
  energy_ += was_set ? -fields_[static_cast<std::size_t>(i)] : fields_[static_cast<std::size_t>(i)];
  rows_.add(fields_.data(), i, was_set ? -1 : 1, kernel_);
  spins_[static_cast<std::size_t>(i / 64)] ^= std::uint64_t{1} << (i % 64);
  ++flips_;
}

void ExchangeSearch::start(SplitMix64& random) {
  std::copy(rows_.linear().begin(), rows_.linear().end(), fields_.data());
  std::fill(spins_.begin(), spins_.end(), 0);
  energy_ = 0;
  if (groups_.side > 0) {
    std::iota(chosen_.begin(), chosen_.end(), 0);
    for (std::size_t a = chosen_.size(); a > 1; --a)
      std::swap(chosen_[a - 1], chosen_[below(random.next(), a)]);
    for (std::size_t a = 0; a < chosen_.size(); ++a) {
      flip(groups_.members[a * chosen_.size() + static_cast<std::size_t>(chosen_[a])]);
    }
    return;
  }
  for (std::size_t g = 0; g < chosen_.size(); ++g) {
    const auto first = static_cast<std::size_t>(groups_.first[g]);
    const auto count = static_cast<std::size_t>(groups_.first[g + 1]) - first;
    chosen_[g] = groups_.members[first + below(random.next(), count)];
    flip(chosen_[g]);
  }
  for (const std::int32_t i : groups_.loose) {
    if ((random.next() & 1U) != 0) flip(i);
  }
}

void ExchangeSearch::start_from_best() {
  std::copy(rows_.linear().begin(), rows_.linear().end(), fields_.data());
  std::fill(spins_.begin(), spins_.end(), 0);
  energy_ = 0;
  for (std::size_t w = 0; w < spins_.size(); ++w) {
    for (std::uint64_t open = best_spins_[w]; open != 0; open &= open - 1)
      flip(static_cast<std::int32_t>(64 * w) + std::countr_zero(open));
  }
  chosen_ = best_chosen_;
}

/// E changes by the fields of the four, by the couplings of the two that leave (which both fields
/// have) and of the two that join, and by the four between them, which have the groups' weight.
ExchangeSearch::Move ExchangeSearch::swap_of(std::int32_t a, std::int32_t b) const {
  const auto side = static_cast<std::size_t>(groups_.side);
  const std::int32_t* const row_a = groups_.members.data() + static_cast<std::size_t>(a) * side;
  const std::int32_t* const row_b = groups_.members.data() + static_cast<std::size_t>(b) * side;
  const std::int32_t at_a = chosen_[static_cast<std::size_t>(a)];
  const std::int32_t at_b = chosen_[static_cast<std::size_t>(b)];
  Move out;
  out.group[0] = a;
  out.group[1] = b;
  out.flips[0] = row_a[at_a];
  out.flips[1] = row_b[at_b];
  out.flips[2] = row_a[at_b];
  out.flips[3] = row_b[at_a];
  const double* const fields = fields_.data();
  out.cost = fields[out.flips[2]] + fields[out.flips[3]] - fields[out.flips[0]] -
             fields[out.flips[1]] - 4 * groups_.weight + rows_.weight(out.flips[0], out.flips[1]) +
             rows_.weight(out.flips[2], out.flips[3]);
  return out;
}

ExchangeSearch::Move ExchangeSearch::choice_of(std::int32_t group, std::int32_t variable) const {
  Move out;
  out.group[0] = group;
  out.flips[0] = chosen_[static_cast<std::size_t>(group)];
  out.flips[1] = variable;
  out.cost = fields_[static_cast<std::size_t>(variable)] -
             fields_[static_cast<std::size_t>(out.flips[0])] - groups_.weight;
  return out;
}

ExchangeSearch::Move ExchangeSearch::flip_of(std::int32_t variable) const {
  Move out;
  out.flips[0] = variable;
  const double field = fields_[static_cast<std::size_t>(variable)];
  out.cost = is_set(variable) ? -field : field;
  return out;
}

ExchangeSearch::Move ExchangeSearch::draw(SplitMix64& random) const {
  if (groups_.side > 0) {
    const std::size_t side = chosen_.size();
    const std::size_t a = below(random.next(), side);
    const std::size_t b = (a + 1 + below(random.next(), side - 1)) % side;
    return swap_of(static_cast<std::int32_t>(a), static_cast<std::int32_t>(b));
  }
  while (true) {
    const auto i =
        static_cast<std::int32_t>(below(random.next(), static_cast<std::size_t>(rows_.size())));
    const std::int32_t group = group_of_[static_cast<std::size_t>(i)];
    if (group < 0) return flip_of(i);
    if (chosen_[static_cast<std::size_t>(group)] != i) return choice_of(group, i);
  }
}

void ExchangeSearch::apply(const Move& move) {
  for (const std::int32_t i : move.flips) {
    if (i >= 0) flip(i);
  }
  if (groups_.side > 0) {
    std::swap(chosen_[static_cast<std::size_t>(move.group[0])],
              chosen_[static_cast<std::size_t>(move.group[1])]);
  } else if (move.group[0] >= 0) {
    chosen_[static_cast<std::size_t>(move.group[0])] = move.flips[1];
  }
}

/// Exchanges until none helps by more than what sums of doubles may have lost.
void ExchangeSearch::descend(const Halt& halt) {
  const double least = -1e-9 * groups_.weight;
  const auto take = [&](const Move& move) {
    if (!(move.cost < least)) return false;
    apply(move);
    return true;
  };
  for (bool changed = true; changed && !halt.asked_to_stop();) {
    changed = false;
    for (std::int32_t a = 0; a < groups_.side; ++a) {
      for (std::int32_t b = 0; b < a; ++b) changed = take(swap_of(a, b)) || changed;
    }
    if (groups_.side > 0) continue;
    for (std::int32_t i = 0; i < rows_.size(); ++i) {
      const std::int32_t group = group_of_[static_cast<std::size_t>(i)];
      if (group >= 0 && chosen_[static_cast<std::size_t>(group)] == i) continue;
      changed = take(group < 0 ? flip_of(i) : choice_of(group, i)) || changed;
    }
  }
}

std::int64_t ExchangeSearch::run(std::uint64_t seed, const Halt& halt,
                                 std::span<std::uint64_t> spins) {
  SplitMix64 random(seed);
  flips_ = 0;
  start(random);
  double mean = 0;
  for (std::int32_t k = 0; k < kProbed; ++k) mean += std::fabs(draw(random).cost) / kProbed;
  const bool from_best = runs_++ % 2 == 1;
  if (from_best) start_from_best();
  const double hot = from_best ? kWarm : kHot;
  const auto before = Clock::now();
  std::int64_t length = length_;
  if (halt.deadline && second_ > 0) {
    const double left = std::chrono::duration<double>(*halt.deadline - before).count();
    length = std::clamp<std::int64_t>(static_cast<std::int64_t>(kShareOfTime * left * second_), 1,
                                      length);
  }
  const std::int64_t step = std::clamp<std::int64_t>(length / kTemperatures, 1, kMostTriesAStep);
  const double falls =
      std::exp(static_cast<double>(step) / static_cast<double>(length) * std::log(kCold / hot));
  double temperature = hot * mean;
  std::int64_t tried = 0;
  for (; tried < length; ++tried) {
    if (tried % step == step - 1) {
      temperature *= falls;
      if (halt.now()) break;
    }
    const Move move = draw(random);
    if (move.cost <= 0 || move.cost < -temperature * std::log(unit(random.next()))) apply(move);
  }
  descend(halt);
  second_ = static_cast<double>(std::max<std::int64_t>(tried, 1)) /
            std::max(std::chrono::duration<double>(Clock::now() - before).count(), 1e-6);
  if (from_best) length_ = 2 * length_;
  if (runs_ == 1 || energy_ < best_energy_) {
    best_energy_ = energy_;
    best_spins_ = spins_;
    best_chosen_ = chosen_;
  }
  std::copy(spins_.begin(), spins_.end(), spins.begin());
  return tried;
}

}  // namespace qama::hal
