// The pieces of annealer_targets: problems with their best-known energies, tuned parameters, and
// what a series of independent solves shows. The rows of the table itself are in
// annealer_targets.cpp.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bench/instances.h"
#include "bench/measure.h"
#include "hal/device.h"
#include "hal/lower/lower.h"

namespace qama::bench {

/// What a class without a line in tuned_parameters.tsv is solved with.
inline constexpr hal::Schedule kUntuned{30, 4, 0.25F, 0.03F};
/// "20 sweeps x 4, T 0.25..0.03" and what else differs from a plain schedule.
[[nodiscard]] std::string text_of(const hal::Schedule& schedule);

/// Schedules by class and purpose ("tts50", "tts99", "fixed", "target").
class ParameterTable {
 public:
  /// An absent file is an empty table.
  [[nodiscard]] static ParameterTable read(const std::string& path);
  /// The line for this class and purpose, or the defaults.
  [[nodiscard]] hal::Schedule get(std::string_view name, std::string_view purpose) const;
  void set(std::string_view name, std::string_view purpose, const hal::Schedule& parameters);
  [[nodiscard]] bool write(const std::string& path, std::string_view comment) const;

 private:
  std::map<std::pair<std::string, std::string>, hal::Schedule> lines_;
};

/// Best known energies (hal/search/best_known.h) of generated and recorded layers, in the layers'
/// own numbers, kept in a file between runs.
class BestKnown {
 public:
  explicit BestKnown(std::string path);
  /// Of `problem`, from the file or searched for now, which the file then keeps.
  Result<double> get(const hal::QamaLayer& problem, const hal::DenseView& integers,
                     hal::Device& device);
  /// A lower energy that was seen since.
  void improve(const hal::QamaLayer& problem, double energy);
  void save() const;
  [[nodiscard]] int improvements() const noexcept { return improvements_; }

 private:
  static std::string key(const hal::QamaLayer& problem);
  std::string path_;
  std::map<std::string, double> energies_;
  int improvements_ = 0;
};

/// A layer ready to be solved, with its best-known energy.
struct Layer {
  hal::QamaLayer real;
  hal::DenseBuild build;
  double best = 0;
  [[nodiscard]] const hal::DenseView& integers() const { return build.buffer.problem(); }
};
[[nodiscard]] Result<Layer> make_layer(hal::QamaLayer real, BestKnown& best_known,
                                       hal::Device& device);

/// What independent solves of one layer showed.
struct Series {
  std::vector<double> times_us;  ///< seen by the caller, one a solve
  std::vector<double> energies;  ///< real, one a solve
  double best = 0;               ///< the lower of best known and best seen
  double mean_single_flip = 0;   ///< mean cost of flipping one spin of the best answer
  [[nodiscard]] double share_within(double gap) const;
};

/// `count` solves with seeds first_seed, first_seed + 1, ... after three that warm up.
[[nodiscard]] Result<Series> solve_series(hal::Solver& solver, const Layer& layer,
                                          const hal::Schedule& parameters, int count,
                                          std::uint64_t first_seed, Checksum& checksum);
/// The same with the textbook annealer.
[[nodiscard]] Series textbook_series(const Layer& layer, const hal::Schedule& parameters, int count,
                                     std::uint64_t first_seed);

inline constexpr double kGap = 1e-3;  ///< "within 0.1 %"

}  // namespace qama::bench
