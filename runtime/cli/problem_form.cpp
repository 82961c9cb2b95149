#include "runtime/cli/problem_form.h"

#include <algorithm>
#include <utility>

#include "hal/base/quote.h"
#include "hal/form.h"

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

/// Energies on factors are real; what is printed is computed in the file's own numbers.
Status check_energy(const hal::Device& device, const hal::Problem& problem,
                    std::span<const std::uint64_t> spins, std::int64_t claimed) {
  if (hal::form_of(problem) == hal::Form::factors) return {};
  const std::int64_t energy = hal::energy_of(problem, spins).integer;
  if (energy == claimed) return {};
  return Error{ErrorCode::device_bad_answer,
               "device " + quote(device.info().uri) + " answered with energy " +
                   std::to_string(claimed) + ", its spins have " + std::to_string(energy)};
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
    const hal::Problem problem = problem_of(build_);
    hal::Workload workload = hal::Workload::of(problem);
    workload.form = form;
    QAMA_ASSIGN_OR_RETURN(auto solver, device.compile(workload));
    return std::unique_ptr<FormSolver>(
        std::make_unique<SolverOf>(device, problem, std::move(solver)));
  }

 private:
  class SolverOf final : public FormSolver {
   public:
    SolverOf(const hal::Device& device, const hal::Problem& problem,
             std::unique_ptr<hal::Solver> solver)
        : device_(device), problem_(problem), solver_(std::move(solver)) {}
    Status solve(const hal::SolveOptions& options, std::span<std::uint64_t> spins,
                 hal::SolveResult& result) override {
      QAMA_RETURN_IF_ERROR(solver_->solve(problem_, options, spins, result));
      return check_energy(device_, problem_, spins, result.energy);
    }

   private:
    const hal::Device& device_;
    const hal::Problem problem_;
    std::unique_ptr<hal::Solver> solver_;
  };

  Build build_;
};

/// Different couplings of a graph, 0 among them; one more than bit planes hold where there are
/// many.
std::int32_t values_of(const hal::EdgeList& graph) {
  std::vector<double> values;
  std::int64_t pairs = 0;
  for (const hal::Edge& edge : graph.edges) {
    if (edge.first == edge.second) continue;
    ++pairs;
    if (std::find(values.begin(), values.end(), edge.weight) != values.end()) continue;
    values.push_back(edge.weight);
    if (values.size() > hal::kPlaneValues) return hal::kPlaneValues + 1;
  }
  const std::int64_t size = graph.size;
  const bool absent = pairs < size * (size - 1) / 2;
  if (absent && std::find(values.begin(), values.end(), 0.0) == values.end()) values.push_back(0);
  return static_cast<std::int32_t>(values.size());
}

hal::Form fastest_form(const hal::ProblemFile& file, const hal::Device& device,
                       const FormRequest& request) {
  hal::FormQuestion question{.shape = file.shape(),
                             .restarts = request.restarts,
                             .schedule = {.rounds = request.rounds},
                             .forms = device.forms()};
  if (file.kind == hal::ProblemKind::qama) {
    question.rank = file.layer.rank;
  } else {
    question.edges = static_cast<std::int64_t>(file.graph.edges.size());
    question.values = values_of(file.graph);
  }
  return hal::choose_form(question);
}

}  // namespace

std::vector<std::string> form_names() {
  std::vector<std::string> out;
  for (const auto& [name, form] : hal::kFormNames) out.emplace_back(name);
  return out;
}

Result<std::unique_ptr<ProblemForm>> make_form(const hal::ProblemFile& file, hal::Device& device,
                                               const FormRequest& request) {
  hal::Form form = hal::Form::dense;
  if (request.form.empty()) {
    form = fastest_form(file, device, request);
  } else {
    QAMA_ASSIGN_OR_RETURN(form, hal::parse_form(request.form));
  }
  const std::string name(hal::name_of(form));
  if (form == hal::Form::dense) {
    QAMA_RETURN_IF_ERROR(device.supports(file.shape()));
  } else {
    const bool layer = file.kind == hal::ProblemKind::qama;
    if ((form == hal::Form::factors) != layer) {
      return Error{ErrorCode::invalid_argument,
                   "form '" + name + "' of a " + std::string(hal::name_of(file.kind)) +
                       " problem, expected " +
                       (layer ? "'dense' or 'factors'" : "'dense', 'planes' or 'sparse'")};
    }
    if (request.rounds > 0) {
      return Error{ErrorCode::invalid_argument, "form '" + name + "' with " +
                                                    std::to_string(request.rounds) +
                                                    " rounds, expected form 'dense'"};
    }
  }
  Result<std::unique_ptr<ProblemForm>> out =
      form == hal::Form::sparse    ? FormOf<hal::SparseBuild>::create(hal::to_sparse(file))
      : form == hal::Form::factors ? FormOf<hal::FactorsBuild>::create(hal::to_factors(file))
                                   : FormOf<hal::DenseBuild>::create(hal::to_dense(file));
  if (out.ok()) {
    (*out)->form = form;
    (*out)->name = name;
  }
  return out;
}

}  // namespace qama::cli
