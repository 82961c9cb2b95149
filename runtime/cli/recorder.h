// What becomes of the layers that a session is about to solve. ProblemRecorder writes them as files
// (hal/text): in the qama text format, layers of first-version QAMA, which has no factors, as qubo.
// LayerCollector keeps them as integers, for `qama tune`.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "hal/base/aligned.h"
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
  /// STEM's odd characters become '-'. `inputs` are words that name files which are not written
  /// over.
  ProblemRecorder(std::string directory, std::string stem, std::int64_t most,
                  std::vector<std::string> inputs = {});

  /// Makes the directory. IO_ERROR.
  Status prepare() const;
  void problem(const runtime::LayerProblem& layer) override;

  [[nodiscard]] bool full() const noexcept { return written_ >= most_ || !status_.ok(); }
  [[nodiscard]] std::int64_t written() const noexcept { return written_; }
  /// IO_ERROR of the first file that could not be written, USAGE of one that is an input.
  [[nodiscard]] const Status& status() const noexcept { return status_; }

 private:
  std::string directory_;
  std::string stem_;
  std::int64_t most_;
  std::vector<std::string> inputs_;
  std::int64_t written_ = 0;
  Status status_;
};

/// A recorded layer with its memory.
struct RecordedLayer {
  hal::DenseView problem;  ///< views the next two
  AlignedBuffer<std::int16_t> couplings, fields;
};

/// Keeps up to `most` layers of each block that go by.
class LayerCollector final : public runtime::ProblemSink {
 public:
  LayerCollector(std::int32_t blocks, std::int64_t most)
      : layers(static_cast<std::size_t>(blocks)), most_(static_cast<std::size_t>(most)) {}
  void problem(const runtime::LayerProblem& layer) override;

  std::vector<std::vector<RecordedLayer>> layers;  ///< [block]

 private:
  std::size_t most_;
};

}  // namespace qama::cli
