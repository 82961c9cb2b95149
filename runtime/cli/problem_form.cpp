#include "runtime/cli/problem_form.h"

#include <algorithm>

#include "runtime/base/quote.h"

namespace qama::cli {
namespace {

template <class Problem>
Status check_energy(const hal::Device& device, const Problem& problem, std::span<const std::uint64_t> spins,
                    std::int64_t claimed) {
  const std::int64_t energy = hal::energy_of(problem, spins);
  if (energy == claimed) return {};
  return Error{ErrorCode::device_bad_answer, "device " + quote(device.info().uri) + " answered with energy " +
                                                 std::to_string(claimed) + ", its spins have " +
                                                 std::to_string(energy)};
}

class MatrixForm final : public ProblemForm {
 public:
  static Result<std::unique_ptr<ProblemForm>> create(const hal::ProblemFile& file) {
    auto out = std::make_unique<MatrixForm>();
    QAMA_ASSIGN_OR_RETURN(out->build_, hal::to_selection(file));
    out->exact = out->build_.exact;
    out->fixed = out->build_.fixed;
    return std::unique_ptr<ProblemForm>(std::move(out));
  }
  Result<std::unique_ptr<FormSolver>> compile(hal::Device& device) const override {
    auto out = std::make_unique<MatrixSolver>(device, build_.buffer.problem());
    QAMA_ASSIGN_OR_RETURN(out->solver, device.compile(out->problem.shape));
    return std::unique_ptr<FormSolver>(std::move(out));
  }

 private:
  struct MatrixSolver final : FormSolver {
    MatrixSolver(const hal::Device& on, const hal::SelectionProblem& one) : device(on), problem(one) {}
    Status solve(const hal::SolveOptions& options, std::span<std::uint64_t> spins, hal::SolveResult& result) override {
      QAMA_RETURN_IF_ERROR(solver->solve(problem, options, spins, result));
      return check_energy(device, problem, spins, result.energy);
    }
    const hal::Device& device;
    const hal::SelectionProblem& problem;
    std::unique_ptr<hal::Solver> solver;
  };
  hal::SelectionBuild build_;
};

class NeighbourForm final : public ProblemForm {
 public:
  static Result<std::unique_ptr<ProblemForm>> create(const hal::ProblemFile& file) {
    auto out = std::make_unique<NeighbourForm>();
    QAMA_ASSIGN_OR_RETURN(out->build_, hal::to_sparse_selection(file));
    out->exact = out->build_.exact;
    out->fixed = out->build_.fixed;
    return std::unique_ptr<ProblemForm>(std::move(out));
  }
  Result<std::unique_ptr<FormSolver>> compile(hal::Device& device) const override {
    auto out = std::make_unique<NeighbourSolver>(device, build_.problem);
    QAMA_ASSIGN_OR_RETURN(out->solver, device.compile_sparse(out->problem.spins));
    return std::unique_ptr<FormSolver>(std::move(out));
  }

 private:
  struct NeighbourSolver final : FormSolver {
    NeighbourSolver(const hal::Device& on, const hal::SparseSelectionProblem& one) : device(on), problem(one) {}
    Status solve(const hal::SolveOptions& options, std::span<std::uint64_t> spins, hal::SolveResult& result) override {
      QAMA_RETURN_IF_ERROR(solver->solve(problem, options, spins, result));
      return check_energy(device, problem, spins, result.energy);
    }
    const hal::Device& device;
    const hal::SparseSelectionProblem& problem;
    std::unique_ptr<hal::SparseSolver> solver;
  };
  hal::SparseBuild build_;
};

/// Energies are real: what is printed is computed in the file's own numbers, and there is no integer to compare.
class FactorForm final : public ProblemForm {
 public:
  static Result<std::unique_ptr<ProblemForm>> create(const hal::ProblemFile& file) {
    auto out = std::make_unique<FactorForm>();
    QAMA_ASSIGN_OR_RETURN(out->build_, hal::to_low_rank(file.layer));
    return std::unique_ptr<ProblemForm>(std::move(out));
  }
  Result<std::unique_ptr<FormSolver>> compile(hal::Device& device) const override {
    auto out = std::make_unique<FactorSolver>(build_.problem);
    QAMA_ASSIGN_OR_RETURN(out->solver, device.compile_low_rank(out->problem.shape, out->problem.rank));
    return std::unique_ptr<FormSolver>(std::move(out));
  }

