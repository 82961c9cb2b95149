#include "bench/textbook_sa.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "hal/base/random.h"
#include "hal/cpu/schedule.h"

namespace qama::bench {

TextbookAnnealer::TextbookAnnealer(const hal::DenseView& problem)
    : problem_(problem), row_norm_(hal::cpu::row_norm(problem)) {
  const std::int32_t heads = problem.shape.heads;
  const std::int32_t tokens = problem.shape.tokens;
  const auto stride = static_cast<std::size_t>(hal::row_stride(tokens));
  const auto size = static_cast<std::size_t>(problem.shape.spins());
  neighbours_.resize(size);
  linear_.resize(size);
  for (std::int32_t t = 0; t < heads; ++t) {
    for (std::int32_t i = 0; i < tokens; ++i) {
      const auto a = static_cast<std::size_t>(t * tokens + i);
      linear_[a] =
          -problem.fields[static_cast<std::size_t>(t) * stride + static_cast<std::size_t>(i)];
      for (std::int32_t j = 0; j < tokens; ++j) {
        const double weight = problem.couplings[a * stride + static_cast<std::size_t>(j)];
        if (weight != 0) neighbours_[a].push_back({t * tokens + j, -weight});
      }
      for (std::int32_t u = 0; u < heads; ++u) {
        if (u != t && problem.penalty != 0) {
          neighbours_[a].push_back({u * tokens + i, static_cast<double>(problem.penalty)});
        }
      }
    }
  }
}

double TextbookAnnealer::uniform() noexcept {
  // xorshift128+ (Vigna 2014), the generator of dwave-samplers.
  std::uint64_t x = random_[0];
  const std::uint64_t y = random_[1];
  random_[0] = y;
  x ^= x << 23;
  random_[1] = x ^ y ^ (x >> 17) ^ (y >> 26);
  return unit_interval(random_[1] + y);
}

void TextbookAnnealer::flip(std::size_t a) {
  const double sign = spins_[a] != 0 ? -1.0 : 1.0;
  spins_[a] ^= 1;
  for (const Neighbour& n : neighbours_[a])
    cost_[static_cast<std::size_t>(n.spin)] += sign * n.weight;
}

void TextbookAnnealer::metropolis_sweep(double beta) {
  for (std::size_t a = 0; a < spins_.size(); ++a) {
    const double change = spins_[a] != 0 ? -cost_[a] : cost_[a];
    if (change <= 0 || uniform() < std::exp(-beta * change)) flip(a);
  }
  proposals_ += static_cast<std::int64_t>(spins_.size());
}

bool TextbookAnnealer::descent_sweep() {
  bool changed = false;
  for (std::size_t a = 0; a < spins_.size(); ++a) {
    if ((spins_[a] != 0 ? -cost_[a] : cost_[a]) < 0) {
      flip(a);
      changed = true;
    }
  }
  proposals_ += static_cast<std::int64_t>(spins_.size());
  return changed;
}

bool TextbookAnnealer::subset_sweep() {
  const auto heads = static_cast<std::size_t>(problem_.shape.heads);
  const auto tokens = static_cast<std::size_t>(problem_.shape.tokens);
  if (heads == 1) return false;
  bool changed = false;
  for (std::size_t i = 0; i < tokens; ++i) {
    std::size_t count = 0;
    for (std::size_t t = 0; t < heads; ++t) count += spins_[t * tokens + i];
    std::array<std::pair<double, std::size_t>, hal::kMaxHeads> order;  // cost within the head, head
    double current = 0;
    double pairs = 0;
    for (std::size_t t = 0; t < heads; ++t) {
      const bool selected = spins_[t * tokens + i] != 0;
      const double alone = cost_[t * tokens + i] -
                           problem_.penalty * static_cast<double>(count - (selected ? 1 : 0));
      order[t] = {alone, t};
      if (selected) current += alone + problem_.penalty * pairs++;
    }
    std::sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(heads));
    double best = 0;
    std::size_t take = 0;
    while (take < heads && order[take].first + problem_.penalty * static_cast<double>(take) < 0) {
      best += order[take].first + problem_.penalty * static_cast<double>(take);
      ++take;
    }
    if (best >= current) continue;
    changed = true;
    for (std::size_t rank = 0; rank < heads; ++rank) {
      const std::size_t a = order[rank].second * tokens + i;
      if ((spins_[a] != 0) != (rank < take)) flip(a);
    }
  }
  return changed;
}

TextbookResult TextbookAnnealer::solve(const hal::SolveOptions& options) {
  TextbookResult out;
  random_[0] = counter_random(options.seed, 0);
  random_[1] = counter_random(options.seed, 1) | 1;
  proposals_ = 0;
  const auto tokens = static_cast<std::size_t>(problem_.shape.tokens);
  const auto words = static_cast<std::size_t>(hal::words_per_head(problem_.shape.tokens));
  for (std::int32_t restart = 0; restart < options.schedule.restarts; ++restart) {
    spins_.assign(linear_.size(), 0);
    cost_ = linear_;
    for (std::int32_t k = 0; k < options.schedule.sweeps; ++k) {
      const double along = options.schedule.sweeps > 1
                               ? static_cast<double>(k) / (options.schedule.sweeps - 1)
                               : 1.0;
      const double first = 1.0 / options.schedule.t_start;
      const double last = 1.0 / options.schedule.t_end;
      metropolis_sweep((first + (last - first) * along) / row_norm_);
    }
    do {
      while (descent_sweep()) {
      }
    } while (subset_sweep());
    double energy = 0;
    for (std::size_t a = 0; a < spins_.size(); ++a) {
      if (spins_[a] != 0) energy += (linear_[a] + cost_[a]) / 2;
    }
    if (restart > 0 && energy >= out.energy) continue;
    out.energy = energy;
    out.spins.assign(static_cast<std::size_t>(problem_.shape.heads) * words, 0);
    for (std::size_t a = 0; a < spins_.size(); ++a) {
      const std::size_t bit = a % tokens;
      out.spins[a / tokens * words + bit / 64] |= static_cast<std::uint64_t>(spins_[a])
                                                  << (bit % 64);
    }
  }
  out.proposals = proposals_;
  return out;
}

}  // namespace qama::bench
