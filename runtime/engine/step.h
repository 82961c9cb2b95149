// Step: one thing that is done to every sample, in the order of the plan. A step is immutable and
// holds its operator with the weights; what changes while a sample runs is in the worker's Lane and
// in SampleRun. Most steps are a function and the memory that it gets (FunctionStep); the families
// of steps are in steps/ and attention/. Internal to the engine.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "hal/device.h"
#include "hal/platform/thread_pool.h"
#include "ops/attention/workspace.h"
#include "ops/linear.h"
#include "runtime/engine/hooks.h"
#include "runtime/engine/info.h"

namespace qama::runtime {

/// One sample's memory on its way through the steps, and what is tied to it. A worker has in_flight
/// of them.
struct Lane {
  std::vector<std::byte*> regions;  ///< one an arena region
  /// [linear layer][number of rows][share of them]
  std::vector<std::vector<std::vector<ops::LinearCall>>> linears;
  hal::Solver* solver = nullptr;          ///< the worker's; null without QAMA layers
  hal::Solver* factors_solver = nullptr;  ///< the worker's; null unless some layers are on factors
  std::int32_t slot = 0;                  ///< of the solver, this lane's own
};

/// What a session's solves have in common.
struct SolveSettings {
  std::vector<hal::Schedule> layers;  ///< one a QAMA layer
  std::uint64_t seed = 0;
};

/// One sample on its way. The session fills it, the steps read it.
struct SampleRun {
  Lane* lane = nullptr;
  const SolveSettings* settings = nullptr;
  const Hooks* hooks = nullptr;
  platform::ThreadPool* team = nullptr;  ///< the threads that work on this sample
  LayerSolve* solves = nullptr;          ///< [qama layers]
  const std::uint8_t* pixels = nullptr;  ///< exactly one of these three is set
  const float* floats = nullptr;         ///< an image's, or features
  const std::int32_t* tokens = nullptr;
  float* logits = nullptr;  ///< [classes]
  std::int32_t sample = 0;
  std::uint64_t index = 0;
  std::int64_t deadline_ns = 0;  ///< of the steady clock; 0: none
  std::int64_t count = 0;        ///< tokens of this sample, after pooling
  std::size_t variant = 0;       ///< which number of rows the linear layers run
  std::int64_t rows = 0;         ///< that number, >= count
  bool waiting = false;          ///< a step was started whose finish() is due
  hal::Problem problem;          ///< of the layer at hand
};

/// Calls body(share, thread) for every share 0 .. count - 1 on the sample's threads, and returns
/// when all are done. What a share is must follow from the shape alone, so that the answer does not
/// depend on the number of threads. Allocates nothing.
template <typename Body>
void share_out(const SampleRun& run, std::int32_t count, Body body) {
  run.team->run(
      count,
      [](void* context, std::int32_t share, std::int32_t thread) {
        (*static_cast<Body*>(context))(share, thread);
      },
      &body);
}

/// Rows first .. first + count - 1.
struct RowShare {
  std::int64_t first = 0, count = 0;
};
/// Share number `share` of `shares` of some rows; all but the last are multiples of `unit` rows.
[[nodiscard]] constexpr RowShare row_share(std::int64_t rows, std::int64_t shares,
                                           std::int64_t share, std::int64_t unit = 1) noexcept {
  const std::int64_t each = (rows + shares * unit - 1) / (shares * unit) * unit;
  const std::int64_t first = share * each < rows ? share * each : rows;
  return {first, first + each < rows ? each : rows - first};
}
/// How many shares rows are worth that cost `macs` multiply-adds together: a power of two, so many
/// that threads have enough to do, so few that a share is far more than the way to its thread.
[[nodiscard]] constexpr std::int32_t shares_of(std::int64_t rows, std::int64_t macs) noexcept {
  // A product over fewer rows takes up to a tenth longer a row. [measured: oneDNN, AVX-512]
  constexpr std::int64_t kLeastRows = 96;
  constexpr std::int64_t kLeastMacs = 3'500'000;
  std::int32_t shares = 1;
  while (shares < 8 && rows / (2 * shares) >= kLeastRows && macs / (2 * shares) >= kLeastMacs) {
    shares *= 2;
  }
  return shares;
}

/// Nanoseconds of the steady clock.
[[nodiscard]] std::int64_t now_ns() noexcept;

/// A region of every lane, as elements of one type.
template <typename T>
struct Region {
  std::size_t id = 0;
  [[nodiscard]] T* in(const Lane& lane) const noexcept {
    return reinterpret_cast<T*>(lane.regions[id]);
  }
  template <typename Visitor>
  void each(Visitor&& visit) const {
    visit(id);
  }
};

/// The regions of an operator's workspace (ops/attention/workspace.h), one a row of its table.
template <const auto& table>
struct WorkspaceRegions {
  std::array<std::size_t, ops::kPieces<table>> ids{};

