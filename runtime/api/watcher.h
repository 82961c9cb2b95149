// Looks over a run's shoulder: the problem of every layer, then its spins, energies and output.
// E(s) and what flips cost are computed again in double, from the layer's factors and from the
// spins that the device gave. A layer of first-version QAMA has no factors: its integers are taken
// instead. The token energies are the engine's: each kind of attention has its own (FORMAT.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "runtime/engine/hooks.h"

namespace qama::runtime {

/// A solved layer of a sample. Arrays are [heads][tokens] unless it says otherwise.
struct WatchedLayer {
  std::int32_t block = 0, sample = 0, heads = 0, tokens = 0;
  std::int32_t bits = 1;             ///< spins of a token; more than one in first-version QAMA only
  double energy = 0;                 ///< E(s), Eq. 3, with the penalty
  double pure_energy = 0;            ///< the same without it
  std::vector<std::uint8_t> mask;    ///< 0 to top(): how much of a token a head selected
  std::vector<double> flip_energy;   ///< [heads][tokens bits], E after flipping that spin
  std::vector<double> flip_cost;     ///< [heads][tokens bits], the same without E
  std::vector<double> token_energy;  ///< e_ti, Eq. 5; their sum counts each coupling twice
  std::vector<double> output;        ///< what the layer adds to the residual stream, [tokens][dim]

  [[nodiscard]] std::int32_t top() const noexcept { return (1 << bits) - 1; }
};

/// Keeps what a run passes by: the factors of every layer, then its spins, energies and output.
class Watcher final : public Recorder, public ProblemSink {
 public:
  void problem(const LayerProblem& p) override;
  /// Energies of the answer and of its neighbours, with the couplings of the layer that went by
  /// last.
  void spins(std::string_view /*name*/, std::int32_t /*sample*/,
             std::span<const std::uint8_t> values) override;
  void energies(std::string_view /*name*/, std::int32_t /*sample*/,
                std::span<const double> values) override;
  void tensor(std::string_view name, std::int32_t /*sample*/,
              std::span<const float> values) override;

  std::size_t all_tokens = 0;  ///< the model's N
  std::vector<WatchedLayer> layers;

 private:
  void take_factors(const LayerProblem& p);
  void take_integers(const hal::DenseView& p);
  std::vector<double> couplings_;  // of the layer at hand
  std::vector<double> fields_;
  double lambda_ = 0;
};

}  // namespace qama::runtime
