// What a search showed while it ran: the value of every read, the best one over time, and the best
// different answers. A read is one part of the search (hal/search/solve.h). `qama solve` prints it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "hal/search/answers.h"
#include "hal/search/solve.h"
#include "runtime/cli/console.h"
#include "runtime/cli/html/charts.h"

namespace qama::cli {

class SolveRecord {
 public:
  /// Values that are remembered; later ones only count.
  static constexpr std::size_t kMostValues = std::size_t{1} << 20;
  struct Bin {
    double from = 0, to = 0;  ///< both included; equal: one value
    std::int64_t count = 0;
  };

  /// `most`: different answers that are kept.
  SolveRecord(std::int64_t most, bool larger_is_better)
      : larger_is_better_(larger_is_better), kept_(most, larger_is_better) {}

  /// Takes a read; as SolveHooks::answer.
  void add(double elapsed_ms, double value, const std::vector<std::uint64_t>& spins);

  [[nodiscard]] const std::vector<double>& values() const noexcept { return values_; }
  /// Each better than the one before, at its time in ms.
  [[nodiscard]] const std::vector<StepPoint>& improvements() const noexcept {
    return improvements_;
  }
  [[nodiscard]] const hal::AnswerSet& kept() const noexcept { return kept_; }
  /// Up to 12 different values each by itself, else 12 bins of one width; the best first.
  [[nodiscard]] std::vector<Bin> histogram() const;

 private:
  bool larger_is_better_;
  hal::AnswerSet kept_;
  std::vector<double> values_;
  std::vector<StepPoint> improvements_;
};

/// Spins as 0 and 1, head after head; in `lines` a head a line: what `qama solve --out` writes.
[[nodiscard]] std::string spins_text(const hal::ProblemShape& shape,
                                     const std::vector<std::uint64_t>& spins, bool lines = false);

/// "cut", "energy": what a problem's value is called.
[[nodiscard]] const char* value_name(const hal::ProblemFile& file) noexcept;
/// A value for JSON: whole numbers stay whole.
[[nodiscard]] Json value_json(double value);
/// A value for people: the shortest text that reads back as the same number.
[[nodiscard]] std::string value_text(double value);

/// The page of `qama solve --html`. IO_ERROR.
Status write_solve_html(const std::string& path, const std::string& problem,
                        const hal::ProblemFile& file, const hal::BestAnswer& answer,
                        const SolveRecord& record,
                        const std::vector<std::vector<std::string>>& facts);

}  // namespace qama::cli
