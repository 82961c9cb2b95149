#include "hal/emulator/dynamics.h"

#include <algorithm>
#include <cmath>

#include "hal/base/random.h"

namespace qama::emulator {
namespace {

// Sums of four 16-bit numbers: near enough to a normal distribution for noise, cheap, and the same
// everywhere.
class Noise {
 public:
  explicit Noise(std::uint64_t seed) noexcept : stream_(seed) {}
  /// Mean 0, deviation 1.
  float operator()() noexcept {
    const std::uint64_t bits = stream_.next();
    const auto part = [bits](int i) {
      return static_cast<std::int32_t>((bits >> (16 * i)) & 0xFFFFU);
    };
    const std::int32_t sum = part(0) + part(1) + part(2) + part(3) - 2 * 65535;
    return static_cast<float>(sum) * (1.7320508F / 65536.0F);
  }

 private:
  SplitMix64 stream_;
};

// field = sum_j row_j y_j, the inner loop of everything. A column at a time, so that the order of
// additions does not depend on the vector width and all targets agree; a chunk of the field stays
// in registers.
inline constexpr int kChunk = 32;
[[gnu::always_inline]] inline void multiply_body(const float* matrix, const float* y, float* field,
                                                 int tokens, int stride) {
  for (int first = 0; first < stride; first += kChunk) {
    float sum[kChunk] = {};
    for (int j = 0; j < tokens; ++j) {
      const float factor = y[j];
      const float* row =
          matrix + static_cast<std::size_t>(j) * static_cast<std::size_t>(stride) + first;
      for (int i = 0; i < kChunk; ++i) sum[i] += row[i] * factor;
    }
    for (int i = 0; i < kChunk; ++i) field[first + i] = sum[i];
  }
}

using Multiply = void (*)(const float*, const float*, float*, int, int);

void multiply_plain(const float* matrix, const float* y, float* field, int tokens, int stride) {
  multiply_body(matrix, y, field, tokens, stride);
}
#if defined(__x86_64__)
[[gnu::target("avx2")]] void multiply_avx2(const float* matrix, const float* y, float* field,
                                           int tokens, int stride) {
  multiply_body(matrix, y, field, tokens, stride);
}
#endif

Multiply best_multiply() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) return multiply_avx2;
#endif
  return multiply_plain;
}
const Multiply kMultiply = best_multiply();

}  // namespace

void Annealer::program(const IsingProblem& problem) {
  heads_ = problem.heads;
  tokens_ = problem.tokens;
  ancillas_ = problem.ancillas;
  width_ = problem.width();
  first_ancilla_ = problem.first_ancilla;
  penalty_ = problem.penalty;
  tie_ = problem.tie;
  stride_ = (tokens_ + kChunk - 1) / kChunk * kChunk;
  const auto stride = static_cast<std::size_t>(stride_);
  const auto tokens = static_cast<std::size_t>(tokens_);
  const auto spins = static_cast<std::size_t>(heads_) * tokens;
  couplings_ = problem.couplings;
  matrix_.assign(static_cast<std::size_t>(heads_) * tokens * stride, 0.0F);
  double squares = 0;
  const std::int8_t* from = couplings_.data();
  for (std::size_t t = 0; t < static_cast<std::size_t>(heads_); ++t) {
    float* head = matrix_.data() + t * tokens * stride;
    for (std::size_t i = 0; i < tokens; ++i) {
      for (std::size_t j = i + 1; j < tokens; ++j) {
        const float value = *from++;
        head[i * stride + j] = head[j * stride + i] = value;
        squares += 2.0 * static_cast<double>(value) * static_cast<double>(value);
      }
    }
  }
  quotients_.assign(spins, 0);
  remainders_.assign(spins, 0);
  if (ancillas_ > 0) {
    for (std::size_t i = 0; i < spins; ++i) {
      const int field = problem.fields[i];
      int q = field / ancillas_;
      int r = field % ancillas_;
      if (r < 0) {
        r += ancillas_;
        --q;
      }
      quotients_[i] = q;
      remainders_[i] = r;
    }
  }
  squares += static_cast<double>(spins) * (heads_ - 1) * penalty_ * penalty_;
  norm_ = static_cast<float>(
      std::sqrt(std::max(squares / static_cast<double>(std::max<std::size_t>(spins, 1)), 1.0)));
  const auto width = static_cast<std::size_t>(width_);
  for (auto* v : {&x_, &e_, &y_, &f_}) v->assign(width, 0.0F);
  padded_.assign(stride, 0.0F);
  columns_.assign(tokens, 0.0F);
  prefix_.assign(static_cast<std::size_t>(ancillas_) + 1, 0.0F);
  suffix_.assign(static_cast<std::size_t>(ancillas_) + 1, 0.0F);
  signs_.assign(width, 1);
}

