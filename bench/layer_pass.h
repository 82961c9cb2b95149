// One QAMA layer from queries, keys and fields to its output, timed part by part: what targets A5
// to A7 ask for. DensePass is what the engine does for short heads (ops/attention, then a device);
// FactorPass never builds J and is for long ones.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "bench/instances.h"
#include "hal/base/aligned.h"
#include "hal/device.h"
#include "ops/attention/qama.h"

namespace qama::bench {

/// A layer's inputs in two layouts, room for its output, and the same layer as a problem.
struct PassData {
  InstanceClass of;
  AlignedBuffer<float> qkh;            ///< the engine's: [tokens][2 heads rank + heads]
  AlignedBuffer<float> queries, keys;  ///< [heads][tokens][rank]
  AlignedBuffer<float> fields;         ///< [heads][tokens], h
  AlignedBuffer<float> output;         ///< [heads][tokens][rank]
  /// J and h of every head at mean 0 and standard deviation 1, as per-instance normalisation makes
  /// them.
  hal::QamaLayer real;
};
[[nodiscard]] PassData pass_data(const InstanceClass& of, std::uint64_t seed);

struct PassTimes {
  double front_us = 0, solve_us = 0, output_us = 0;
  [[nodiscard]] double total_us() const noexcept { return front_us + solve_us + output_us; }
};

class DensePass {
 public:
  [[nodiscard]] static Result<std::unique_ptr<DensePass>> create(const InstanceClass& of,
                                                                 hal::Device& device);
  Status run(PassData& data, const hal::SolveOptions& options, PassTimes& times);
  [[nodiscard]] const std::vector<std::uint64_t>& spins() const noexcept { return spins_; }
  [[nodiscard]] std::int64_t memory_bytes() const noexcept {
    return static_cast<std::int64_t>(workspace_.bytes());
  }

 private:
  InstanceClass of_{};
  std::unique_ptr<ops::QamaAttention> attention_;
  std::unique_ptr<hal::Solver> solver_;
  ops::OwnedWorkspace<ops::kQamaPieces> workspace_{{}};
  std::vector<std::uint64_t> spins_;
};

class FactorPass {
 public:
  [[nodiscard]] static Result<std::unique_ptr<FactorPass>> create(const InstanceClass& of,
                                                                  hal::Device& device);
  Status run(PassData& data, const hal::SolveOptions& options, PassTimes& times);
  [[nodiscard]] const std::vector<std::uint64_t>& spins() const noexcept { return spins_; }
  /// Everything but the input and the output.
  [[nodiscard]] std::int64_t memory_bytes() const noexcept;

 private:
  void front(const PassData& data);
  void output(PassData& data);

  InstanceClass of_{};
  std::int64_t width_ = 0;  ///< rank of the low-rank problem
  std::unique_ptr<hal::Solver> solver_;
  AlignedBuffer<float> factors_, fields_, scale_, shift_;
  AlignedBuffer<double> wide_fields_, energies_, scratch_;
  std::vector<std::uint64_t> spins_;
  float penalty_ = 0;
};

}  // namespace qama::bench
