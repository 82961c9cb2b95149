// How far one solve by a model file's own schedule stays from the best known energy
// (hal/search/best_known.h), on layers that `qama eval --record DIR N` wrote.
//
//   gaps_of_real_layers MODEL DIR
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "bench/instances.h"
#include "bench/measure.h"
#include "hal/device.h"
#include "hal/lower/lower.h"
#include "hal/search/best_known.h"
#include "weights/model_file.h"

namespace qama::bench {
namespace {

Status report(const std::string& model, const std::string& directory) {
  QAMA_ASSIGN_OR_RETURN(const auto file, weights::ModelFile::open(model));
  const weights::Architecture& a = file->architecture();
  if (!a.is_qama()) return Error{ErrorCode::model_wrong_kind, model + " has no QAMA layers"};
  QAMA_ASSIGN_OR_RETURN(const auto device, hal::open_device("cpu:"));
  std::vector<double> gaps;
  std::size_t proven = 0;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    if (entry.path().extension() != ".txt") continue;
    QAMA_ASSIGN_OR_RETURN(const auto layer, read_problem_file(entry.path().string()));
    QAMA_ASSIGN_OR_RETURN(const auto dense, hal::to_dense(layer));
    const hal::DenseView& problem = dense.buffer.problem();
    QAMA_ASSIGN_OR_RETURN(hal::BestKnown best, hal::best_known(*device, problem));
    // The name ends with the number of the block.
    const std::string stem = entry.path().stem().string();
    const int block = std::atoi(stem.c_str() + stem.rfind('_') + 1);
    if (block < 0 || block >= a.depth)
      return Error{ErrorCode::invalid_argument, stem + ": the model has no such block"};
    QAMA_ASSIGN_OR_RETURN(const auto solver, device->compile(problem.shape));
    hal::SolveResult own;
    std::vector<std::uint64_t> spins(best.spins.size());
    QAMA_RETURN_IF_ERROR(
        solver->solve(problem, hal::SolveOptions{a.anneal_of(block), 1}, spins, own));
    best.energy = std::min(best.energy, own.energy);
    proven += best.proven ? 1 : 0;
    gaps.push_back(best.energy == 0 ? 0
                                    : static_cast<double>(own.energy - best.energy) /
                                          std::fabs(static_cast<double>(best.energy)));
  }
  if (error || gaps.empty())
    return Error{ErrorCode::not_found, "directory '" + directory + "': no layers (*.txt) in it"};
  const auto near = std::count_if(gaps.begin(), gaps.end(), [](double gap) { return gap <= 1e-3; });
  std::printf(
      "%s: %zu layers, %zu of them solved exactly; gap: median %.4f %%, 95 %% %.4f %%, largest "
      "%.4f %%; within 0.1 %%: %.1f %%\n",
      model.c_str(), gaps.size(), proven, 100 * median(gaps), 100 * quantile(gaps, 0.95),
      100 * *std::max_element(gaps.begin(), gaps.end()),
      100.0 * static_cast<double>(near) / static_cast<double>(gaps.size()));
  return {};
}

}  // namespace
}  // namespace qama::bench

int main(int argc, char** argv) {
  if (argc != 3) return std::fprintf(stderr, "usage: gaps_of_real_layers MODEL DIR\n"), 2;
  const qama::Status status = qama::bench::report(argv[1], argv[2]);
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.error().message.c_str());
  return status.ok() ? 0 : 1;
}
