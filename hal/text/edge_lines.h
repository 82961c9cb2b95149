// Weighted pairs as lines "i j w" behind a line "n m", numbered from 1: what the formats maxcut and
// qubo share. A pair that occurs again adds to the first one.
#pragma once

#include <string>
#include <string_view>

#include "hal/text/problem_file.h"
#include "hal/text/scanner.h"

namespace qama::hal {

/// What a format calls its numbers, and what it refuses.
struct EdgeLines {
  std::string_view size;   ///< "number of vertices"
  std::string_view count;  ///< "number of edges"
  /// Checks one pair, numbered from 1.
  Status (*check)(const Scanner& scan, std::int64_t i, std::int64_t j, double weight);
};

[[nodiscard]] Result<EdgeList> parse_edge_lines(Scanner& scan, const EdgeLines& format);
[[nodiscard]] std::string print_edge_lines(const EdgeList& list, int digits);

/// Sorts pairs and adds up those that occur several times, in their order.
void sort_and_merge(EdgeList& list);

}  // namespace qama::hal
