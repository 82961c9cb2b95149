// Fuzz target: a problem file in every format, turned into integers where it is small, as a matrix
// and, a graph, as rows of neighbours. What comes out must keep the rules of its form, and a layer
// must survive being written and read again.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "hal/lower/lower.h"
#include "hal/text/formats.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace qama::hal;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)parse_problem(text, "fuzz");
  for (const ProblemFormat* format : problem_formats()) {
    const auto file = format->parse(text, "fuzz");
    if (!file.ok() || file->shape().spins() > 2048) continue;
    const auto build = to_dense(*file);
    if (file->kind == ProblemKind::qama) {
      (void)to_factors(*file);
    } else {
      const auto rows = to_sparse(*file);
      if (rows.ok() != build.ok()) std::abort();
      if (rows.ok() && !validate(rows->problem).ok()) std::abort();
    }
    if (!build.ok()) continue;
    if (!validate(build->buffer.problem()).ok()) std::abort();
    if (file->kind == ProblemKind::qama && !format->parse(format->print(*file), "again").ok())
      std::abort();
  }
  return 0;
}
