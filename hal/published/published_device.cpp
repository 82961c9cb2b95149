#include "hal/published/published_device.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <string>
#include <vector>

#include "hal/base/random.h"

namespace qama::hal::published {
namespace {

constexpr double kFirstTemperature = 1000;
constexpr double kLastTemperature = 0.001;
constexpr double kFactor = 0.99;
constexpr int kProposals = 5;  ///< at each temperature
constexpr int kPatience = 50;  ///< temperatures without a better energy

// A schedule's sweeps, restarts and temperatures do not count: the authors' are part of the device.
class PublishedSolver final : public Solver {
 public:
  explicit PublishedSolver(const Workload& workload)
      : workload_(workload),
        gains_(static_cast<std::size_t>(workload.shape.spins())),
        state_(gains_.size()),
        best_(gains_.size()) {}

  Status submit(std::int32_t slot, const Problem& any, const SolveOptions& options) override {
    if (slot != 0) {
      return Error{ErrorCode::invalid_argument, "slot " + std::to_string(slot) + ", expected 0"};
    }
    QAMA_RETURN_IF_ERROR(check_fits(workload_, any));
    const auto start = std::chrono::steady_clock::now();
    problem_ = std::get<DenseView>(any);
    result_ = SolveResult{};
    SplitMix64 random(options.seed);
    begin(random);
    anneal(random);
    descend();
    result_.energy = energy_;
    result_.real_energy = static_cast<double>(energy_) / problem_.scale + problem_.offset;
    result_.restarts = 1;
    result_.solved_by = "published:";
    result_.timing.anneal_us =
        std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count();
    result_.timing.total_us = result_.timing.anneal_us;
    pending_ = true;
    return {};
  }

  Status wait(std::int32_t slot, std::span<std::uint64_t> spins, SolveResult& result) override {
    if (slot != 0 || !pending_) {
      return Error{ErrorCode::invalid_argument,
                   "slot " + std::to_string(slot) + " has no job to wait for"};
    }
    pending_ = false;
    const auto [heads, tokens] = problem_.shape;
    const auto words = static_cast<std::size_t>(words_per_head(tokens));
    const std::size_t needed = words * static_cast<std::size_t>(heads);
    if (spins.size() < needed) {
      return Error{ErrorCode::invalid_argument, "room for " + std::to_string(spins.size()) +
                                                    " words of spins, expected " +
                                                    std::to_string(needed)};
    }
    std::fill_n(spins.begin(), needed, 0);
    for (std::int32_t t = 0; t < heads; ++t) {
      for (std::int32_t i = 0; i < tokens; ++i) {
        const std::uint64_t bit = state_[index(t, i)];
        spins[static_cast<std::size_t>(t) * words + static_cast<std::size_t>(i / 64)] |=
            bit << (i % 64);
      }
    }
    result = result_;
    return {};
  }

 private:
  [[nodiscard]] std::size_t index(std::int32_t head, std::int32_t token) const noexcept {
    return static_cast<std::size_t>(head) * static_cast<std::size_t>(problem_.shape.tokens) +
           static_cast<std::size_t>(token);
  }
  [[nodiscard]] std::size_t spins() const noexcept {
    return static_cast<std::size_t>(problem_.shape.spins());
  }
  /// What the energy changes by if spin `a` flips.
  [[nodiscard]] std::int32_t cost(std::size_t a) const noexcept {
    return state_[a] != 0 ? gains_[a] : -gains_[a];
  }

  /// A random state, its energy, and what each spin gains by being 1.
  void begin(SplitMix64& random) {
    const std::int32_t tokens = problem_.shape.tokens;
    const auto stride = static_cast<std::size_t>(row_stride(tokens));
    for (std::int32_t t = 0; t < problem_.shape.heads; ++t) {
      const std::int16_t* const fields = problem_.fields + static_cast<std::size_t>(t) * stride;
      std::copy_n(fields, tokens, gains_.begin() + static_cast<std::ptrdiff_t>(index(t, 0)));
    }
    std::fill_n(state_.begin(), spins(), 0);
    energy_ = 0;
    for (std::size_t a = 0; a < spins(); ++a) {
      if ((random.next() >> 63) != 0) flip(a);
    }
    keep();
  }

