#include "runtime/api/answer.h"

#include <algorithm>
#include <cmath>

namespace qama::runtime {
namespace {

/// What softmax() needs of all logits: p_c = exp(logit_c - largest) / sum.
struct Normaliser {
  double largest = -HUGE_VAL;
  double sum = 0;
  [[nodiscard]] double probability(float logit) const {
    return std::exp(static_cast<double>(logit) - largest) / sum;
  }
};

Result<Normaliser> normaliser_of(std::span<const float> logits) {
  Normaliser out;
  for (const float logit : logits) {
    if (!std::isfinite(logit)) {
      return Error{ErrorCode::internal, "the model's output is not a finite number"};
    }
    out.largest = std::max(out.largest, static_cast<double>(logit));
  }
  for (const float logit : logits) out.sum += std::exp(static_cast<double>(logit) - out.largest);
  return out;
}

}  // namespace

Status softmax(std::span<const float> logits, std::span<double> out) {
  QAMA_ASSIGN_OR_RETURN(const Normaliser all, normaliser_of(logits));
  std::transform(logits.begin(), logits.end(), out.begin(),
                 [&all](float logit) { return all.probability(logit); });
  return {};
}

std::int32_t argmax(std::span<const float> values) {
  return static_cast<std::int32_t>(std::max_element(values.begin(), values.end()) - values.begin());
}

Status rank(std::span<const float> logits, std::span<Guess> out) {
  QAMA_ASSIGN_OR_RETURN(const Normaliser all, normaliser_of(logits));
  for (std::size_t c = 0; c < logits.size(); ++c) {
    out[c] = {static_cast<std::int32_t>(c), all.probability(logits[c])};
  }
  // By logits: probabilities of far-off classes may all be 0.
  std::sort(out.begin(), out.end(), [logits](const Guess& a, const Guess& b) {
    const float of_a = logits[static_cast<std::size_t>(a.class_index)];
    const float of_b = logits[static_cast<std::size_t>(b.class_index)];
    return of_a != of_b ? of_a > of_b : a.class_index < b.class_index;
  });
  return {};
}

void SolveCounter::add(const Session& session, std::int32_t sample) {
  for (const LayerSolve& solve : session.solves(sample)) {
    ++solved_by_[solve.result.solved_by];
    if (solve.result.fallback != hal::FallbackReason::none) {
      ++fallbacks_[std::string(hal::fallback_reason_name(solve.result.fallback))];
    }
  }
}

void SolveCounter::add(const SolveCounter& other) {
  for (const auto& [name, count] : other.solved_by_) solved_by_[name] += count;
  for (const auto& [name, count] : other.fallbacks_) fallbacks_[name] += count;
}

std::string SolveCounter::text() const {
  if (solved_by_.size() == 1) return solved_by_.begin()->first;
  std::string out;
  for (const auto& [name, count] : solved_by_) {
    out += (out.empty() ? "" : ", ") + name + " " + std::to_string(count);
  }
  return out;
}

}  // namespace qama::runtime
