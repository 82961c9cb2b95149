// Weighted pairs of variables, as most formats list them: collected as the file has them, then
// sorted, with what the options say of pairs that occur in both directions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "hal/text/lines.h"
#include "hal/text/problem_file.h"
#include "hal/text/read_options.h"

namespace qama::hal {

/// The pairs of one file. Variables count from 0 here, from `base` in the file.
class Pairs {
 public:
  Pairs(ProblemKind kind, std::int32_t base) {
    out_.kind = kind;
    out_.index_base = base;
  }
  void reserve(std::size_t count) { edges_.reserve(count); }
  void add(std::int64_t i, std::int64_t j, double weight) {
    edges_.push_back({static_cast<std::int32_t>(i), static_cast<std::int32_t>(j), weight});
  }
  [[nodiscard]] std::size_t count() const noexcept { return edges_.size(); }

  /// Reads the line's pair "i j w" with `size` variables; without a third word the weight is 1 if
  /// that is allowed. Refuses i = j where the kind has no linear terms.
  Status add_line(const Lines& lines, std::size_t first_word, std::int64_t size,
                  bool weight_is_optional = false);
  /// Takes a line "offset W". false: it is another line.
  Result<bool> take_offset(const Lines& lines);

  /// A number that is added to the offset.
  void add_offset(double value) { out_.offset += value; }

  /// The problem. Pairs that occur again add up. With `symmetric`, i j and j i are one entry of a
  /// symmetric matrix, given once or twice: PROBLEM_BAD_VALUE if they differ. Of a quadratic form
  /// x^T Q x it counts twice, once for each direction; of a graph or an Ising problem once.
  [[nodiscard]] Result<ProblemFile> finish(std::int64_t size, std::string_view name,
                                           const ReadOptions& options);

 private:
  Status merge_directions(std::string_view name);

  ProblemFile out_;
  std::vector<Edge> edges_;  ///< as in the file: i j and j i are two directions
};

/// What a format with a first line "n m" and m lines "i j w" from 1 calls its numbers.
struct CountedPairs {
  std::string_view size;   ///< "number of vertices"
  std::string_view count;  ///< "number of edges"
};
/// Reads a whole file of that form.
[[nodiscard]] Result<ProblemFile> parse_counted_pairs(std::string_view bytes, std::string_view name,
                                                      ProblemKind kind, const CountedPairs& format,
                                                      const ReadOptions& options);
/// Prints one, with weights that read back as the same numbers.
[[nodiscard]] std::string print_counted_pairs(const ProblemFile& file);

/// What a glance at a file "n m", "i j w" ... shows, for guesses.
struct PairSurvey {
  bool well_formed = false;  ///< two whole numbers, then lines of three words
  std::int64_t variables = 0, loops = 0, negative_loops = 0, negative = 0;
};
[[nodiscard]] PairSurvey survey_pairs(std::string_view bytes);

/// Sorts pairs and adds up those that occur several times, where the sum is a double.
void sort_and_merge(EdgeList& list);

}  // namespace qama::hal