  void anneal(SplitMix64& random) {
    int in_vain = 0;
    for (double real = kFirstTemperature; real > kLastTemperature && in_vain < kPatience;
         real *= kFactor, ++in_vain) {
      const double temperature = real * problem_.scale;
      for (int k = 0; k < kProposals; ++k) {
        const std::size_t a = below(random.next(), spins());
        const double unit = unit_interval(random.next());
        ++result_.proposals;
        if (cost(a) > 0 && unit >= std::exp(-cost(a) / temperature)) continue;
        flip(a);
        ++result_.flips;
        if (energy_ < best_energy_) {
          keep();
          in_vain = -1;  // the loop adds one
        }
      }
    }
    // Back to the best state.
    for (std::size_t a = 0; a < spins(); ++a) {
      if (state_[a] != best_[a]) flip(a);
    }
  }

  /// The flip that gains most, the first of equals, until none gains.
  void descend() {
    while (true) {
      std::size_t at = 0;
      for (std::size_t a = 1; a < spins(); ++a) {
        if (cost(a) < cost(at)) at = a;
      }
      result_.proposals += static_cast<std::int64_t>(spins());
      if (cost(at) >= 0) return;
      flip(at);
      ++result_.flips;
    }
  }

  void flip(std::size_t a) {
    const std::int32_t tokens = problem_.shape.tokens;
    const auto head = static_cast<std::int32_t>(a / static_cast<std::size_t>(tokens));
    const auto token = static_cast<std::int32_t>(a % static_cast<std::size_t>(tokens));
    energy_ += cost(a);
    state_[a] ^= 1U;
    const std::int32_t sign = state_[a] != 0 ? 1 : -1;
    const std::int16_t* const row =
        problem_.couplings + a * static_cast<std::size_t>(row_stride(tokens));
    std::int32_t* const gains = gains_.data() + index(head, 0);
    for (std::int32_t i = 0; i < tokens; ++i) gains[i] += sign * row[i];
    for (std::int32_t t = 0; t < problem_.shape.heads; ++t) {
      if (t != head) gains_[index(t, token)] -= sign * problem_.penalty;
    }
  }

  void keep() {
    std::copy_n(state_.begin(), spins(), best_.begin());
    best_energy_ = energy_;
  }

  const Workload workload_;
  DenseView problem_;
  std::vector<std::int32_t> gains_;         ///< [H][N] what the spin gains by being 1
  std::vector<std::uint8_t> state_, best_;  ///< [H][N]
  std::int64_t energy_ = 0, best_energy_ = 0;
  SolveResult result_;
  bool pending_ = false;
};

class PublishedDevice final : public Device {
 public:
  PublishedDevice() {
    info_.uri = "published:";
    info_.name = "the authors' annealer";
    info_.detail = "single flips from 1000 down to 0.001, as the published code trains with";
    info_.encodings = {"block_i16"};
  }
  const DeviceInfo& info() const noexcept override { return info_; }
  Result<DeviceHealth> probe() override { return DeviceHealth{}; }
  Status supports(const Workload& workload) const override {
    return check_workload(info_, workload);
  }
  Result<std::unique_ptr<Solver>> compile(const Workload& workload) override {
    QAMA_RETURN_IF_ERROR(supports(workload));
    return std::unique_ptr<Solver>(std::make_unique<PublishedSolver>(workload));
  }

 private:
  DeviceInfo info_;
};

}  // namespace

std::shared_ptr<Device> open_published_device() {
  return std::make_shared<PublishedDevice>();
}

}  // namespace qama::hal::published
