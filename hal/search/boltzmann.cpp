#include "hal/search/boltzmann.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <new>
#include <numeric>
#include <string>
#include <vector>

#include "hal/base/checked.h"
#include "hal/base/random.h"
#include "hal/base/sentence.h"
#include "hal/lower/decode.h"
#include "hal/platform/thread.h"
#include "hal/schedule.h"
#include "hal/search/all_states.h"
#include "hal/search/landscape.h"
#include "hal/search/tabu.h"

namespace qama::hal {
namespace {

constexpr std::int32_t kMostThreads = 1024;
/// A layer's couplings are built: one of up to 8192 spins.
constexpr std::int64_t kMostLayerTerms = std::int64_t{1} << 26;
/// The first temperature of a chain: of the largest row, where all flips are likely.
constexpr double kHot = 2;

/// What one flip may change, at most.
double largest_row(const Landscape& landscape) {
  std::vector<double> rows(static_cast<std::size_t>(landscape.size()));
  for (const Landscape::Term& term : landscape.linear())
    rows[static_cast<std::size_t>(term.other)] += std::fabs(weight_of(landscape, term));
  for (std::int32_t i = 0; i < landscape.size(); ++i) {
    for (const Landscape::Term& term : landscape.row(i))
      rows[static_cast<std::size_t>(i)] += std::fabs(weight_of(landscape, term));
  }
  return *std::max_element(rows.begin(), rows.end());
}

/// Sums of N words in the problem's units.
template <std::size_t N>
class Units {
 public:
  explicit Units(const Landscape& landscape) {
    for (std::size_t k = 0; k < N; ++k)
      units_[k] = std::ldexp(1.0, 64 * static_cast<int>(k) + landscape.exponent());
  }

  /// No sum is beyond a double, so a word whose unit is, is 0.
  [[nodiscard]] double of(Wide<N> sum) const noexcept {
    if constexpr (N == 1)
      return static_cast<double>(static_cast<std::int64_t>(sum.words[0])) * units_[0];
    const bool negative = sum.negative();
    if (negative) sum.negate();
    double out = 0;
    for (std::size_t k = N; k-- > 0;) {
      if (sum.words[k] != 0) out += static_cast<double>(sum.words[k]) * units_[k];
    }
    return negative ? -out : out;
  }

 private:
  std::array<double, N> units_;  ///< of the words
};

/// What it costs to set a variable is kept in integers of N words. A double would lose a weight of
/// 1 beside a penalty of 1e17 for good, as soon as the penalty has come and gone.
template <std::size_t N>
class Chain {
 public:
  Chain(const Landscape& landscape, std::uint64_t seed)
      : landscape_(landscape),
        random_(seed),
        state_(static_cast<std::size_t>(landscape.size())),
        cost_(state_.size()),
        units_(landscape) {
    for (const Landscape::Term& term : landscape.linear())
      cost_[static_cast<std::size_t>(term.other)].add({term.mantissa, term.shift});
    for (std::size_t i = 0; i < state_.size(); ++i) {
      if ((random_.next() & 1U) != 0) flip(i);
    }
  }

  /// x_i = 1 with probability 1 / (1 + exp(cost_i / T)), where cost_i is what x_i = 1 costs.
  void sweep(double temperature) noexcept {
    for (std::size_t i = 0; i < state_.size(); ++i) {
      const double u = unit_interval(random_.next());
      const bool one = u * (1 + std::exp(units_.of(cost_[i]) / temperature)) < 1;
      if (one != (state_[i] != 0)) flip(i);
    }
  }

  [[nodiscard]] std::span<const std::uint8_t> state() const noexcept { return state_; }

 private:
  void flip(std::size_t i) noexcept {
    state_[i] ^= 1U;
    const bool set = state_[i] != 0;
    for (const Landscape::Term& term : landscape_.row(static_cast<std::int32_t>(i))) {
      cost_[static_cast<std::size_t>(term.other)].add(
          {set ? term.mantissa : -term.mantissa, term.shift});
    }
  }

  const Landscape& landscape_;
  SplitMix64 random_;
  std::vector<std::uint8_t> state_;
  std::vector<Wide<N>> cost_;
  Units<N> units_;
};

class Sampler {
 public:
  Sampler(const ProblemFile& file, const Landscape& landscape, const BoltzmannRequest& request,
          std::span<std::uint8_t> samples, std::span<double> values)
      : file_(file),
        landscape_(landscape),
        request_(request),
        samples_(samples),
        values_(values),
        largest_(largest_row(landscape)) {}

