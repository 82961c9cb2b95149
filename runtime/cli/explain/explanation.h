// What `qama explain` knows of one input: plain data that runtime/api/watcher.h fills and report.h
// writes.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "runtime/api/answer.h"
#include "runtime/api/watcher.h"

namespace qama::cli {

using Layer = runtime::WatchedLayer;

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
