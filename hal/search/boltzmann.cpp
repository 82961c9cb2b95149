#include "hal/search/boltzmann.h"

#include <algorithm>
#include <cmath>
#include <new>
#include <string>
#include <vector>

#include "hal/base/checked.h"
#include "hal/base/random.h"
#include "hal/lower/decode.h"
#include "hal/platform/thread.h"
#include "hal/schedule.h"
#include "hal/search/landscape.h"

namespace qama::hal {
namespace {

constexpr std::int32_t kMostThreads = 1024;
/// A layer's couplings are built: one of up to 8192 spins.
constexpr std::int64_t kMostLayerTerms = std::int64_t{1} << 26;
/// The first temperature of a chain: of the largest row, where all flips are likely.
constexpr double kHot = 2;

/// A landscape in doubles: sum_i a_i x_i + sum_{i<j} w_ij x_i x_j.
struct Couplings {
  struct Term {
    std::int32_t other = 0;
    double weight = 0;
  };
  std::vector<std::int64_t> first;  ///< [variables + 1]
  std::vector<Term> terms;
  std::vector<double> linear;
  double largest = 0;  ///< of what one flip may change

  explicit Couplings(const Landscape& landscape) {
    const auto weight = [&](const Landscape::Term& term) {
      return std::ldexp(static_cast<double>(term.mantissa), term.shift + landscape.exponent());
    };
    const auto size = static_cast<std::size_t>(landscape.size());
    linear.assign(size, 0.0);
    for (const Landscape::Term& term : landscape.linear())
      linear[static_cast<std::size_t>(term.other)] += weight(term);
    first.reserve(size + 1);
    first.push_back(0);
    terms.reserve(static_cast<std::size_t>(landscape.terms()));
    for (std::int32_t i = 0; i < landscape.size(); ++i) {
      double row = std::fabs(linear[static_cast<std::size_t>(i)]);
      for (const Landscape::Term& term : landscape.row(i)) {
        terms.push_back({term.other, weight(term)});
        row += std::fabs(terms.back().weight);
      }
      first.push_back(static_cast<std::int64_t>(terms.size()));
      largest = std::max(largest, row);
    }
  }
};

class Chain {
 public:
  Chain(const Couplings& couplings, std::uint64_t seed)
      : couplings_(couplings), random_(seed), state_(couplings.linear.size()) {
    cost_ = couplings.linear;
    for (std::size_t i = 0; i < state_.size(); ++i) {
      if ((random_.next() & 1U) != 0) flip(i);
    }
  }

  /// x_i = 1 with probability 1 / (1 + exp(cost_i / T)), where cost_i is what x_i = 1 costs.
  void sweep(double temperature) noexcept {
    for (std::size_t i = 0; i < state_.size(); ++i) {
      const double u = unit_interval(random_.next());
      const bool one = u * (1 + std::exp(cost_[i] / temperature)) < 1;
      if (one != (state_[i] != 0)) flip(i);
    }
  }

  [[nodiscard]] std::span<const std::uint8_t> state() const noexcept { return state_; }

 private:
  void flip(std::size_t i) noexcept {
    state_[i] ^= 1U;
    const double sign = state_[i] != 0 ? 1 : -1;
    for (std::int64_t k = couplings_.first[i]; k < couplings_.first[i + 1]; ++k) {
      const Couplings::Term& term = couplings_.terms[static_cast<std::size_t>(k)];
      cost_[static_cast<std::size_t>(term.other)] += sign * term.weight;
    }
  }

  const Couplings& couplings_;
  SplitMix64 random_;
  std::vector<std::uint8_t> state_;
  std::vector<double> cost_;
};

class Sampler {
 public:
  Sampler(const ProblemFile& file, const Couplings& couplings, const BoltzmannRequest& request,
          std::span<std::uint8_t> samples, std::span<double> values)
      : file_(file), couplings_(couplings), request_(request), samples_(samples), values_(values) {}

  Status run() {
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
    for (std::int64_t c = next_++; c < kBoltzmannChains && !stopped(); c = next_++) chain(c);
  }

  void chain(std::int64_t number) {
    const std::size_t size = couplings_.linear.size();
    const auto count = static_cast<std::int64_t>(samples_.size() / size);
    if (number >= count) return;
    Chain chain(couplings_, solve_seed(request_.seed, static_cast<std::uint64_t>(number), 0));
    const double temperature = request_.temperature;
    const double hot = std::max(temperature, kHot * couplings_.largest);
    const std::int32_t cooling = request_.burn_in / 2;
    for (std::int32_t s = 0; s < request_.burn_in && !stopped(); ++s) {
      const double left = s < cooling ? 1 - static_cast<double>(s) / cooling : 0;
      chain.sweep(temperature * std::pow(hot / temperature, left));
    }
    const ProblemShape shape = file_.shape();
    std::vector<std::uint64_t> spins(static_cast<std::size_t>(shape.heads) *
                                     static_cast<std::size_t>(words_per_head(shape.tokens)));
    for (std::int64_t k = number; k < count && !stopped(); k += kBoltzmannChains) {
      for (std::int32_t s = 0; s < request_.between; ++s) chain.sweep(temperature);
      const auto at = static_cast<std::size_t>(k);
      std::copy(chain.state().begin(), chain.state().end(),
                samples_.begin() + static_cast<std::ptrdiff_t>(at * size));
      if (values_.empty()) continue;
      std::fill(spins.begin(), spins.end(), 0U);
      for_each_spin(shape, [&](std::size_t i, std::size_t word, std::uint64_t bit) {
        if (chain.state()[i] != 0) spins[word] |= bit;
      });
      values_[at] = value_of(file_, spins);
    }
  }

  const ProblemFile& file_;
  const Couplings& couplings_;
  const BoltzmannRequest& request_;
  std::span<std::uint8_t> samples_;
  std::span<double> values_;
  std::atomic<std::int64_t> next_ = 0;
};

}  // namespace

Status sample_boltzmann(const ProblemFile& file, const BoltzmannRequest& request,
                        std::int64_t count, std::span<std::uint8_t> samples,
                        std::span<double> values) {
  if (!(request.temperature > 0) || !std::isfinite(request.temperature)) {
    return Error{ErrorCode::invalid_argument, "temperature " + std::to_string(request.temperature) +
                                                  ", expected a finite number above 0"};
  }
  if (request.burn_in < 0 || request.burn_in > kMaxSweeps || request.between < 1 ||
      request.between > kMaxSweeps || request.threads < 1 || request.threads > kMostThreads) {
    return Error{ErrorCode::invalid_argument,
                 "burn_in " + std::to_string(request.burn_in) + ", between " +
                     std::to_string(request.between) + ", threads " +
                     std::to_string(request.threads) +
                     ", expected 0 to 1000000, 1 to 1000000 and 1 to 1024"};
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
    const Couplings couplings(landscape);
    return Sampler(file, couplings, request, samples, values).run();
  } catch (const std::bad_alloc&) {
    return Error{ErrorCode::out_of_memory, "not enough memory for the chains of a sampler"};
  }
}

}  // namespace qama::hal