  Status run() {
    if (trying_all_is_less_work()) weigh_all();
    const std::int64_t threads = std::min<std::int64_t>(request_.threads, kBoltzmannChains);
    std::vector<platform::Thread> helpers(static_cast<std::size_t>(threads - 1));
    Status ended;
    for (std::size_t i = 0; i < helpers.size() && ended.ok(); ++i)
      ended = helpers[i].start([this] { work(); });
    // Where a thread cannot start, the others need not go on.
    if (ended.ok()) {
      work();
    } else {
      next_ = kBoltzmannChains;
    }
    for (platform::Thread& helper : helpers) {
      Status helped = helper.join();
      if (ended.ok()) ended = std::move(helped);
    }
    if (ended.ok() && stopped()) {
      return Error{ErrorCode::cancelled, "sampling was stopped before its end"};
    }
    return ended;
  }

 private:
  [[nodiscard]] bool stopped() const noexcept {
    return request_.stop != nullptr && request_.stop->load(std::memory_order_relaxed);
  }

  void work() {
    with_width(landscape_, [&](auto width) {
      for (std::int64_t c = next_++; c < kBoltzmannChains && !stopped(); c = next_++) {
        if (cumulative_.empty()) {
          chain<decltype(width)::value>(c);
        } else {
          draw(c);
        }
      }
    });
  }

  [[nodiscard]] std::int64_t count() const noexcept {
    return static_cast<std::int64_t>(samples_.size()) / landscape_.size();
  }

  [[nodiscard]] bool trying_all_is_less_work() const noexcept {
    if (landscape_.size() > request_.most_tried) return false;
    const auto samples = static_cast<double>(count());
    const double sweeps =
        std::min<double>(samples, kBoltzmannChains) * request_.burn_in + samples * request_.between;
    return std::ldexp(1.0, landscape_.size()) <= sweeps * landscape_.size();
  }

  /// Fills in `cumulative_`.
  void weigh_all() {
    with_width(landscape_, [&](auto width) {
      constexpr std::size_t N = decltype(width)::value;
      const Halt halt = {.stop = request_.stop};
      const Units<N> units(landscape_);
      Wide<N> lowest;
      for_each_state<N>(landscape_, halt, [&](std::uint64_t, std::uint32_t, const Wide<N>& energy) {
        if (energy < lowest) lowest = energy;
      });
      lowest.negate();
      cumulative_.resize(std::size_t{1} << landscape_.size());
      for_each_state<N>(
          landscape_, halt, [&](std::uint64_t, std::uint32_t state, const Wide<N>& energy) {
            cumulative_[state] = std::exp(-units.of(energy + lowest) / request_.temperature);
          });
    });
    std::partial_sum(cumulative_.begin(), cumulative_.end(), cumulative_.begin());
  }

  /// Samples `number`, number + kBoltzmannChains and so on, each by itself from the exact
  /// probabilities.
  void draw(std::int64_t number) {
    SplitMix64 random(solve_seed(request_.seed, static_cast<std::uint64_t>(number), 0));
    std::vector<std::uint8_t> bits(static_cast<std::size_t>(landscape_.size()));
    // A product rounded up to the sum would belong to no state.
    const double last = std::nextafter(cumulative_.back(), 0.0);
    put_samples(number, [&] {
      const double at = std::min(unit_interval(random.next()) * cumulative_.back(), last);
      const auto state = static_cast<std::size_t>(
          std::upper_bound(cumulative_.begin(), cumulative_.end(), at) - cumulative_.begin());
      for (std::size_t i = 0; i < bits.size(); ++i) bits[i] = (state >> i) & 1U;
      return std::span<const std::uint8_t>(bits);
    });
  }

  template <std::size_t N>
  void chain(std::int64_t number) {
    if (number >= count()) return;
    Chain<N> chain(landscape_, solve_seed(request_.seed, static_cast<std::uint64_t>(number), 0));
    const double temperature = request_.temperature;
    const double hot =
        std::max(temperature, std::min(kHot * largest_, std::numeric_limits<double>::max()));
    const std::int32_t cooling = request_.burn_in / 2;
    for (std::int32_t s = 0; s < request_.burn_in && !stopped(); ++s) {
      const double left = s < cooling ? 1 - static_cast<double>(s) / cooling : 0;
      // Not a power of hot / temperature, which may be no double.
      chain.sweep(std::pow(hot, left) * std::pow(temperature, 1 - left));
    }
    put_samples(number, [&] {
      for (std::int32_t s = 0; s < request_.between; ++s) chain.sweep(temperature);
      return chain.state();
    });
  }

