// The physics of the emulated machine: degenerate optical parametric oscillators (DOPO) in mean
// field, one round trip of the ring a step, with measurement feedback. Never simulated annealing,
// never a descent afterwards: what the oscillators end in is the answer.
//
//   mean_field  x' = (p - 1) x - x^3 + eps f + noise,  pump p ramped from below to above threshold
//   cac         the same with f multiplied by e,  e' = -xi (x^2 - a) e   (chaotic amplitude
//   control: Leleu et al.,
//               Communications Physics 4:266, 2021)
//   f_i = sum_j M_ij y_j,  y = what the ADC reads of x one round trip earlier, with homodyne noise
//
// M's structure is used and never changes a result's meaning: a block per head, one sum per token
// for the penalty, running sums for the ancillas. To add a variant: an enumerator, a branch in
// Annealer::step.
#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>
#include <vector>

namespace qama::emulator {

enum class Dynamics : std::uint8_t { mean_field, cac };

/// Constants of the oscillators and of what measures them; all but the bits in dimensionless units.
struct DynamicsConfig {
  Dynamics kind = Dynamics::cac;
  int round_trips = 200;
  double dt = 0.33;  ///< gain of the equations a round trip
  double pump_start = 0.22;
  double pump_end = 1.36;
  double coupling = 0.63;        ///< eps, in units of 1 / root mean square row norm of M
  double amplitude = 0.6;        ///< a, cac: the squared amplitude it steers to
  double rate = 1.1;             ///< xi, cac
  double noise = 0.02;           ///< vacuum noise a round trip
  double homodyne_noise = 0.02;  ///< of the measurement
  int adc_bits = 8;
  double adc_range = 1.5;  ///< the measurement saturates at plus and minus this
};

inline constexpr int kMaxCoupling = 127;  ///< -128 is not used

/// What SUBMIT carries. A dense problem has one head whose tokens are all spins, ancillas among
/// them.
struct IsingProblem {
  int heads = 0, tokens = 0, ancillas = 0;
  int penalty = 0, tie = 0;
  int first_ancilla = 0;               ///< its sign is +1 in an answer
  std::vector<std::int8_t> couplings;  ///< [heads] upper triangles
  std::vector<std::int16_t> fields;    ///< [heads][tokens]; empty in a dense problem
  [[nodiscard]] int width() const noexcept { return heads * tokens + ancillas; }
};

/// One machine's state; used by one thread.
class Annealer {
 public:
  explicit Annealer(const DynamicsConfig& config) : config_(config) {}

  /// Takes the problem's numbers over (the emulator's "programming").
  void program(const IsingProblem& problem);
  /// One read: from noise to signs, flipped so that the first ancilla is +1. False if `stop` became
  /// true first.
  bool read(std::uint64_t seed, const std::atomic<bool>& stop);
  /// Signs of the last read, -1 or 1, and their exact energy - sum_{i<j} M_ij sigma_i sigma_j.
  [[nodiscard]] const std::vector<std::int8_t>& signs() const noexcept { return signs_; }
  [[nodiscard]] std::int64_t energy() const noexcept { return energy_; }

 private:
  void feedback();
  [[nodiscard]] std::int64_t exact_energy() const;

  DynamicsConfig config_;
  int heads_ = 0, tokens_ = 0, ancillas_ = 0, width_ = 0, stride_ = 0, first_ancilla_ = 0;
  int penalty_ = 0, tie_ = 0;
  float norm_ = 1;
  std::vector<std::int8_t> couplings_;
  std::vector<float> matrix_;  // [heads][tokens][stride], symmetric
  std::vector<int> quotients_, remainders_;
  std::vector<float> x_, e_, y_, f_;  // [width], heads packed
  std::vector<float> padded_;         // [stride]: one head's field
  std::vector<float> prefix_, suffix_, columns_;
  std::vector<std::int8_t> signs_;
  std::int64_t energy_ = 0;
};

}  // namespace qama::emulator