// f = M y. Ancilla a couples to spin i with q_i + (a < r_i): towards the spins that is q_i S + (the
// first r_i ancillas), towards ancilla a it is sum q_i y_i + (spins whose r_i > a).
void Annealer::feedback() {
  const auto tokens = static_cast<std::size_t>(tokens_);
  const auto spins = static_cast<std::size_t>(heads_) * tokens;
  if (penalty_ != 0) {
    std::fill(columns_.begin(), columns_.end(), 0.0F);
    for (std::size_t t = 0; t < static_cast<std::size_t>(heads_); ++t) {
      for (std::size_t i = 0; i < tokens; ++i) columns_[i] += y_[t * tokens + i];
    }
  }
  const auto ancillas = static_cast<std::size_t>(ancillas_);
  for (std::size_t a = 0; a < ancillas; ++a) prefix_[a + 1] = prefix_[a] + y_[spins + a];
  const float total = prefix_[ancillas];
  std::fill(suffix_.begin(), suffix_.end(), 0.0F);
  float common = 0;
  const auto penalty = static_cast<float>(penalty_);
  for (std::size_t t = 0; t < static_cast<std::size_t>(heads_); ++t) {
    kMultiply(matrix_.data() + t * tokens * static_cast<std::size_t>(stride_),
              y_.data() + t * tokens, padded_.data(), tokens_, stride_);
    for (std::size_t i = 0; i < tokens; ++i) {
      const std::size_t at = t * tokens + i;
      float f = padded_[i];
      if (penalty_ != 0) f -= penalty * (columns_[i] - y_[at]);
      if (ancillas > 0) {
        const auto q = static_cast<float>(quotients_[at]);
        const auto r = static_cast<std::size_t>(remainders_[at]);
        f += q * total + prefix_[r];
        common += q * y_[at];
        suffix_[r] += y_[at];
      }
      f_[at] = f;
    }
  }
  float behind = 0;
  for (std::size_t a = ancillas; a-- > 0;) {
    behind += suffix_[a + 1];
    f_[spins + a] = common + behind + static_cast<float>(tie_) * (total - y_[spins + a]);
  }
}

bool Annealer::read(std::uint64_t seed, const std::atomic<bool>& stop) {
  constexpr int kLookForStop = 16;
  Noise noise(seed);
  const auto dt = static_cast<float>(config_.dt);
  const float coupling = static_cast<float>(config_.coupling) / norm_;
  const auto vacuum = static_cast<float>(config_.noise);
  const auto homodyne = static_cast<float>(config_.homodyne_noise);
  const auto range = static_cast<float>(config_.adc_range);
  const float steps = static_cast<float>((1 << (config_.adc_bits - 1)) - 1) / range;
  const auto amplitude = static_cast<float>(config_.amplitude);
  const float rate = static_cast<float>(config_.rate) * dt;
  const bool control = config_.kind == Dynamics::cac;
  // A ring that makes no round trip answers all +1: with it the link is measured without annealing.
  for (float& x : x_) x = config_.round_trips > 0 ? vacuum * noise() : 1.0F;
  std::fill(e_.begin(), e_.end(), 1.0F);
  for (int trip = 0; trip < config_.round_trips; ++trip) {
    if (trip % kLookForStop == 0 && stop.load(std::memory_order_relaxed)) return false;
    for (std::size_t i = 0; i < y_.size(); ++i) {
      const float measured = std::min(std::max(x_[i] + homodyne * noise(), -range), range);
      // Adding and taking away 1.5 * 2^23 rounds to a whole number of ADC steps.
      y_[i] = ((measured * steps + 12582912.0F) - 12582912.0F) / steps;
    }
    feedback();
    const float ramp =
        static_cast<float>(trip) / static_cast<float>(std::max(config_.round_trips - 1, 1));
    const auto pump = static_cast<float>(
        config_.pump_start + (config_.pump_end - config_.pump_start) * static_cast<double>(ramp));
    for (std::size_t i = 0; i < x_.size(); ++i) {
      const float x = x_[i];
      const float drive = coupling * e_[i] * f_[i];
      const float next = x + dt * ((pump - 1.0F) * x - x * x * x + drive) + vacuum * noise();
      // A cavity's field is bounded by its pump; without this a large step could leave the model's
      // range.
      x_[i] = std::min(std::max(next, -range), range);
      if (control)
        e_[i] = std::min(std::max(e_[i] - rate * (x * x - amplitude) * e_[i], 1e-3F), 1e3F);
    }
  }
  if (stop.load(std::memory_order_relaxed)) return false;
  const bool flip = x_[static_cast<std::size_t>(first_ancilla_)] < 0;
  for (std::size_t i = 0; i < x_.size(); ++i) {
    signs_[i] = (x_[i] < 0) != flip ? std::int8_t{-1} : std::int8_t{1};
  }
  energy_ = exact_energy();
  return true;
}

std::int64_t Annealer::exact_energy() const {
  const auto tokens = static_cast<std::size_t>(tokens_);
  const auto spins = static_cast<std::size_t>(heads_) * tokens;
  std::int64_t energy = 0;
  const std::int8_t* from = couplings_.data();
  for (std::size_t t = 0; t < static_cast<std::size_t>(heads_); ++t) {
    const std::int8_t* signs = signs_.data() + t * tokens;
    for (std::size_t i = 0; i + 1 < tokens; ++i) {
      std::int32_t sum = 0;
      for (std::size_t j = i + 1; j < tokens; ++j) sum += from[j - i - 1] * signs[j];
      from += tokens - 1 - i;
      energy -= sum * signs[i];
    }
  }
  for (std::size_t i = 0; penalty_ != 0 && i < tokens; ++i) {
    std::int64_t sum = 0;
    for (std::size_t t = 0; t < static_cast<std::size_t>(heads_); ++t)
      sum += signs_[t * tokens + i];
    energy += penalty_ * (sum * sum - heads_) / 2;
  }
  std::int64_t tied = 0;
  for (std::size_t a = 0; a < static_cast<std::size_t>(ancillas_); ++a) {
    std::int64_t sum = 0;
    for (std::size_t i = 0; i < spins; ++i) {
      sum += (quotients_[i] + (static_cast<int>(a) < remainders_[i] ? 1 : 0)) * signs_[i];
    }
    energy -= sum * signs_[spins + a];
    tied += signs_[spins + a];
  }
  if (ancillas_ > 0) energy -= tie_ * (tied * tied - ancillas_) / 2;
  return energy;
}

}  // namespace qama::emulator
