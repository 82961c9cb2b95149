// From real numbers to the integers of a DenseView. One place decides the scale, so that
// training, the engine, `qama solve` and the tests round alike. ProblemBuffer owns the memory that
// a DenseView views; make one per layer and thread and build into it again and again.
#pragma once

#include <cstdint>
#include <span>

#include "hal/base/aligned.h"
#include "hal/problem.h"

namespace qama::hal {

/// Memory for problems up to a shape. Building never allocates.
class ProblemBuffer {
 public:
  ProblemBuffer() = default;
  /// PROBLEM_TOO_LARGE for a shape out of bounds.
  [[nodiscard]] static Result<ProblemBuffer> create(const ProblemShape& largest);

  /// Rounds a real layer into integers: W = round(scale J), b = round(scale field), P = round(scale
  /// lambda), with the largest scale that keeps fits_int16 after rounding (1 if all are 0).
  ///   couplings  [heads][rows_per_head][coupling_stride] (rows_per_head 0: tokens), of which the
  ///   upper triangle is
  ///              read; the diagonal and what lies below it are ignored
  ///   fields     [heads][field_stride], rho * h
  /// Padded memory of a smaller problem is zeroed. PROBLEM_BAD_VALUE on NaN or infinity or lambda <
  /// 0.
  Status build(const ProblemShape& shape, const float* couplings, std::int64_t coupling_stride,
               const float* fields, std::int64_t field_stride, float lambda,
               std::int64_t rows_per_head = 0);

  /// The problem built last; valid until the next build.
  [[nodiscard]] const DenseView& problem() const noexcept { return problem_; }
  /// For code that writes the integers itself (the fused front end, problem files): the memory,
  /// laid out for `shape`, and the problem that views it. The writer keeps the rules of
  /// DenseView.
  struct Target {
    std::int16_t* couplings;
    std::int16_t* fields;
    DenseView* problem;
  };
  [[nodiscard]] Target target(const ProblemShape& shape) noexcept;

 private:
  ProblemShape largest_;
  AlignedBuffer<std::int16_t> couplings_;
  AlignedBuffer<std::int16_t> fields_;
  AlignedBuffer<double> sums_;  // of one head's rows, while they are added up
  DenseView problem_;
};

}  // namespace qama::hal
