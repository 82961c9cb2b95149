// Looks over a run's shoulder: the problem of every layer, then its spins, energies and output. All
// figures are computed again in double, from the layer's factors and from the spins that the device
// gave. A layer of first-version QAMA has no factors: its integers are taken instead, and the token
// energies are the engine's.
#pragma once

#include <vector>

#include "runtime/cli/explain/explanation.h"
#include "runtime/engine/hooks.h"

namespace qama::cli {

/// Keeps what a run passes by: the factors of every layer, then its spins, energies and output.
class Watcher final : public runtime::Recorder, public runtime::ProblemSink {
 public:
  void problem(const runtime::LayerProblem& p) override;
  /// Energies of the answer and of its neighbours, with the couplings of the layer that went by
  /// last.
  void spins(std::string_view /*name*/, std::int32_t /*sample*/,
             std::span<const std::uint8_t> values) override;
  /// Those of first-version QAMA, where a token's energy is not the sum of its spins'.
  void energies(std::string_view /*name*/, std::int32_t /*sample*/,
                std::span<const double> values) override;
  void tensor(std::string_view name, std::int32_t /*sample*/,
              std::span<const float> values) override;

  std::size_t all_tokens = 0;  ///< the model's N
  std::vector<Layer> layers;

 private:
  void take_factors(const runtime::LayerProblem& p);
  void take_integers(const hal::DenseView& p);
  std::vector<double> couplings_;  // of the layer at hand
  std::vector<double> fields_;
  double lambda_ = 0;
};

}  // namespace qama::cli
