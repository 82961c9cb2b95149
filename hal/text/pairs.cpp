#include "hal/text/pairs.h"

#include <algorithm>
#include <cmath>

#include "hal/base/quote.h"

namespace qama::hal {
namespace {

/// The shortest line is "1 2 1" and its end.
constexpr std::size_t kLineBytes = 6;

bool in_order(const Edge& a, const Edge& b) {
  return a.first < b.first || (a.first == b.first && a.second < b.second);
}

/// From so many pairs on, counting is quicker than comparing, unless most variables have none.
constexpr std::size_t kCounted = std::size_t{1} << 14;

/// Sorts by a key of less than `size`; equal ones keep their order. `room` is as long as `edges`.
template <typename Key>
void sort_by(std::vector<Edge>& edges, std::vector<Edge>& room, std::size_t size, Key&& key) {
  std::vector<std::size_t> next(size + 1);
  for (const Edge& edge : edges) ++next[static_cast<std::size_t>(key(edge)) + 1];
  for (std::size_t k = 1; k <= size; ++k) next[k] += next[k - 1];
  for (const Edge& edge : edges) room[next[static_cast<std::size_t>(key(edge))]++] = edge;
  edges.swap(room);
}

/// Stable, so that weights of equal pairs are added in the file's order.
void sort(EdgeList& list) {
  std::vector<Edge>& edges = list.edges;
  if (std::is_sorted(edges.begin(), edges.end(), in_order)) return;
  const auto size = static_cast<std::size_t>(list.size);
  if (edges.size() < kCounted || size > 4 * edges.size()) {
    std::stable_sort(edges.begin(), edges.end(), in_order);
    return;
  }
  std::vector<Edge> room(edges.size());
  sort_by(edges, room, size, [](const Edge& edge) { return edge.second; });
  sort_by(edges, room, size, [](const Edge& edge) { return edge.first; });
}

/// Whether a + b is a double (Knuth's two-sum finds no rest).
bool sum_is_exact(double a, double b) {
  const double sum = a + b;
  const double part = sum - a;
  return (a - (sum - part)) + (b - part) == 0;
}

}  // namespace

Status Pairs::add_line(const Lines& lines, std::size_t first_word, std::int64_t size,
                       bool weight_is_optional) {
  const std::int64_t base = out_.index_base;
  QAMA_ASSIGN_OR_RETURN(const std::int64_t i,
                        lines.integer(first_word, "index i", base, base + size - 1));
  QAMA_ASSIGN_OR_RETURN(const std::int64_t j,
                        lines.integer(first_word + 1, "index j", base, base + size - 1));
  double weight = 1;
  if (!weight_is_optional || lines.size() > first_word + 2) {
    QAMA_ASSIGN_OR_RETURN(weight, lines.number(first_word + 2, "a weight"));
  }
  QAMA_RETURN_IF_ERROR(lines.at_most(first_word + 3));
  if (i == j && out_.kind == ProblemKind::maxcut) {
    return lines.error(ErrorCode::problem_bad_format,
                       "an edge from vertex " + std::to_string(i) + " to itself");
  }
  add(i - base, j - base, weight);
  return {};
}

Result<bool> Pairs::take_offset(const Lines& lines) {
  if (lines.word(0) != "offset") return false;
  QAMA_ASSIGN_OR_RETURN(const double value, lines.number(1, "the offset"));
  QAMA_RETURN_IF_ERROR(lines.at_most(2));
  add_offset(value);
  return true;
}

Status Pairs::merge_directions(std::string_view name) {
  const auto forward = [](const Edge& edge) { return edge.first <= edge.second; };
  const auto ordered = [](Edge edge) {
    if (edge.first > edge.second) std::swap(edge.first, edge.second);
    return edge;
  };
  std::stable_sort(edges_.begin(), edges_.end(),
                   [&](const Edge& a, const Edge& b) { return in_order(ordered(a), ordered(b)); });
  std::vector<Edge> kept;
  kept.reserve(edges_.size());
  for (std::size_t begin = 0, end = 0; begin < edges_.size(); begin = end) {
    const Edge pair = ordered(edges_[begin]);
    double sums[2] = {0, 0};
    bool given[2] = {false, false};
    for (end = begin; end < edges_.size(); ++end) {
      const Edge other = ordered(edges_[end]);
      if (other.first != pair.first || other.second != pair.second) break;
      const std::size_t direction = forward(edges_[end]) ? 0 : 1;
      sums[direction] += other.weight;
      given[direction] = true;
    }
    if (given[0] && given[1] && sums[0] != sums[1]) {
      const std::string i = std::to_string(pair.first + out_.index_base);
      const std::string j = std::to_string(pair.second + out_.index_base);
      std::string text = "problem " + quote(name) + " is not symmetric: " + i + " " + j + " is ";
      append_number(text, sums[0], 0);
      text += ", " + j + " " + i + " is ";
      append_number(text, sums[1], 0);
      return Error{ErrorCode::problem_bad_value, text};
    }
    // Two entries of a matrix are two terms of x^T Q x.
    const bool twice = out_.kind == ProblemKind::qubo && pair.first != pair.second;
    for (std::size_t at = begin; at < end; ++at) {
      if (forward(edges_[at]) != given[0]) continue;
      kept.push_back({pair.first, pair.second, edges_[at].weight * (twice ? 2 : 1)});
    }
  }
  edges_ = std::move(kept);
  return {};
}

Result<ProblemFile> Pairs::finish(std::int64_t size, std::string_view name,
                                  const ReadOptions& options) {
  if (options.symmetric) {
    QAMA_RETURN_IF_ERROR(merge_directions(name));
  } else {
    for (Edge& edge : edges_) {
      if (edge.first > edge.second) std::swap(edge.first, edge.second);
    }
  }
  out_.maximise = options.maximise;
  out_.symmetric = options.symmetric;
  out_.graph.size = static_cast<std::int32_t>(size);
  out_.graph.edges = std::move(edges_);
  sort_and_merge(out_.graph);
  if (!std::isfinite(out_.offset)) {
    return Error{ErrorCode::problem_bad_value,
                 "problem " + quote(name) + ": the offsets sum up to infinity"};
  }
  return std::move(out_);
}

Result<ProblemFile> parse_counted_pairs(std::string_view bytes, std::string_view name,
                                        ProblemKind kind, const CountedPairs& format,
                                        const ReadOptions& options) {
  Lines lines(bytes, name);
  if (!lines.next()) {
    return lines.error(ErrorCode::problem_bad_format, std::string(format.size) + " is missing");
  }
  QAMA_ASSIGN_OR_RETURN(const std::int64_t size, lines.integer(0, format.size, 1, kMaxTokens));
  QAMA_ASSIGN_OR_RETURN(const std::int64_t count, lines.integer(1, format.count, 0, INT32_MAX));
  QAMA_RETURN_IF_ERROR(lines.at_most(2));
  Pairs pairs(kind, 1);
  // No more than the bytes that are there have room for, whatever the first line says.
  pairs.reserve(std::min(static_cast<std::size_t>(count), lines.bytes_left() / kLineBytes + 1));
  while (lines.next()) {
    QAMA_ASSIGN_OR_RETURN(const bool offset, pairs.take_offset(lines));
    if (offset) continue;
    if (pairs.count() == static_cast<std::size_t>(count)) {
      return lines.error(ErrorCode::problem_bad_format,
                         quote(lines.word(0)) + " follows the last of " + std::to_string(count) +
                             " lines 'i j w', expected the end of the file");
    }
    QAMA_RETURN_IF_ERROR(pairs.add_line(lines, 0, size));
  }
  if (pairs.count() < static_cast<std::size_t>(count)) {
    return lines.error(ErrorCode::problem_bad_format,
                       "the file ends after " + std::to_string(pairs.count()) +
                           " lines 'i j w', expected " + std::to_string(count));
  }
  return pairs.finish(size, name, options);
}

std::string print_counted_pairs(const ProblemFile& file) {
  const EdgeList& list = file.graph;
  std::string out = std::to_string(list.size) + " " + std::to_string(list.edges.size()) + "\n";
  if (file.offset != 0) {
    out += "offset ";
    append_number(out, file.offset, 0);
    out += '\n';
  }
  for (const Edge& edge : list.edges) {
    out += std::to_string(edge.first + 1) + " " + std::to_string(edge.second + 1) + " ";
    append_number(out, edge.weight, 0);
    out += '\n';
  }
  return out;
}

PairSurvey survey_pairs(std::string_view bytes) {
  PairSurvey out;
  Lines lines(bytes, "");
  if (!lines.next() || lines.size() != 2) return out;
  const auto size = lines.integer(0, "", 1, kMaxTokens);
  if (!size.ok() || !lines.integer(1, "", 0, INT32_MAX).ok()) return out;
  out.variables = *size;
  while (lines.next()) {
    if (lines.word(0) == "offset") continue;
    if (lines.size() != 3) return out;
    const bool loop = lines.word(0) == lines.word(1);
    const bool negative = lines.word(2).starts_with('-');
    out.loops += loop ? 1 : 0;
    out.negative_loops += loop && negative ? 1 : 0;
    out.negative += negative ? 1 : 0;
  }
  out.well_formed = true;
  return out;
}

void sort_and_merge(EdgeList& list) {
  sort(list);
  std::size_t kept = 0;
  for (const Edge& edge : list.edges) {
    if (kept > 0 && !in_order(list.edges[kept - 1], edge) &&
        sum_is_exact(list.edges[kept - 1].weight, edge.weight)) {
      list.edges[kept - 1].weight += edge.weight;
    } else {
      list.edges[kept++] = edge;
    }
  }
  list.edges.resize(kept);
}

}  // namespace qama::hal
