// Simulated annealing as the usual libraries do it, to measure against: spins in bytes, an
// adjacency list and a local field in double for every spin, one random number and one exp a
// proposal. It is given the same integer problem, the same schedule and the same final descent as
// the solver under test, so that what differs is the engine and not the method.
#pragma once

#include <cstdint>
#include <vector>

#include "hal/problem.h"

namespace qama::bench {

struct TextbookResult {
  double energy = 0;  ///< of the best restart, in the problem's integers
  std::int64_t proposals = 0;
  std::vector<std::uint64_t> spins;  ///< packed as in hal/problem.h
};

class TextbookAnnealer {
 public:
  explicit TextbookAnnealer(const hal::DenseView& problem);
  /// Uses seed, sweeps, restarts, t_start and t_end.
  TextbookResult solve(const hal::SolveOptions& options);

 private:
  struct Neighbour {
    std::int32_t spin;
    double weight;  ///< E holds weight * s_a * s_b
  };
  void flip(std::size_t a);
  void metropolis_sweep(double beta);
  bool descent_sweep();
  bool subset_sweep();
  double uniform() noexcept;

  hal::DenseView problem_;
  double row_norm_;
  std::vector<std::vector<Neighbour>> neighbours_;
  std::vector<double> linear_;  ///< energy of spin a alone
  std::vector<double> cost_;    ///< energy that spin a adds if it is 1, by the others' state
  std::vector<std::uint8_t> spins_;
  std::uint64_t random_[2] = {};
  std::int64_t proposals_ = 0;
};

}  // namespace qama::bench
