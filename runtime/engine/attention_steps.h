// The steps of an attention layer. A new kind of attention is a class here, or three as QAMA has:
// what comes before the device, the device, and what comes after it are timed apart. Internal to
// the engine.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "ops/attention/mixing.h"
#include "ops/attention/qama.h"
#include "ops/attention/qama_factors.h"
#include "ops/attention/qama_v1.h"
#include "ops/attention/softmax.h"
#include "runtime/engine/step.h"

namespace qama::runtime {

/// Regions of a lane that hold an ops::QamaWorkspace.
struct QamaRegions {
  std::size_t factors, fields, coefficients, weights, biases, couplings, scratch, spins, energies,
      project;
  std::int64_t heads = 0;
  [[nodiscard]] ops::QamaWorkspace in(const Lane& lane) const noexcept;
};

/// Regions of a lane that hold an ops::QamaFactorsWorkspace, for samples of at least `from` tokens.
struct QamaFactorsRegions {
  std::size_t factors, fields, constants, scratch;
  std::int64_t from = 0;
  [[nodiscard]] ops::QamaFactorsWorkspace in(const Lane& lane) const noexcept;
};

class SoftmaxStep final : public Step {
 public:
  SoftmaxStep(StepInfo step_info, ops::SoftmaxAttention op, std::size_t qkv, std::size_t out,
              std::size_t scratch)
      : Step(std::move(step_info)), op_(op), qkv_(qkv), out_(out), scratch_(scratch) {}
  Status run(SampleRun& run) const override;

 private:
  ops::SoftmaxAttention op_;
  std::size_t qkv_, out_, scratch_;
};

class MixingStep final : public Step {
 public:
  MixingStep(StepInfo step_info, std::unique_ptr<ops::MixingAttention> op, std::size_t qkv,
             std::size_t out, std::size_t scratch)
      : Step(std::move(step_info)), op_(std::move(op)), qkv_(qkv), out_(out), scratch_(scratch) {}
  Status run(SampleRun& run) const override;

 private:
  std::unique_ptr<ops::MixingAttention> op_;
  std::size_t qkv_, out_, scratch_;
};

/// q, k, h -> integers, or of long heads (if the plan has any) factors.
class QamaProblemStep final : public Step {
 public:
  QamaProblemStep(StepInfo step_info, std::shared_ptr<const ops::QamaAttention> op,
                  QamaRegions regions, std::optional<QamaFactorsRegions> factors_regions,
                  std::size_t qkh, std::int32_t layer)
      : Step(std::move(step_info)),
        op_(std::move(op)),
        regions_(regions),
        factors_regions_(factors_regions),
        qkh_(qkh),
        layer_(layer) {}
  Status run(SampleRun& run) const override;

 private:
  void show(const SampleRun& run, const ops::QamaWorkspace& workspace) const;

  std::shared_ptr<const ops::QamaAttention> op_;
  QamaRegions regions_;
  std::optional<QamaFactorsRegions> factors_regions_;
  std::size_t qkh_;
  std::int32_t layer_;
};

/// Integers or factors -> spins, by a device.
class QamaSolveStep final : public Step {
 public:
  QamaSolveStep(StepInfo step_info, std::size_t spins, std::int32_t layer, std::int32_t layers,
                std::int64_t tokens)
      : Step(std::move(step_info)),
        spins_(spins),
        layer_(layer),
        layers_(layers),
        tokens_(tokens) {}
  Status run(SampleRun& run) const override;
  Status finish(SampleRun& run) const override;

 private:
  [[nodiscard]] std::span<std::uint64_t> spins_of(const SampleRun& run) const noexcept;
  void force(SampleRun& run, std::span<const std::uint8_t> layer, LayerSolve& out) const;
  Status submit(SampleRun& run, LayerSolve& out) const;

  std::size_t spins_;
  std::int32_t layer_, layers_;
  std::int64_t tokens_;  // the model's N
};

/// Regions of a lane that hold an ops::QamaV1Workspace.
struct QamaV1Regions {
  std::size_t couplings, fields, entropies, shares, selected, weights, biases, spins, energies;
  [[nodiscard]] ops::QamaV1Workspace in(const Lane& lane) const noexcept;
};

/// First-version QAMA: q, k, v -> integers.
class QamaV1ProblemStep final : public Step {
 public:
  QamaV1ProblemStep(StepInfo step_info, std::shared_ptr<const ops::QamaV1Attention> op,
                    QamaV1Regions regions, std::size_t qkv)
      : Step(std::move(step_info)), op_(std::move(op)), regions_(regions), qkv_(qkv) {}
  Status run(SampleRun& run) const override;

 private:
  std::shared_ptr<const ops::QamaV1Attention> op_;
  QamaV1Regions regions_;
  std::size_t qkv_;
};

/// First-version QAMA: spins -> energies -> what the output projection takes.
class QamaV1EnergyStep final : public Step {
 public:
  QamaV1EnergyStep(StepInfo step_info, std::shared_ptr<const ops::QamaV1Attention> op,
                   QamaV1Regions regions, std::size_t out, std::int64_t tokens)
      : Step(std::move(step_info)),
        op_(std::move(op)),
        regions_(regions),
        out_(out),
        tokens_(tokens) {}
  Status run(SampleRun& run) const override;

 private:
  void record(const SampleRun& run, const ops::QamaV1Workspace& workspace) const;

  std::shared_ptr<const ops::QamaV1Attention> op_;
  QamaV1Regions regions_;
  std::size_t out_;
  std::int64_t tokens_;
};

/// Spins -> energies -> the layer's output.
class QamaEnergyStep final : public Step {
 public:
  QamaEnergyStep(StepInfo step_info, std::shared_ptr<const ops::QamaAttention> op,
                 QamaRegions regions, std::optional<QamaFactorsRegions> factors_regions,
                 std::size_t out, std::int64_t dim, std::int64_t tokens, std::int32_t layer);
  Status run(SampleRun& run) const override;

 private:
  void record(const SampleRun& run, const ops::QamaWorkspace& workspace) const;

  std::shared_ptr<const ops::QamaAttention> op_;
  QamaRegions regions_;
  std::optional<QamaFactorsRegions> factors_regions_;
  std::size_t out_;
  std::int64_t dim_, tokens_;
  std::string spins_name_, energies_name_;
};

}  // namespace qama::runtime
