// ProblemRecorder: writes the layers that a session is about to solve as files
// (hal/text), for tuning the annealer on real problems: in the qama text format,
// layers of first-version QAMA, which has no factors, as qubo.
#pragma once

#include <cstdint>
#include <string>

#include "hal/base/result.h"
#include "hal/text/problem_file.h"
#include "runtime/engine/hooks.h"

namespace qama::cli {

/// A layer in factor form: the engine's factors times sqrt(|scale_t|), and a last column
/// sqrt(|shift_t|) where a head has a shift; the signs of both go into the columns' signs. Only of
/// a layer that has factors.
[[nodiscard]] hal::QamaLayer to_factors(const runtime::LayerProblem& layer, std::string name);

class ProblemRecorder final : public runtime::ProblemSink {
 public:
  /// Writes at most `most` layers as DIRECTORY/STEM_SAMPLE_BLOCK.txt (.qubo without factors);
  /// STEM's odd characters become '-'.
  ProblemRecorder(std::string directory, std::string stem, std::int64_t most);

  /// Makes the directory. IO_ERROR.
  Status prepare() const;
  void problem(const runtime::LayerProblem& layer) override;

  [[nodiscard]] bool full() const noexcept { return written_ >= most_ || !status_.ok(); }
  [[nodiscard]] std::int64_t written() const noexcept { return written_; }
  /// IO_ERROR of the first file that could not be written.
  [[nodiscard]] const Status& status() const noexcept { return status_; }

 private:
  std::string directory_;
  std::string stem_;
  std::int64_t most_;
  std::int64_t written_ = 0;
  Status status_;
};

}  // namespace qama::cli
