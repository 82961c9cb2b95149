// The step between an attention kind's front end and what follows its spins: a device solves the
// layer. Every kind that anneals uses it, and SelectionRecord to show a recorder the answer.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "runtime/engine/step.h"

namespace qama::runtime {

/// run.problem -> spins.
class SolveStep final : public Step {
 public:
  /// `spins` [heads][words_per_head]; `layer`: how many QAMA layers stand before it; `blocks`: how
  /// many the plan has; `tokens`: the model's N times spins a token.
  SolveStep(StepInfo step_info, Region<std::uint64_t> spins, std::size_t layer, std::int32_t blocks,
            std::int64_t tokens)
      : Step(std::move(step_info)),
        spins_(spins),
        layer_(layer),
        blocks_(blocks),
        tokens_(tokens) {}
  Status run(SampleRun& run) const override;
  Status finish(SampleRun& run) const override;

 private:
  [[nodiscard]] std::span<std::uint64_t> spins_of(const SampleRun& run) const noexcept;
  void force(SampleRun& run, std::span<const std::uint8_t> layer, LayerSolve& out) const;
  Status submit(SampleRun& run, LayerSolve& out) const;

  Region<std::uint64_t> spins_;
  std::size_t layer_;
  std::int32_t blocks_;
  std::int64_t tokens_;
};

/// Shows a layer's spins and energies to a recorder, out of the padded form. Recording is for
/// looking, not for production: it allocates.
class SelectionRecord {
 public:
  /// `tokens`: the model's N; `bits`: spins a token.
  SelectionRecord(std::int32_t block, std::int64_t heads, std::int64_t tokens, std::int64_t bits)
      : spins_name_("block." + std::to_string(block) + ".spins"),
        energies_name_("block." + std::to_string(block) + ".energies"),
        heads_(heads),
        tokens_(tokens),
        bits_(bits) {}
  /// `spins` [heads][words_per_head(run.count bits)]; head t's energies begin at t * stride.
  void show(const SampleRun& run, const std::uint64_t* spins, const double* energies,
            std::int64_t stride) const;

 private:
  std::string spins_name_, energies_name_;
  std::int64_t heads_, tokens_, bits_;
};

}  // namespace qama::runtime