  /// What one part of the layer uses: in() leaves the pointers to all other pieces null.
  template <unsigned part>
  struct Part {
    std::array<std::size_t, ops::kPieces<table>> ids{};
    [[nodiscard]] ops::WorkspaceOf<table> in(const Lane& lane) const noexcept {
      ops::WorkspaceOf<table> out;
      visit_used([&](std::size_t i, const auto& row) {
        using Element = typename std::remove_cvref_t<decltype(row)>::Element;
        out.*row.pointer = reinterpret_cast<Element*>(lane.regions[ids[i]]);
      });
      return out;
    }
    template <typename Visitor>
    void each(Visitor&& visit) const {
      visit_used([&](std::size_t i, const auto& /*row*/) { visit(ids[i]); });
    }

   private:
    template <typename Visitor>
    static void visit_used(Visitor&& visit) {
      ops::for_each_piece<table>([&]<std::size_t i, typename Row>(const Row& row) {
        if constexpr ((std::get<i>(table).parts & part) != 0) visit(i, row);
      });
    }
  };
  template <unsigned part>
  [[nodiscard]] Part<part> of() const noexcept {
    return {ids};
  }

  /// The region behind one pointer of the workspace.
  template <typename T>
  [[nodiscard]] Region<T> at(T* ops::WorkspaceOf<table>::*pointer) const noexcept {
    Region<T> out;
    ops::for_each_piece<table>([&]<std::size_t i, typename Row>(const Row& row) {
      if constexpr (std::is_same_v<typename Row::Element, T>) {
        if (row.pointer == pointer) out.id = ids[i];
      }
    });
    return out;
  }
};

/// An intermediate that a recorder gets after the step.
struct Tap {
  std::string name;
  Region<float> region;
  std::int64_t dim = 0;
  bool per_token = true;  ///< [N][dim], else [dim]
};

class Step {
 public:
  explicit Step(StepInfo step_info) : info(std::move(step_info)) {}
  virtual ~Step() = default;
  Step(const Step&) = delete;
  Step& operator=(const Step&) = delete;

  /// Allocates nothing unless it fails. A step that asks somebody else and would wait for the
  /// answer may set `run.waiting` and return: finish() then ends it, and the worker has time for
  /// other samples between.
  virtual Status run(SampleRun& run) const = 0;
  /// What is left of a step that set `run.waiting`.
  virtual Status finish(SampleRun& /*run*/) const { return {}; }

  StepInfo info;
  std::vector<Tap> taps;
};

/// A step that calls `body(run, memory...)`, which returns nothing or a Status. `Memory`: Regions
/// and parts of workspaces; the body gets pointers and workspaces in their place.
template <typename Body, typename... Memory>
class FunctionStep final : public Step {
 public:
  FunctionStep(StepInfo step_info, Body body, Memory... memory)
      : Step(std::move(step_info)), body_(std::move(body)), memory_(memory...) {}
  Status run(SampleRun& run) const override {
    return std::apply(
        [&](const Memory&... memory) -> Status {
          if constexpr (std::is_void_v<decltype(body_(run, memory.in(*run.lane)...))>) {
            body_(run, memory.in(*run.lane)...);
            return {};
          } else {
            return body_(run, memory.in(*run.lane)...);
          }
        },
        memory_);
  }

 private:
  Body body_;
  std::tuple<Memory...> memory_;
};

}  // namespace qama::runtime