  /// Samples `number`, number + kBoltzmannChains and so on: next() gives each, a byte a variable.
  template <typename Next>
  void put_samples(std::int64_t number, Next&& next) {
    const auto size = static_cast<std::size_t>(landscape_.size());
    const ProblemShape shape = file_.shape();
    std::vector<std::uint64_t> spins(static_cast<std::size_t>(shape.heads) *
                                     static_cast<std::size_t>(words_per_head(shape.tokens)));
    for (std::int64_t k = number; k < count() && !stopped(); k += kBoltzmannChains) {
      const std::span<const std::uint8_t> sample = next();
      const auto at = static_cast<std::size_t>(k);
      std::copy(sample.begin(), sample.end(),
                samples_.begin() + static_cast<std::ptrdiff_t>(at * size));
      if (values_.empty()) continue;
      std::fill(spins.begin(), spins.end(), 0U);
      for_each_spin(shape, [&](std::size_t i, std::size_t word, std::uint64_t bit) {
        if (sample[i] != 0) spins[word] |= bit;
      });
      values_[at] = value_of(file_, spins);
    }
  }

  const ProblemFile& file_;
  const Landscape& landscape_;
  const BoltzmannRequest& request_;
  std::span<std::uint8_t> samples_;
  std::span<double> values_;
  const double largest_;
  /// Of the answers up to each, the sum of exp(-E / T), times a constant; empty: there are chains.
  std::vector<double> cumulative_;
  std::atomic<std::int64_t> next_ = 0;
};

}  // namespace

Status sample_boltzmann(const ProblemFile& file, const BoltzmannRequest& request,
                        std::int64_t count, std::span<std::uint8_t> samples,
                        std::span<double> values) {
  if (!(request.temperature > 0) || !std::isfinite(request.temperature)) {
    return make_error(ErrorCode::invalid_argument, "temperature ", request.temperature,
                      ", expected a finite number above 0");
  }
  if (request.burn_in < 0 || request.burn_in > kMaxSweeps || request.between < 1 ||
      request.between > kMaxSweeps || request.threads < 1 || request.threads > kMostThreads) {
    return Error{ErrorCode::invalid_argument,
                 "burn_in " + std::to_string(request.burn_in) + ", between " +
                     std::to_string(request.between) + ", threads " +
                     std::to_string(request.threads) +
                     ", expected 0 to 1000000, 1 to 1000000 and 1 to 1024"};
  }
  if (request.most_tried < 0 || request.most_tried > kMaxTried) {
    return make_error(ErrorCode::invalid_argument, "most_tried ", request.most_tried,
                      ", expected 0 to ", kMaxTried);
  }
  const auto variables = static_cast<std::size_t>(file.shape().spins());
  const auto needed =
      checked_mul(static_cast<std::size_t>(std::max<std::int64_t>(count, 0)), variables);
  if (count < 1 || !needed || samples.size() != *needed ||
      (!values.empty() && values.size() != static_cast<std::size_t>(count))) {
    return Error{ErrorCode::invalid_argument,
                 std::to_string(count) + " samples of " + std::to_string(variables) +
                     " variables, expected 1 or more and room for all"};
  }
  const ProblemShape shape = file.shape();
  if (file.kind == ProblemKind::qama && shape.spins() * shape.tokens > kMostLayerTerms) {
    return Error{ErrorCode::problem_too_large, "a layer of " + std::to_string(shape.heads) +
                                                   " heads and " + std::to_string(shape.tokens) +
                                                   " tokens, expected at most 2^26 couplings"};
  }
  QAMA_ASSIGN_OR_RETURN(const Landscape landscape, Landscape::of(file));
  try {
    return Sampler(file, landscape, request, samples, values).run();
  } catch (const std::bad_alloc&) {
    return Error{ErrorCode::out_of_memory, "not enough memory for the chains of a sampler"};
  }
}

}  // namespace qama::hal
