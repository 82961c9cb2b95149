// Minimises 2 a b + 2 b c + 2 a c - a - b - c over 0 and 1, with a time limit and a target: the
// best answer takes one of the three. Build it as classify.cpp.
#include <cstdio>
#include <qama/qama.hpp>

int main() {
  const double matrix[] = {-1, 2, 2, 0, -1, 2, 0, 0, -1};
  const auto problem = qama::api::Problem::from_matrix(3, matrix);
  if (!problem) return std::puts(problem.status().sentence().c_str()), 1;
  qama::api::Problem::Options options;
  options.time_limit_ms = 100;
  options.target = -1;
  const auto best = problem->solve(options);
  if (!best) return std::puts(best.status().sentence().c_str()), 1;
  std::printf("value %g, answer %d %d %d, by %s\n", best->value, best->answer[0], best->answer[1],
              best->answer[2], best->solved_by);
}
