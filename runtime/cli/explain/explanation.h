// What `qama explain` knows of one input: plain data that watcher.h fills and report.h writes.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "runtime/api/answer.h"

namespace qama::cli {

/// A solved layer. Arrays are [heads][tokens] unless it says otherwise.
struct Layer {
  std::int32_t block = 0, heads = 0, tokens = 0;
  std::int32_t bits = 1;             ///< spins of a token; more than one in first-version QAMA only
  double energy = 0;                 ///< E(s), Eq. 3, with the penalty
  double pure_energy = 0;            ///< sum of the token energies, without it
  std::vector<std::int32_t> mask;    ///< 0 to top(): how much of a token a head selected
  std::vector<double> flip_energy;   ///< [heads][tokens bits], E after flipping that spin
  std::vector<double> token_energy;  ///< e_ti, Eq. 5
  std::vector<double> output;        ///< what the layer adds to the residual stream, [tokens][dim]

  [[nodiscard]] std::int32_t top() const noexcept { return (1 << bits) - 1; }
};

/// The answer for an input, and what every layer did for it.
struct Explanation {
  std::string model_path, input;
  std::string label;
  std::int32_t answer = 0;  ///< class
  double probability = 0;
  std::int32_t columns = 0;  ///< tokens in a row of a picture's grid; 0 where they lie in none
  std::string device;
  std::uint64_t seed = 0;
  runtime::SolveCounter solvers;
  std::vector<Layer> layers;
  /// Of a text: its words, a token each in every layer, and whether the vocabulary has them.
  std::vector<std::string> words;
  std::vector<bool> known;

  /// "ankle boot, 99.3 %"
  [[nodiscard]] std::string verdict() const;
  /// The words of a text, or else the numbers of the tokens, of which head `t` of a layer selected
  /// something.
  [[nodiscard]] std::vector<std::string> selected_words(const Layer& layer, std::int32_t t) const;
};

struct Moments {
  double mean = 0, deviation = 0;
};
[[nodiscard]] Moments moments(std::span<const double> values);
/// Energy after the best single flip.
[[nodiscard]] double least_flip(const Layer& layer);

}  // namespace qama::cli
