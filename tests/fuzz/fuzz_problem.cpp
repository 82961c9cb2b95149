// Fuzz target: a problem file in every format, turned into integers where it is small, as a matrix
// and, a graph, as rows of neighbours, and improved in its own numbers. What comes out must keep
// the rules of its form, and a layer must survive being written and read again.
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "hal/lower/lower.h"
#include "hal/search/landscape.h"
#include "hal/text/formats.h"

namespace {

/// An improved answer is no worse, in the file's own numbers.
void improve(const qama::hal::ProblemFile& file) {
  using namespace qama::hal;
  const auto landscape = Landscape::of(file);
  if (!landscape.ok()) return;
  std::vector<std::uint64_t> spins(static_cast<std::size_t>(words_per_head(file.graph.size)));
  const double before = value_of(file, spins);
  make_improver(*landscape)->improve(spins, 1, 10, {});
  const double after = value_of(file, spins);
  if (file.maximises() ? after < before : after > before) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace qama::hal;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)parse_problem(text, "fuzz");
  for (const ProblemFormat* format : problem_formats()) {
    const auto file = format->parse(text, "fuzz", {});
    if (!file.ok() || file->shape().spins() > 2048) continue;
    const auto build = to_dense(*file);
    if (file->kind == ProblemKind::qama) {
      (void)to_factors(*file);
    } else {
      const auto rows = to_sparse(*file);
      if (rows.ok() != build.ok()) std::abort();
      if (rows.ok() && !validate(rows->problem).ok()) std::abort();
    }
    if (format->print != nullptr && !format->parse(format->print(*file), "again", {}).ok())
      std::abort();
    if (file->kind != ProblemKind::qama) improve(*file);
    if (!build.ok()) continue;
    if (!validate(build->buffer.problem()).ok()) std::abort();
  }
  return 0;
}
