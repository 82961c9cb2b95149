// What a run's numbers say: probabilities, the likeliest classes, who solved the layers. The one
// place for softmax, argmax and the order of classes.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "hal/base/result.h"
#include "runtime/engine/session.h"

namespace qama::runtime {

/// Softmax in double; both have one element a class. INTERNAL if a logit is not a finite number.
[[nodiscard]] Status softmax(std::span<const float> logits, std::span<double> out);

/// Index of the largest value; the first of equals.
[[nodiscard]] std::int32_t argmax(std::span<const float> values);

/// A class and its probability.
struct Guess {
  std::int32_t class_index = 0;
  double probability = 0;
};

/// All classes, the largest logit first; of equal logits the first class. Probabilities are
/// softmax()'s. Allocates nothing. INTERNAL as softmax().
[[nodiscard]] Status rank(std::span<const float> logits, std::span<Guess> out);

/// Counts of solves by solver ("cpu:avx512": 20000) and of fall-backs by reason.
class SolveCounter {
 public:
  SolveCounter() = default;
  SolveCounter(std::map<std::string, std::int64_t> solved_by,
               std::map<std::string, std::int64_t> fallbacks)
      : solved_by_(std::move(solved_by)), fallbacks_(std::move(fallbacks)) {}
  /// Adds the solves of the session's last run's sample.
  void add(const Session& session, std::int32_t sample);
  void add(const SolveCounter& other);
  [[nodiscard]] const std::map<std::string, std::int64_t>& solved_by() const { return solved_by_; }
  [[nodiscard]] const std::map<std::string, std::int64_t>& fallbacks() const { return fallbacks_; }
  /// "cpu:avx512", or "cim 19998, cpu:avx512 2"; "" if nothing was solved.
  [[nodiscard]] std::string text() const;

 private:
  std::map<std::string, std::int64_t> solved_by_;
  std::map<std::string, std::int64_t> fallbacks_;
};

}  // namespace qama::runtime
