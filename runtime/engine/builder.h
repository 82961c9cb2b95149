// Builder: what a family of steps needs to add itself to a pipeline: the model's weights, regions
// of the arena, the residual stream. A step names its memory once, where it is added: from that
// follow the pointers that it gets and how long each region lives. Internal to the engine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "hal/base/aligned.h"
#include "hal/base/result.h"
#include "ops/layer_norm.h"
#include "ops/linear.h"
#include "runtime/engine/arena_layout.h"
#include "runtime/engine/model.h"
#include "runtime/engine/pipeline.h"
#include "runtime/engine/step.h"

namespace qama::runtime {

/// A linear layer to be added.
struct LinearUse {
  std::string name;
  std::int32_t block = -1;
  /// The model's tensors: `tensor`.weight and, with `bias`, `tensor`.bias.
  std::string tensor = {};
  bool bias = false;
  std::span<const float> weights = {};  ///< in place of the model's, which follow from `tensor`
  std::span<const float> biases = {};   ///< with `weights`
  bool int8 = false;                    ///< with `weights`: products in int8
  std::int64_t in = 0, out = 0;
  Region<float> from, to;
  ops::Activation activation = ops::Activation::none;
  std::vector<std::int64_t> rows = {};  ///< numbers of rows that run; empty: the plan's
};

/// What a linear layer was made of.
struct MadeLinear {
  std::string tensor;  ///< as LinearUse says
  std::int64_t in = 0, out = 0;
  std::span<const float> floats;  ///< [out][in], or:
  ops::Int8Weights int8;
  std::span<const float> bias;  ///< [out] or empty
};

class Builder {
 public:
  /// `factors`: layers may be solved on factors; `sample_threads`: that work on a sample.
  Builder(const Model& model, bool factors, std::int32_t sample_threads, Pipeline& pipeline);
  /// Makes what all steps share. First of all.
  Status start();
  /// Lays the arena out. Last of all.
  Status finish();

  [[nodiscard]] const Model& model() const noexcept { return model_; }
  [[nodiscard]] const weights::Architecture& architecture() const noexcept {
    return model_.architecture();
  }
  [[nodiscard]] bool factors() const noexcept { return factors_; }
  [[nodiscard]] std::int32_t sample_threads() const noexcept { return sample_threads_; }
  [[nodiscard]] Pipeline& pipeline() noexcept { return pipeline_; }

  /// Memory is worth more than time, as on a board (QamaFrontSpec::spares_memory).
  bool spares_memory = false;

  /// Sees every linear layer that is made, for those who write weights (weights/flash.h).
  std::function<void(const MadeLinear&)> on_linear;

  /// [N][dim] each: the residual stream, its norm, and what a block adds to the stream.
  Region<float> x, normed, delta;

  // -- weights

  /// A tensor's floats; valid until forget_weights(), at most as long as the builder.
  [[nodiscard]] Result<std::span<const float>> weight(const std::string& name) const;
  /// The same for steps to keep: a copy that lives as long as the pipeline. With spares_memory the
  /// model's own floats, if it has them as such; the model's memory then outlives the pipeline.
  [[nodiscard]] Result<std::span<const float>> constant(const std::string& name);
  void forget_weights() noexcept { widened_.clear(); }
  Result<ops::LayerNorm> layer_norm(const std::string& tensor,
                                    std::optional<double> eps = std::nullopt);

  // -- memory

  template <typename T = float>
  Result<Region<T>> region(std::string name, std::initializer_list<std::int64_t> extents) {
    QAMA_ASSIGN_OR_RETURN(const std::size_t id, add_region(std::move(name), extents, sizeof(T)));
    return Region<T>{id};
  }
  template <const auto& table>
  Result<WorkspaceRegions<table>> workspace(const std::string& prefix,
                                            const ops::SizesOf<table>& sizes) {
    WorkspaceRegions<table> out;
    Status status;
    ops::for_each_piece<table>([&]<std::size_t i, typename Row>(const Row& row) {
      auto added =
          region<typename Row::Element>(prefix + std::string(row.name), {row.count(sizes)});
      if (added.ok()) {
        out.ids[i] = added->id;
      } else if (status.ok()) {
        status = added.error();
      }
    });
    if (!status.ok()) return status.error();
    return out;
  }

  // -- steps

  /// Appends a step that reads and writes `memory`.
  template <typename... Memory>
  void add_step(std::unique_ptr<Step> step, const Memory&... memory) {
    const std::size_t number = pipeline_.steps.size();
    (memory.each([&](std::size_t id) { layout_.use(id, number); }), ...);
    pipeline_.steps.push_back(std::move(step));
  }
  /// Appends a step that calls body(run, memory...); see FunctionStep.
  template <typename Body, typename... Memory>
  void add(StepInfo info, Body body, const Memory&... memory) {
    add_step(std::make_unique<FunctionStep<Body, Memory...>>(std::move(info), std::move(body),
                                                             memory...),
             memory...);
  }
  Status add_linear(const LinearUse& use);
  /// Whether the model has the weights of a linear layer in panels (weights/flash.h), so that its
  /// use needs nothing but `tensor`.
  [[nodiscard]] bool in_panels(const std::string& tensor) const;
  /// `normed` = norm(`x`); what the layer before left in `delta` is added to `x` first. `tensor`
  /// empty: mean 0 and variance 1, without scale and shift.
  Status add_norm(std::string name, const std::string& tensor, std::int32_t block);
  /// `delta` waits to be added. Then a recorder gets the stream as `name`, if that is not empty.
  void leave_delta(std::string name = {});
  /// A recorder gets `region` after the step that was added last.
  void tap(std::string name, Region<float> region, std::int64_t dim, bool per_token = true);

 private:
  Result<std::unique_ptr<ops::Linear>> make_linear(const LinearUse& use,
                                                   const ops::LinearSpec& spec,
                                                   std::span<const float> bias);
  Result<std::size_t> add_region(std::string name, std::initializer_list<std::int64_t> extents,
                                 std::size_t element);

  const Model& model_;
  bool factors_;
  std::int32_t sample_threads_;
  Pipeline& pipeline_;
  ArenaLayout layout_;
  mutable std::vector<AlignedBuffer<float>> widened_;  ///< what weight() made of int8
  std::map<std::string, std::shared_ptr<const ops::Linear>>
      shared_;  ///< by tensor, of blocks that share them
  bool pending_ = false;
  std::string pending_name_;
};

/// "simd:avx512": the implementation of steps that run the fastest kernel table.
[[nodiscard]] std::string simd_name();

}  // namespace qama::runtime
