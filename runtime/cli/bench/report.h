// What `qama bench` measured: figures by name. Its JSON is what --against reads, and the names are
// those of --assert.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "hal/base/result.h"
#include "runtime/cli/console.h"

namespace qama::cli {

/// A name ends in its unit: us (microseconds), bytes, uj (microjoules), c (degrees Celsius), per_s.
struct Figure {
  std::string name;
  std::optional<double> value;  ///< from 0; empty: not measured here
};

/// Threads and batch of a throughput.
struct Load {
  std::int32_t threads = 1, batch = 1;
};
[[nodiscard]] std::string load_name(const Load& load);  ///< "per_s_2x64"

/// All figures of a run, in the order of the report.
[[nodiscard]] std::vector<std::string> figure_names(std::span<const Load> loads);
/// A line a figure: its name and what it is, for the help.
[[nodiscard]] std::string figures_help();

struct BenchReport {
  // What was run.
  std::string version, model, model_sha256, inputs, device;
  std::int32_t runs = 0;
  std::uint64_t seed = 0;
  Json schedules;

  // What came out.
  std::vector<Figure> figures;
  std::string labels_sha256;  ///< of the answers' classes, as `qama eval` has it
  std::string logits_sha256;  ///< of the logits' bytes; kernels differ in the last bits
  Json machine;
  Json provenance;

  void set(std::string_view name, std::optional<double> value);
  [[nodiscard]] Json json() const;
};

/// What an earlier --json says; `name` is for error sentences. REPORT_BAD_FORMAT: it is something
/// else, or damaged.
[[nodiscard]] Result<BenchReport> parse_bench_report(std::string_view text, std::string_view name);

/// Figure by figure, now over then: "p50_us_ratio". Empty where one of both is missing or 0.
/// GOLDEN_WRONG_MODEL: `then` is of another model; REPORT_BAD_FORMAT: of other inputs.
[[nodiscard]] Result<std::vector<Figure>> ratios(const BenchReport& now, const BenchReport& then,
                                                 std::string_view name_of_then);

/// A bound that a figure must keep.
struct Assertion {
  std::string figure;
  std::string comparison;  ///< "<=", ">=", "<" or ">"
  double bound = 0;
  [[nodiscard]] bool holds(double value) const;
};

/// "p99_us<=300". USAGE: no such figure (the error lists `names`), no comparison, or a bound that
/// is no finite number from 0.
[[nodiscard]] Result<Assertion> parse_assertion(const std::string& text,
                                                std::span<const std::string> names);
/// ASSERTION_FAILED: expected against got, or that the figure is not measured here.
[[nodiscard]] Status check_assertion(const Assertion& assertion, std::span<const Figure> figures);

}  // namespace qama::cli
