#include "hal/text/edge_lines.h"

#include <algorithm>

namespace qama::hal {
namespace {

/// The shortest line is "1 2 1" and its end.
constexpr std::size_t kLineBytes = 6;

}  // namespace

Result<EdgeList> parse_edge_lines(Scanner& scan, const EdgeLines& format) {
  EdgeList out;
  QAMA_ASSIGN_OR_RETURN(const std::int64_t size, scan.integer(format.size, 1, kMaxTokens));
  QAMA_ASSIGN_OR_RETURN(const std::int64_t count, scan.integer(format.count, 0, INT32_MAX));
  if (static_cast<std::uint64_t>(count) > (scan.bytes_left() + 1) / kLineBytes) {
    return scan.error(ErrorCode::problem_bad_format,
                      "the file is too short for " + std::to_string(count) + " lines 'i j w'");
  }
  out.size = static_cast<std::int32_t>(size);
  out.edges.reserve(static_cast<std::size_t>(count));
  for (std::int64_t k = 0; k < count; ++k) {
    QAMA_ASSIGN_OR_RETURN(const std::int64_t i, scan.integer("index i", 1, size));
    QAMA_ASSIGN_OR_RETURN(const std::int64_t j, scan.integer("index j", 1, size));
    QAMA_ASSIGN_OR_RETURN(const double weight, scan.number("a weight"));
    QAMA_RETURN_IF_ERROR(format.check(scan, i, j, weight));
    out.edges.push_back({static_cast<std::int32_t>(std::min(i, j) - 1),
                         static_cast<std::int32_t>(std::max(i, j) - 1), weight});
  }
  QAMA_RETURN_IF_ERROR(scan.end());
  sort_and_merge(out);
  return out;
}

void sort_and_merge(EdgeList& list) {
  // Stable, so that weights of equal pairs are added in the file's order.
  std::stable_sort(list.edges.begin(), list.edges.end(), [](const Edge& a, const Edge& b) {
    return a.first < b.first || (a.first == b.first && a.second < b.second);
  });
  std::size_t kept = 0;
  for (const Edge& edge : list.edges) {
    if (kept > 0 && list.edges[kept - 1].first == edge.first &&
        list.edges[kept - 1].second == edge.second) {
      list.edges[kept - 1].weight += edge.weight;
    } else {
      list.edges[kept++] = edge;
    }
  }
  list.edges.resize(kept);
}

std::string print_edge_lines(const EdgeList& list, int digits) {
  std::string out = std::to_string(list.size) + " " + std::to_string(list.edges.size()) + "\n";
  for (const Edge& edge : list.edges) {
    out += std::to_string(edge.first + 1) + " " + std::to_string(edge.second + 1) + " ";
    append_number(out, edge.weight, digits);
    out += '\n';
  }
  return out;
}

}  // namespace qama::hal