 private:
  struct FactorSolver final : FormSolver {
    explicit FactorSolver(const hal::LowRankProblem& one) : problem(one) {}
    Status solve(const hal::SolveOptions& options, std::span<std::uint64_t> spins, hal::SolveResult& result) override {
      return solver->solve(problem, options, spins, result);
    }
    const hal::LowRankProblem& problem;
    std::unique_ptr<hal::LowRankSolver> solver;
  };
  hal::LowRankBuild build_;
};

constexpr const char* kMatrix = "matrix";
constexpr const char* kNeighbours = "neighbours";
constexpr const char* kFactors = "factors";

// Measured (bench/README.md). Spins of a single head from which factors are faster than making its matrix:
constexpr std::int32_t kFactorTokens = 2048;
/// Neighbours of a spin, on average, up to which rows of them are faster than bit planes; with more than two weights, than
/// 16-bit numbers.
constexpr std::int64_t kMostNeighbours = 64;
constexpr std::int64_t most_weighted_neighbours(std::int64_t spins) { return std::max(kMostNeighbours, spins / 8); }
/// Restarts from which that holds, because they are annealed side by side; and spins from which it always does.
constexpr std::int64_t kFewestRestarts = 16;
constexpr std::int32_t kAlwaysNeighbours = 4096;

/// At most two weights: what few-valued problems may have whose other couplings are 0 (hal/cpu/planes.h).
bool few_weights(const hal::SparseProblem& graph) {
  double values[2] = {0, 0};
  for (const hal::Edge& edge : graph.edges) {
    if (edge.weight == 0 || edge.weight == values[0] || edge.weight == values[1] || edge.first == edge.second) continue;
    if (values[1] != 0) return false;
    values[values[0] == 0 ? 0 : 1] = edge.weight;
  }
  return true;
}

bool neighbours_win(const hal::SparseProblem& graph, std::int64_t restarts) {
  if (graph.size > hal::kMaxDenseTokens) return true;
  if (restarts < kFewestRestarts && graph.size < kAlwaysNeighbours) return false;
  const std::int64_t most = few_weights(graph) ? kMostNeighbours : most_weighted_neighbours(graph.size);
  return 2 * static_cast<std::int64_t>(graph.edges.size()) <= most * graph.size;
}

std::string fastest_form(const hal::ProblemFile& file, hal::Device& device, const FormRequest& request) {
  if (request.rounds > 0) return kMatrix;
  if (file.format != hal::ProblemFormat::qama) {
    return neighbours_win(file.graph, request.restarts) && device.compile_sparse(1).ok() ? kNeighbours : kMatrix;
  }
  const bool wins = file.layer.heads == 1 ? file.layer.tokens >= kFactorTokens : file.layer.tokens > hal::kMaxDenseTokens;
  return wins && file.layer.rank <= hal::kMaxRankLimit && device.compile_low_rank({1, 1}, 1).ok() ? kFactors
                                                                                                  : kMatrix;
}

}  // namespace

std::vector<std::string> form_names() { return {kMatrix, kNeighbours, kFactors}; }

Result<std::unique_ptr<ProblemForm>> make_form(const hal::ProblemFile& file, hal::Device& device,
                                               const FormRequest& request) {
  const std::string name = request.form.empty() ? fastest_form(file, device, request) : request.form;
  if (name == kMatrix) {
    QAMA_RETURN_IF_ERROR(device.supports(file.shape()));
  } else {
    const bool layer = file.format == hal::ProblemFormat::qama;
    if ((name == kFactors) != layer) {
      return Error{ErrorCode::invalid_argument, "form '" + name + "' of a " + std::string(hal::name_of(file.format)) +
                                                    " problem, expected 'matrix' or '" +
                                                    (layer ? kFactors : kNeighbours) + "'"};
    }
    if (request.rounds > 0) {
      return Error{ErrorCode::invalid_argument, "form '" + name + "' with " + std::to_string(request.rounds) +
                                                    " rounds, expected form 'matrix'"};
    }
  }
  Result<std::unique_ptr<ProblemForm>> out = name == kMatrix       ? MatrixForm::create(file)
                                             : name == kNeighbours ? NeighbourForm::create(file)
                                                                   : FactorForm::create(file);
  if (out.ok()) (*out)->name = name;
  return out;
}

}  // namespace qama::cli
