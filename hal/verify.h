// Checks an answer on the host before anybody uses it: the energy is computed again from the
// problem's own integers, so that a device, a link or a driver cannot pass a wrong answer on
// unnoticed. Every driver of a device outside this process calls verify_answer(); the scheduler
// calls it for whatever it schedules.
#pragma once

#include <cstdint>
#include <span>

#include "hal/base/aligned.h"
#include "hal/device.h"
#include "hal/problem.h"

namespace qama::hal {

/// Scratch memory for energies of problems of a workload; checking never allocates. One thread at a
/// time.
class Verifier {
 public:
  Verifier() = default;
  /// PROBLEM_TOO_LARGE for a dense shape out of bounds.
  [[nodiscard]] static Result<Verifier> create(const Workload& workload);

  /// The same as energy_of(), some ten times faster: relies on DenseView's rule fits_int16.
  /// `spins` has at least heads * words_per_head(tokens) words and no bit behind the tokens.
  [[nodiscard]] std::int64_t energy(const DenseView& problem,
                                    std::span<const std::uint64_t> spins) noexcept;

  /// DEVICE_BAD_ANSWER where `spins` is too short, a bit behind a head's tokens is set, or the
  /// energy is not `claimed`. PROBLEM_TOO_LARGE for a problem beyond the workload of create(). Of
  /// factors, whose energies are real, only the spins are checked.
  Status verify_answer(const Problem& problem, std::span<const std::uint64_t> spins,
                       std::int64_t claimed);
  /// The same without a claim: sizes and padding are checked, the energy is returned in `energy`.
  Status check_and_price(const Problem& problem, std::span<const std::uint64_t> spins,
                         std::int64_t& energy);

 private:
  ProblemShape largest_;
  AlignedBuffer<std::int16_t> mask_;    // [row_stride]: -1 for a selected spin of the head at hand
  AlignedBuffer<std::int32_t> counts_;  // [tokens]: heads that select a token
};

}  // namespace qama::hal
