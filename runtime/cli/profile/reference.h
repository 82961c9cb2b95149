// The best known energy of a run's layers, and their size as jobs of an Ising machine.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "hal/device.h"
#include "hal/job_size.h"
#include "runtime/cli/profile/profile.h"
#include "runtime/engine/hooks.h"
#include "weights/architecture.h"

namespace qama::cli {

/// Finds the best known energy of every layer that goes by (hal/search/best_known.h), and takes the
/// layer's size on a machine's link.
class Reference final : public runtime::ProblemSink {
 public:
  /// Null if the model's layers are too large for it.
  static Result<std::unique_ptr<Reference>> create(const weights::Architecture& a);

  void problem(const runtime::LayerProblem& layer) override;
  [[nodiscard]] const Status& status() const noexcept { return status_; }

  [[nodiscard]] MachineJob job() const;

  struct Best {
    std::int32_t block = 0;
    std::int64_t energy = 0;
  };
  std::vector<Best> energies;  ///< of the layers that went by; the caller clears it

 private:
  Reference() = default;
  std::shared_ptr<hal::Device> device_;
  std::unique_ptr<hal::JobGauge> gauge_;
  std::string why_not_;
  Status status_;
};

}  // namespace qama::cli
