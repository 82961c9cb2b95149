#include "hal/exact/exact_device.h"

#include <array>
#include <bit>
#include <chrono>
#include <string>

namespace qama::hal::exact {
namespace {

// Ties go to the state that comes first in Gray-code order, so answers are deterministic.
class ExactSolver final : public Solver {
 public:
  explicit ExactSolver(const Workload& workload) : workload_(workload) {}

  Status submit(std::int32_t slot, const Problem& any, const SolveOptions& /*options*/) override {
    if (slot != 0) {
      return Error{ErrorCode::invalid_argument, "slot " + std::to_string(slot) + ", expected 0"};
    }
    QAMA_RETURN_IF_ERROR(check_fits(workload_, any));
    const DenseView& problem = std::get<DenseView>(any);
    const auto spins = static_cast<std::size_t>(problem.shape.spins());
    const auto start = std::chrono::steady_clock::now();
    const auto tokens = static_cast<std::size_t>(problem.shape.tokens);
    const auto stride = static_cast<std::size_t>(row_stride(problem.shape.tokens));
    const auto pair = [&](std::size_t a, std::size_t b) -> std::int64_t {
      if (a / tokens == b / tokens) return -problem.couplings[a * stride + b % tokens];
      return a % tokens == b % tokens ? problem.penalty : 0;
    };
    std::array<std::array<std::int64_t, kMaxExactSpins>, kMaxExactSpins> costs{};
    std::array<std::int64_t, kMaxExactSpins> flip_gain{};  // energy if spin a goes from 0 to 1
    for (std::size_t a = 0; a < spins; ++a) {
      flip_gain[a] = -problem.fields[a / tokens * stride + a % tokens];
      for (std::size_t b = 0; b < spins; ++b) costs[a][b] = a == b ? 0 : pair(a, b);
    }
    std::uint32_t state = 0;
    std::int64_t energy = 0;
    best_state_ = 0;
    std::int64_t best = 0;
    const std::uint64_t states = std::uint64_t{1} << spins;
    for (std::uint64_t step = 1; step < states; ++step) {
      const auto a = static_cast<std::size_t>(std::countr_zero(step));
      const std::uint32_t bit = std::uint32_t{1} << a;
      const std::int64_t sign = (state & bit) != 0 ? -1 : 1;
      energy += sign * flip_gain[a];
      state ^= bit;
      for (std::size_t b = 0; b < spins; ++b) flip_gain[b] += sign * costs[a][b];
      if (energy < best) {
        best = energy;
        best_state_ = state;
      }
    }
    result_ = SolveResult{};
    result_.energy = best;
    result_.proposals = static_cast<std::int64_t>(states);
    result_.flips = static_cast<std::int64_t>(states) - 1;
    result_.restarts = 1;
    result_.solved_by = "exact:";
    result_.timing.anneal_us =
        std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count();
    result_.timing.total_us = result_.timing.anneal_us;
    shape_ = problem.shape;
    pending_ = true;
    return {};
  }

  Status wait(std::int32_t slot, std::span<std::uint64_t> spins, SolveResult& result) override {
    if (slot != 0 || !pending_) {
      return Error{ErrorCode::invalid_argument,
                   "slot " + std::to_string(slot) + " has no job to wait for"};
    }
    pending_ = false;
    // At most 24 spins: one word a head.
    if (spins.size() < static_cast<std::size_t>(shape_.heads)) {
      return Error{ErrorCode::invalid_argument, "room for " + std::to_string(spins.size()) +
                                                    " words of spins, expected " +
                                                    std::to_string(shape_.heads)};
    }
    const std::uint64_t head_mask = (std::uint64_t{1} << shape_.tokens) - 1;
    for (std::int32_t t = 0; t < shape_.heads; ++t) {
      spins[t] = (static_cast<std::uint64_t>(best_state_) >> (t * shape_.tokens)) & head_mask;
    }
    result = result_;
    return {};
  }

 private:
  const Workload workload_;
  ProblemShape shape_;
  SolveResult result_;
  std::uint32_t best_state_ = 0;
  bool pending_ = false;
};

class ExactDevice final : public Device {
 public:
  ExactDevice() {
    info_.uri = "exact:";
    info_.name = "exhaustive search";
    info_.detail = "tries every state by Gray code; for proof, not for use";
    info_.max_spins = kMaxExactSpins;
    info_.encodings = {"block_i16"};
  }
  const DeviceInfo& info() const noexcept override { return info_; }
  Result<DeviceHealth> probe() override { return DeviceHealth{}; }
  Status supports(const Workload& workload) const override {
    QAMA_RETURN_IF_ERROR(check_workload(info_, workload));
    const std::int64_t spins = workload.shape.spins();
    if (spins > kMaxExactSpins) {
      return Error{ErrorCode::problem_too_large, "a problem of " + std::to_string(spins) +
                                                     " spins, device 'exact:' takes at most " +
                                                     std::to_string(kMaxExactSpins)};
    }
    return {};
  }
  Result<std::unique_ptr<Solver>> compile(const Workload& workload) override {
    QAMA_RETURN_IF_ERROR(supports(workload));
    return std::unique_ptr<Solver>(std::make_unique<ExactSolver>(workload));
  }

 private:
  DeviceInfo info_;
};

}  // namespace

std::shared_ptr<Device> open_exact_device() {
  return std::make_shared<ExactDevice>();
}

}  // namespace qama::hal::exact
