// The form in which `qama solve` gives a problem to a device: couplings as a matrix, as rows of
// neighbours, or as factors (hal::Form). To add a form: its three functions at the top of
// problem_form.cpp, a line in make_form().
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "hal/device.h"
#include "hal/lower/lower.h"

namespace qama::cli {

/// Solves one problem again and again; one a thread.
class FormSolver {
 public:
  virtual ~FormSolver() = default;
  /// As hal::Solver::solve(). DEVICE_BAD_ANSWER where the answer's integer energy is not that of
  /// its spins.
  virtual Status solve(const hal::SolveOptions& options, std::span<std::uint64_t> spins,
                       hal::SolveResult& result) = 0;
};

/// A problem in one form, with its memory.
class ProblemForm {
 public:
  virtual ~ProblemForm() = default;
  /// The device must outlive the solver.
  [[nodiscard]] virtual Result<std::unique_ptr<FormSolver>> compile(hal::Device& device) const = 0;
  hal::Decode decode;
  hal::Form form = hal::Form::dense;
  std::string name;  ///< one of form_names()
};

/// "dense", "planes", "sparse", "factors".
[[nodiscard]] std::vector<std::string> form_names();

/// What is going to be asked for; decides on the fastest form.
struct FormRequest {
  std::string form;  ///< one of form_names(), or empty: the fastest that problem and device allow
  std::int64_t restarts = 1;  ///< in all
  std::int32_t rounds = 0;
};

/// INVALID_ARGUMENT where the problem or the request does not allow the form that is asked for;
/// errors of to_dense() and of its kin. Graphs have the same answers in every form.
[[nodiscard]] Result<std::unique_ptr<ProblemForm>> make_form(const hal::ProblemFile& file,
                                                             hal::Device& device,
                                                             const FormRequest& request);

}  // namespace qama::cli
