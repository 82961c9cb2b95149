// Fuzz target: a problem file in every format, turned into integers where it is small, as a matrix
// and, a graph, as rows of neighbours. What comes out must keep the rules of its form, and a layer
// must survive being written and read again.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "hal/text/problem_io.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace qama::hal;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)sniff_format(text, "fuzz");
  for (const ProblemFormat format :
       {ProblemFormat::qama, ProblemFormat::maxcut, ProblemFormat::qubo}) {
    const auto file = parse_problem(text, format, "fuzz");
    if (!file.ok() || file->shape().spins() > 2048) continue;
    const auto build = to_dense(*file);
    if (format == ProblemFormat::qama) {
      (void)to_factors(file->layer);
    } else {
      const auto rows = to_sparse(*file);
      if (rows.ok() != build.ok()) std::abort();
      if (rows.ok() &&
          !validate(rows->problem, static_cast<std::int64_t>(rows->neighbours.size())).ok())
        std::abort();
    }
    if (!build.ok()) continue;
    if (!validate(build->buffer.problem()).ok()) std::abort();
    if (format == ProblemFormat::qama &&
        !parse_problem(to_text(file->layer), format, "again").ok()) {
      std::abort();
    }
  }
  return 0;
}
