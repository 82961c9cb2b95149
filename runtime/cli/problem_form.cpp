#include "runtime/cli/problem_form.h"

#include <algorithm>
#include <type_traits>
#include <utility>

#include "hal/base/quote.h"

namespace qama::cli {
namespace {

// What the three forms call what they have in common.
const hal::DenseView& problem_of(const hal::DenseBuild& build) {
  return build.buffer.problem();
}
const hal::SparseView& problem_of(const hal::SparseBuild& build) {
  return build.problem;
}
const hal::FactorsView& problem_of(const hal::FactorsBuild& build) {
  return build.problem;
}

auto compile_for(hal::Device& device, const hal::DenseView& problem) {
  return device.compile(problem.shape);
}
auto compile_for(hal::Device& device, const hal::SparseView& problem) {
  return device.compile_sparse(problem.spins);
}
auto compile_for(hal::Device& device, const hal::FactorsView& problem) {
  return device.compile_factors(problem.shape, problem.rank);
}

template <class Problem>
Status check_energy(const hal::Device& device, const Problem& problem,
                    std::span<const std::uint64_t> spins, std::int64_t claimed) {
  const std::int64_t energy = hal::energy_of(problem, spins);
  if (energy == claimed) return {};
  return Error{ErrorCode::device_bad_answer,
               "device " + quote(device.info().uri) + " answered with energy " +
                   std::to_string(claimed) + ", its spins have " + std::to_string(energy)};
}
/// Energies on factors are real; what is printed is computed in the file's own numbers.
Status check_energy(const hal::Device& /*device*/, const hal::FactorsView& /*problem*/,
                    std::span<const std::uint64_t> /*spins*/, std::int64_t /*claimed*/) {
  return {};
}

template <class Build>
class FormOf final : public ProblemForm {
 public:
  static Result<std::unique_ptr<ProblemForm>> create(Result<Build> build) {
    if (!build.ok()) return build.error();
    auto out = std::make_unique<FormOf>();
    out->build_ = std::move(*build);
    out->decode = out->build_.decode;
    return std::unique_ptr<ProblemForm>(std::move(out));
  }
  Result<std::unique_ptr<FormSolver>> compile(hal::Device& device) const override {
    QAMA_ASSIGN_OR_RETURN(auto solver, compile_for(device, problem_of(build_)));
    return std::unique_ptr<FormSolver>(
        std::make_unique<SolverOf>(device, problem_of(build_), std::move(solver)));
  }

 private:
  using Problem = std::remove_cvref_t<decltype(problem_of(std::declval<const Build&>()))>;
  using DeviceSolver = std::remove_cvref_t<decltype(*compile_for(std::declval<hal::Device&>(),
                                                                 std::declval<const Problem&>()))>;

  class SolverOf final : public FormSolver {
   public:
    SolverOf(const hal::Device& device, const Problem& problem, DeviceSolver solver)
        : device_(device), problem_(problem), solver_(std::move(solver)) {}
    Status solve(const hal::SolveOptions& options, std::span<std::uint64_t> spins,
                 hal::SolveResult& result) override {
      QAMA_RETURN_IF_ERROR(solver_->solve(problem_, options, spins, result));
      return check_energy(device_, problem_, spins, result.energy);
    }

   private:
    const hal::Device& device_;
    const Problem& problem_;
    DeviceSolver solver_;
  };

  Build build_;
};

constexpr const char* kMatrix = "matrix";
constexpr const char* kNeighbours = "neighbours";
constexpr const char* kFactors = "factors";

// Measured (bench/README.md). Spins of a single head from which factors are faster than making its
// matrix:
constexpr std::int32_t kFactorTokens = 2048;
/// Neighbours of a spin, on average, up to which rows of them are faster than bit planes; with more
/// than two weights, than 16-bit numbers.
constexpr std::int64_t kMostNeighbours = 64;
constexpr std::int64_t most_weighted_neighbours(std::int64_t spins) {
  return std::max(kMostNeighbours, spins / 8);
}
/// Restarts from which that holds, because they are annealed side by side; and spins from which it
/// always does.
constexpr std::int64_t kFewestRestarts = 16;
constexpr std::int32_t kAlwaysNeighbours = 4096;

/// At most two weights: what few-valued problems may have whose other couplings are 0
/// (hal/cpu/planes/planes.h).
bool few_weights(const hal::EdgeList& graph) {
  double values[2] = {0, 0};
  for (const hal::Edge& edge : graph.edges) {
    if (edge.weight == 0 || edge.weight == values[0] || edge.weight == values[1] ||
        edge.first == edge.second)
      continue;
    if (values[1] != 0) return false;
    values[values[0] == 0 ? 0 : 1] = edge.weight;
  }
  return true;
}

bool neighbours_win(const hal::EdgeList& graph, std::int64_t restarts) {
  if (graph.size > hal::kMaxDenseTokens) return true;
  if (restarts < kFewestRestarts && graph.size < kAlwaysNeighbours) return false;
  const std::int64_t most =
      few_weights(graph) ? kMostNeighbours : most_weighted_neighbours(graph.size);
  return 2 * static_cast<std::int64_t>(graph.edges.size()) <= most * graph.size;
}

std::string fastest_form(const hal::ProblemFile& file, hal::Device& device,
                         const FormRequest& request) {
  if (request.rounds > 0) return kMatrix;
  if (file.kind != hal::ProblemKind::qama) {
    return neighbours_win(file.graph, request.restarts) && device.compile_sparse(1).ok()
               ? kNeighbours
               : kMatrix;
  }
  const bool wins = file.layer.heads == 1 ? file.layer.tokens >= kFactorTokens
                                          : file.layer.tokens > hal::kMaxDenseTokens;
  return wins && file.layer.rank <= hal::kMaxRankLimit && device.compile_factors({1, 1}, 1).ok()
             ? kFactors
             : kMatrix;
}

}  // namespace

std::vector<std::string> form_names() {
  return {kMatrix, kNeighbours, kFactors};
}

Result<std::unique_ptr<ProblemForm>> make_form(const hal::ProblemFile& file, hal::Device& device,
                                               const FormRequest& request) {
  const std::string name =
      request.form.empty() ? fastest_form(file, device, request) : request.form;
  if (name == kMatrix) {
    QAMA_RETURN_IF_ERROR(device.supports(file.shape()));
  } else {
    const bool layer = file.kind == hal::ProblemKind::qama;
    if ((name == kFactors) != layer) {
      return Error{ErrorCode::invalid_argument,
                   "form '" + name + "' of a " + std::string(hal::name_of(file.kind)) +
                       " problem, expected 'matrix' or '" + (layer ? kFactors : kNeighbours) + "'"};
    }
    if (request.rounds > 0) {
      return Error{ErrorCode::invalid_argument, "form '" + name + "' with " +
                                                    std::to_string(request.rounds) +
                                                    " rounds, expected form 'matrix'"};
    }
  }
  Result<std::unique_ptr<ProblemForm>> out =
      name == kMatrix       ? FormOf<hal::DenseBuild>::create(hal::to_dense(file))
      : name == kNeighbours ? FormOf<hal::SparseBuild>::create(hal::to_sparse(file))
                            : FormOf<hal::FactorsBuild>::create(hal::to_factors(file));
  if (out.ok()) (*out)->name = name;
  return out;
}

}  // namespace qama::cli
