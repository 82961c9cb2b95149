#include "runtime/cli/release/self_test.h"

#include <array>
#include <map>

#include "hal/base/aligned.h"
#include "hal/base/random.h"
#include "hal/platform/sha256.h"
#include "hal/solver.h"

namespace qama::cli {
namespace {

using hal::Form;
using hal::ProblemShape;

struct TestLayer {
  const char* name;
  Form form;
  ProblemShape shape;
  std::int32_t largest;  ///< coupling; small enough for sums of 16 bits
  hal::Schedule schedule;
};

hal::Schedule schedule_of(std::int32_t sweeps, std::int32_t restarts, std::int32_t rounds = 0) {
  hal::Schedule out;
  out.sweeps = sweeps;
  out.restarts = restarts;
  out.rounds = rounds;
  return out;
}

constexpr std::int32_t kRank = 64;

const std::array<TestLayer, 6>& test_layers() {
  static const std::array<TestLayer, 6> all = {{
      // As the shipped models have it.
      {"dense-8x49", Form::dense, {8, 49}, 300, schedule_of(2, 4)},
      {"dense-5x33-rounds", Form::dense, {5, 33}, 300, schedule_of(6, 7, 2)},
      {"dense-1x512", Form::dense, {1, 512}, 60, schedule_of(4, 9)},
      {"planes-1x200", Form::planes, {1, 200}, 1, schedule_of(12, 5)},
      {"sparse-1x1000", Form::sparse, {1, 1000}, 9, schedule_of(6, 20)},
      {"factors-2x300", Form::factors, {2, 300}, 1024, schedule_of(5, 2)},
  }};
  return all;
}

/// A layer with its memory.
class OwnedLayer {
 public:
  OwnedLayer(const TestLayer& layer, std::uint64_t seed) : layer_(layer), random_(seed) {
    if (layer.form == Form::factors) {
      make_factors();
    } else if (layer.form == Form::sparse) {
      make_sparse();
    } else {
      make_dense();
    }
  }
  [[nodiscard]] const hal::Problem& problem() const { return problem_; }

 private:
  /// -most .. most.
  std::int16_t number(std::int32_t most) {
    const auto span = static_cast<std::uint64_t>(2 * most + 1);
    return static_cast<std::int16_t>(static_cast<std::int32_t>(random_.next() % span) - most);
  }
  /// A coupling; of planes one of two values.
  std::int16_t coupling() {
    return layer_.form == Form::planes ? static_cast<std::int16_t>(random_.next() % 2 == 0 ? 1 : -1)
                                       : number(layer_.largest);
  }

  void make_dense() {
    const auto heads = static_cast<std::size_t>(layer_.shape.heads);
    const auto tokens = static_cast<std::size_t>(layer_.shape.tokens);
    const auto stride = static_cast<std::size_t>(hal::row_stride(layer_.shape.tokens));
    couplings_.resize(heads * tokens * stride);
    fields_.resize(heads * stride);
    for (std::size_t t = 0; t < heads; ++t) {
      std::int16_t* head = couplings_.data() + t * tokens * stride;
      for (std::size_t i = 0; i < tokens; ++i) {
        for (std::size_t j = 0; j < i; ++j)
          head[i * stride + j] = head[j * stride + i] = coupling();
        fields_[t * stride + i] = number(50);
      }
    }
    hal::DenseView view;
    view.shape = layer_.shape;
    view.couplings = couplings_.data();
    view.fields = fields_.data();
    view.penalty = static_cast<std::int16_t>(layer_.shape.heads > 1 ? 40 : 0);
    problem_ = view;
  }

  void make_sparse() {
    constexpr int kLinks = 4;  // that each spin adds
    const auto spins = static_cast<std::size_t>(layer_.shape.tokens);
    std::vector<std::map<std::int32_t, std::int16_t>> rows(spins);
    for (std::size_t i = 0; i < spins; ++i) {
      for (int k = 0; k < kLinks; ++k) {
        const auto j = static_cast<std::size_t>((i + 1 + random_.next() % (spins - 1)) % spins);
        const auto value = static_cast<std::int16_t>(number(layer_.largest) | 1);
        rows[i][static_cast<std::int32_t>(j)] = rows[j][static_cast<std::int32_t>(i)] = value;
      }
    }
    fields_.resize(static_cast<std::size_t>(hal::row_stride(layer_.shape.tokens)));
    first_.push_back(0);
    for (std::size_t i = 0; i < spins; ++i) {
      for (const auto& [spin, value] : rows[i]) neighbours_.push_back({spin, value});
      first_.push_back(static_cast<std::int64_t>(neighbours_.size()));
      fields_[i] = number(20);
    }
    hal::SparseView view;
    view.spins = layer_.shape.tokens;
    view.first = first_.data();
    view.neighbours = neighbours_.data();
    view.count = first_.back();
    view.fields = fields_.data();
    problem_ = view;
  }

  void make_factors() {
    const auto fraction = [this] { return static_cast<float>(number(layer_.largest)) / 1024.0F; };
    const auto spins = static_cast<std::size_t>(layer_.shape.spins());
    floats_.resize(spins * (kRank + 1));
    for (std::size_t i = 0; i < spins * kRank; ++i) floats_[i] = fraction();
    for (std::size_t i = 0; i < spins; ++i) floats_[spins * kRank + i] = 8 * fraction();
    hal::FactorsView view;
    view.shape = layer_.shape;
    view.rank = kRank;
    view.left = view.right = floats_.data();
    view.fields = floats_.data() + spins * kRank;
    view.penalty = 0.5F;
    problem_ = view;
  }

  const TestLayer& layer_;
  SplitMix64 random_;
  hal::Problem problem_;
  AlignedBuffer<std::int16_t> couplings_, fields_;
  std::vector<std::int64_t> first_;
  std::vector<hal::Neighbour> neighbours_;
  AlignedBuffer<float> floats_;
};

}  // namespace

std::vector<std::string> self_test_layers() {
  std::vector<std::string> out;
  for (const TestLayer& layer : test_layers()) out.emplace_back(layer.name);
  return out;
}

Result<std::string> self_test_spins(hal::Device& device, std::size_t index) {
  const TestLayer& layer = test_layers()[index];
  const OwnedLayer owned(layer, index);
  // A device packs planes by itself.
  const Form form = layer.form == Form::planes ? Form::dense : layer.form;
  QAMA_ASSIGN_OR_RETURN(const auto solver,
                        device.compile({layer.shape, form, form == Form::factors ? kRank : 0}));
  std::vector<std::uint64_t> spins(
      static_cast<std::size_t>(layer.shape.heads * hal::words_per_head(layer.shape.tokens)));
  hal::SolveOptions options;
  options.seed = solve_seed(1, index, 0);
  options.schedule = layer.schedule;
  hal::SolveResult result;
  QAMA_RETURN_IF_ERROR(solver->solve(owned.problem(), options, spins, result));
  spins.push_back(static_cast<std::uint64_t>(result.flips));
  if (form != Form::factors) spins.push_back(static_cast<std::uint64_t>(result.energy));
  return platform::sha256_hex(std::as_bytes(std::span(spins)));
}

}  // namespace qama::cli
