// The rows of annealer_targets: a function a row, one file a family. To add a row: its function in
// the file of its family, its declaration here and its line in kRows (annealer_targets.cpp).
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bench/targets.h"

namespace qama::bench {

struct Options {
  bool prepare = false, tune = false, check_generator = false, quick = false, cpu_time = false;
  std::vector<std::string> only;
  std::vector<std::string> instance_directories;
  std::string write;  ///< directory
  std::string device = "cpu:";
  std::string shared = QAMA_SHARED_DIR;
  std::string cache = QAMA_BENCH_CACHE;
  std::string parameters = QAMA_BENCH_DIR "/tuned_parameters.tsv";
  std::uint64_t first_seed = kFirstReportSeed;
  int instances = 20;
  int solves = 1000;
  int cpu = -1;
};

struct Row {
  std::string id, what, target, measured;
  std::string met;       ///< "yes", "no", "-"
  std::string textbook;  ///< the same quantity of the textbook annealer
  std::string ratio;     ///< textbook / measured
  std::string note;
};

/// Everything the rows share. Rows are measured one after the other on one thread.
struct Context {
  Options options;
  std::shared_ptr<hal::Device> device;
  ParameterTable parameters;
  std::unique_ptr<BestKnown> best_known;
  std::vector<Row> rows;

  /// Adds a row and says so on standard error.
  void add(Row row);
  [[nodiscard]] int textbook_solves() const { return std::max(20, options.solves / 10); }
};

[[nodiscard]] std::string met(bool yes);
[[nodiscard]] std::string percent(double share);

/// The layers of a class, tuning or reporting ones.
[[nodiscard]] Result<std::vector<Layer>> layers_of(Context& context, const InstanceClass& of,
                                                   std::uint64_t first_seed, int count);
/// Recorded or shared layers of a directory, in groups of one shape. Best-known energies come from
/// DIR/../best_known.tsv or DIR/best_known.tsv where it lists a file, and from long runs.
[[nodiscard]] Result<std::map<std::string, std::vector<Layer>>> layers_of_directory(
    Context& context, const std::string& directory);
/// Of a group of recorded layers every fourth tunes and the others are reported; classes that are
/// generated are tuned on generated layers.
[[nodiscard]] bool tunes(const std::string& group, std::size_t index);
/// Latencies of A3 and A4, less a twentieth, so that the measured median stays below them.
[[nodiscard]] double fixed_budget_us(std::string_view name);

/// A public instance of A11, and the one that it is tuned on.
struct PublicTarget {
  const char* file;
  const char* tuned_on;
  std::int64_t tuning_cut;
  std::int64_t cut;
  double time_ms;
};
inline constexpr PublicTarget kPublicTargets[] = {{"G1", "G2", 11620, 11624, 20},
                                                  {"bqp250-1", "bqp250-2", 44810, 45607, 5}};
[[nodiscard]] Result<hal::DenseBuild> public_problem(const Context& context,
                                                     const std::string& name);

// rows_throughput.cpp
Status row_a1(Context& context);
Status row_a8(Context& context);
Status row_a9(Context& context);
Status row_a10(Context& context);
Status row_graphs(Context& context);
// rows_solution.cpp
Status row_a2(Context& context);
Status row_a3(Context& context);
Status row_a4(Context& context);
Status row_a11(Context& context);
Status rows_of_directories(Context& context);
// rows_layers.cpp
Status row_a5(Context& context);
Status row_a6(Context& context);
Status row_a7(Context& context);

}  // namespace qama::bench
