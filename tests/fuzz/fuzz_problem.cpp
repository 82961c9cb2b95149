// Fuzz target: a problem file in every format, turned into integers where it is small. What comes out must
// keep the rules of SelectionProblem, and a layer must survive being written and read again.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "hal/problem_io.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace qama::hal;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)sniff_format(text, "fuzz");
  for (const ProblemFormat format :
       {ProblemFormat::qama, ProblemFormat::maxcut, ProblemFormat::qubo}) {
    const auto file = parse_problem(text, format, "fuzz");
    if (!file.ok() || file->shape().spins() > 2048) continue;
    const auto build = to_selection(*file);
    if (!build.ok()) continue;
    if (!validate(build->buffer.problem()).ok()) std::abort();
    if (format == ProblemFormat::qama &&
        !parse_problem(to_text(file->layer), format, "again").ok()) {
      std::abort();
    }
  }
  return 0;
}
