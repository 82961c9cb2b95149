#include "hal/text/problem_io.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <new>

#include "hal/base/checked.h"
#include "hal/base/quote.h"

namespace qama::hal {
namespace {

constexpr std::int64_t kMaxDenseCouplings = std::int64_t{1} << 28;
/// The shortest line of an edge is "1 2 1" and its end.
constexpr std::size_t kEdgeBytes = 6;

struct FormatName {
  ProblemFormat format;
  std::string_view name;
};
constexpr FormatName kFormatNames[] = {{ProblemFormat::qama, "qama"},
                                       {ProblemFormat::maxcut, "maxcut"},
                                       {ProblemFormat::qubo, "qubo"}};

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/// Words of a text, one after the other, with the line they stand in.
class Scanner {
 public:
  Scanner(std::string_view bytes, std::string_view name) : bytes_(bytes), name_(name) {}

  /// The next word; empty at the end.
  std::string_view word() {
    while (at_ < bytes_.size() && is_space(bytes_[at_])) {
      if (bytes_[at_] == '\n') ++line_;
      ++at_;
    }
    const std::size_t begin = at_;
    while (at_ < bytes_.size() && !is_space(bytes_[at_])) ++at_;
    return bytes_.substr(begin, at_ - begin);
  }

  Result<std::int64_t> integer(std::string_view what, std::int64_t least, std::int64_t most) {
    const std::string_view text = word();
    std::int64_t value = 0;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (code != std::errc() || end != text.data() + text.size()) {
      return expected(what, "a whole number", text);
    }
    if (value < least || value > most) {
      return error(value > most ? ErrorCode::problem_too_large : ErrorCode::problem_bad_format,
                   std::string(what) + " is " + std::to_string(value) + ", expected " +
                       std::to_string(least) + " to " + std::to_string(most));
    }
    return value;
  }

  Result<double> number(std::string_view what) {
    const std::string_view text = word();
    const std::string_view digits = text.starts_with('+') ? text.substr(1) : text;
    double value = 0;
    const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (code == std::errc::result_out_of_range || (code == std::errc() && !std::isfinite(value))) {
      return error(ErrorCode::problem_bad_value,
                   std::string(what) + " is " + quote(text) + ", expected a finite number");
    }
    if (code != std::errc() || end != digits.data() + digits.size()) {
      return expected(what, "a number", text);
    }
    return value;
  }

  Status end() {
    const std::string_view text = word();
    if (text.empty()) return {};
    return error(ErrorCode::problem_bad_format,
                 quote(text) + " follows the last number, expected the end of the file");
  }

  [[nodiscard]] Error error(ErrorCode code, const std::string& what) const {
    return Error{code, "problem " + quote(name_) + ", line " + std::to_string(line_) + ": " + what};
  }
  [[nodiscard]] std::size_t bytes_left() const { return bytes_.size() - at_; }

 private:
  [[nodiscard]] Error expected(std::string_view what, std::string_view kind,
                               std::string_view got) const {
    return error(ErrorCode::problem_bad_format, std::string(what) + " is " +
                                                    (got.empty() ? "missing" : quote(got)) +
                                                    ", expected " + std::string(kind));
  }

  std::string_view bytes_;
  std::string_view name_;
  std::size_t at_ = 0;
  std::int64_t line_ = 1;
};

Result<QamaLayer> parse_layer(Scanner& scan) {
  QamaLayer out;
  if (scan.word() != "qama") {
    return scan.error(ErrorCode::problem_bad_format, "expected 'qama' and a name");
  }
  out.name = scan.word();
  QAMA_ASSIGN_OR_RETURN(const std::int64_t heads, scan.integer("number of heads", 1, kMaxHeads));
  QAMA_ASSIGN_OR_RETURN(const std::int64_t tokens, scan.integer("number of tokens", 1, kMaxTokens));
  QAMA_ASSIGN_OR_RETURN(const std::int64_t rank, scan.integer("number of columns", 1, kMaxRank));
  QAMA_ASSIGN_OR_RETURN(out.rho, scan.number("rho"));
  QAMA_ASSIGN_OR_RETURN(out.lambda, scan.number("lambda"));
  if (out.lambda < 0) {
    return scan.error(ErrorCode::problem_bad_value, "lambda is negative, expected 0 or more");
  }
  // At most 64 * (2^20 * 4097 + 4096): far from overflow. Every number takes a digit and a
  // separator.
  const std::int64_t numbers = heads * (rank + tokens * (rank + 1));
  if (static_cast<std::uint64_t>(numbers) > (scan.bytes_left() + 1) / 2) {
    return scan.error(ErrorCode::problem_bad_format, "the file is too short for " +
                                                         std::to_string(heads) + " heads of " +
                                                         std::to_string(tokens) + " tokens and " +
                                                         std::to_string(rank) + " columns");
  }
  out.heads = static_cast<std::int32_t>(heads);
  out.tokens = static_cast<std::int32_t>(tokens);
  out.rank = static_cast<std::int32_t>(rank);
  out.signs.reserve(static_cast<std::size_t>(heads * rank));
  out.fields.reserve(static_cast<std::size_t>(heads * tokens));
  out.factors.reserve(static_cast<std::size_t>(heads * tokens * rank));
  for (std::int64_t t = 0; t < heads; ++t) {
    for (std::int64_t d = 0; d < rank; ++d) {
      QAMA_ASSIGN_OR_RETURN(const double sign, scan.number("a column's sign"));
      if (sign != 1.0 && sign != -1.0) {
        return scan.error(ErrorCode::problem_bad_value, "a column's sign must be +1 or -1");
      }
      out.signs.push_back(sign);
    }
    for (std::int64_t i = 0; i < tokens; ++i) {
      QAMA_ASSIGN_OR_RETURN(const double field, scan.number("a field"));
      out.fields.push_back(field);
      for (std::int64_t d = 0; d < rank; ++d) {
        QAMA_ASSIGN_OR_RETURN(const double factor, scan.number("a factor"));
        out.factors.push_back(factor);
      }
    }
  }
  QAMA_RETURN_IF_ERROR(scan.end());
  return out;
}

Result<EdgeList> parse_graph(Scanner& scan, ProblemFormat format) {
  const bool maxcut = format == ProblemFormat::maxcut;
  EdgeList out;
  QAMA_ASSIGN_OR_RETURN(
      const std::int64_t size,
      scan.integer(maxcut ? "number of vertices" : "number of variables", 1, kMaxTokens));
  QAMA_ASSIGN_OR_RETURN(const std::int64_t count,
                        scan.integer(maxcut ? "number of edges" : "number of terms", 0, INT32_MAX));
  if (static_cast<std::uint64_t>(count) > (scan.bytes_left() + 1) / kEdgeBytes) {
    return scan.error(ErrorCode::problem_bad_format,
                      "the file is too short for " + std::to_string(count) + " lines 'i j w'");
  }
  out.size = static_cast<std::int32_t>(size);
  out.edges.reserve(static_cast<std::size_t>(count));
  for (std::int64_t k = 0; k < count; ++k) {
    QAMA_ASSIGN_OR_RETURN(const std::int64_t i, scan.integer("index i", 1, size));
    QAMA_ASSIGN_OR_RETURN(const std::int64_t j, scan.integer("index j", 1, size));
    QAMA_ASSIGN_OR_RETURN(const double weight, scan.number("a weight"));
    if (maxcut && i == j) {
      return scan.error(ErrorCode::problem_bad_format,
                        "an edge from vertex " + std::to_string(i) + " to itself");
    }
    if (maxcut && (weight != std::nearbyint(weight) || std::fabs(weight) > kMaxIntegerWeight)) {
      return scan.error(ErrorCode::problem_bad_value,
                        "an edge's weight must be a whole number of at most 2^30");
    }
    out.edges.push_back({static_cast<std::int32_t>(std::min(i, j) - 1),
                         static_cast<std::int32_t>(std::max(i, j) - 1), weight});
  }
  QAMA_RETURN_IF_ERROR(scan.end());
  // Stable, so that weights of equal pairs are added in the file's order.
  std::stable_sort(out.edges.begin(), out.edges.end(), [](const Edge& a, const Edge& b) {
    return a.first < b.first || (a.first == b.first && a.second < b.second);
  });
  std::size_t kept = 0;
  for (const Edge& edge : out.edges) {
    if (kept > 0 && out.edges[kept - 1].first == edge.first &&
        out.edges[kept - 1].second == edge.second) {
      out.edges[kept - 1].weight += edge.weight;
    } else {
      out.edges[kept++] = edge;
    }
  }
  out.edges.resize(kept);
  return out;
}

bool is_set(std::span<const std::uint64_t> spins, std::int64_t bit) {
  return ((spins[static_cast<std::size_t>(bit / 64)] >> (bit % 64)) & 1U) != 0;
}

Status check_dense(const ProblemShape& shape) {
  const std::int64_t couplings =
      static_cast<std::int64_t>(shape.heads) * shape.tokens * row_stride(shape.tokens);
  if (shape.tokens > kMaxDenseTokens || couplings > kMaxDenseCouplings) {
    return Error{ErrorCode::problem_too_large,
                 "a problem of " + std::to_string(shape.heads) + " x " +
                     std::to_string(shape.tokens) +
                     " spins needs dense couplings, expected at most " +
                     std::to_string(kMaxDenseTokens) + " spins a head and 2^28 couplings"};
  }
  return {};
}

/// J, its fields and lambda in float, rounded to integers by ProblemBuffer like every layer.
Status build_layer(const QamaLayer& layer, ProblemBuffer& buffer) {
  const auto tokens = static_cast<std::size_t>(layer.tokens);
  const auto rank = static_cast<std::size_t>(layer.rank);
  std::vector<float> couplings(static_cast<std::size_t>(layer.heads) * tokens * tokens);
  std::vector<float> fields(static_cast<std::size_t>(layer.heads) * tokens);
  for (std::size_t t = 0; t < static_cast<std::size_t>(layer.heads); ++t) {
    const double* signs = layer.signs.data() + t * rank;
    const double* factors = layer.factors.data() + t * tokens * rank;
    float* head = couplings.data() + t * tokens * tokens;
    for (std::size_t i = 0; i < tokens; ++i) {
      fields[t * tokens + i] = static_cast<float>(layer.rho * layer.fields[t * tokens + i]);
      for (std::size_t j = i + 1; j < tokens; ++j) {
        double sum = 0;
        for (std::size_t d = 0; d < rank; ++d) {
          sum += signs[d] * factors[i * rank + d] * factors[j * rank + d];
        }
        head[i * tokens + j] = static_cast<float>(sum);
        head[j * tokens + i] = static_cast<float>(sum);
      }
    }
  }
  return buffer.build({layer.heads, layer.tokens}, couplings.data(), layer.tokens, fields.data(),
                      layer.tokens, static_cast<float>(layer.lambda));
}

/// A sparse problem as the couplings W and fields b of DenseView, still real.
struct SparseIsing {
  std::vector<Edge> couplings;  ///< first < second
  std::vector<double> fields;
  std::int32_t fixed = -1;
};

/// The vertex with the largest sum of |w|: fixing it frees the most room in 16 bits.
std::int32_t heaviest_vertex(const EdgeList& graph) {
  std::vector<double> sums(static_cast<std::size_t>(graph.size), 0.0);
  for (const Edge& edge : graph.edges) {
    sums[static_cast<std::size_t>(edge.first)] += std::fabs(edge.weight);
    sums[static_cast<std::size_t>(edge.second)] += std::fabs(edge.weight);
  }
  return static_cast<std::int32_t>(std::max_element(sums.begin(), sums.end()) - sums.begin());
}

/// A complete graph of two weights that fits 16 bits as it is. To fix a vertex would bring in
/// couplings of 0, a third value, and with it a second bit plane (hal/cpu/planes/planes.h).
bool stays_two_valued(const EdgeList& graph) {
  const auto size = static_cast<std::size_t>(graph.size);
  if (size < 3 || graph.edges.size() != size * (size - 1) / 2) return false;
  const double first = graph.edges.front().weight;
  double other = first;
  double largest = 0;
  for (const Edge& edge : graph.edges) {
    if (edge.weight != first && other == first) other = edge.weight;
    if (edge.weight != first && edge.weight != other) return false;
    largest = std::max(largest, std::fabs(edge.weight));
  }
  // A row's couplings are 2 w, its field is the sum of w.
  return 3 * largest * static_cast<double>(size - 1) <= INT16_MAX;
}

SparseIsing to_ising(const ProblemFile& file) {
  SparseIsing out;
  out.fields.assign(static_cast<std::size_t>(file.graph.size), 0.0);
  if (file.format == ProblemFormat::qubo) {
    for (const Edge& edge : file.graph.edges) {
      if (edge.first == edge.second) {
        out.fields[static_cast<std::size_t>(edge.first)] = -edge.weight;
      } else {
        out.couplings.push_back({edge.first, edge.second, -edge.weight});
      }
    }
    return out;
  }
  // w [s_i != s_j] = w (s_i + s_j - 2 s_i s_j), and with s_fixed = 0 only w s_i is left.
  out.fixed = stays_two_valued(file.graph) ? -1 : heaviest_vertex(file.graph);
  for (const Edge& edge : file.graph.edges) {
    out.fields[static_cast<std::size_t>(edge.first)] += edge.weight;
    out.fields[static_cast<std::size_t>(edge.second)] += edge.weight;
    if (edge.first != out.fixed && edge.second != out.fixed) {
      out.couplings.push_back({edge.first, edge.second, -2 * edge.weight});
    }
  }
  if (out.fixed >= 0) out.fields[static_cast<std::size_t>(out.fixed)] = 0;
  return out;
}

/// The same rounded to the integers of a DenseView.
struct RoundedIsing {
  struct Coupling {
    std::int32_t first, second;
    std::int16_t value;
  };
  std::vector<Coupling> couplings;
  std::vector<std::int16_t> fields;
  double scale = 1.0;
  double row_norm = 1.0;
  bool exact = false;
  std::int32_t fixed = -1;
};

Result<RoundedIsing> round_ising(const ProblemFile& file) {
  const SparseIsing ising = to_ising(file);
  RoundedIsing out;
  out.fixed = ising.fixed;
  const auto size = static_cast<std::size_t>(file.graph.size);
  std::vector<double> sums(size);
  std::vector<std::int32_t> terms(size, 1);
  bool whole = true;
  const auto look_at = [&](std::int32_t i, double value) {
    sums[static_cast<std::size_t>(i)] += std::fabs(value);
    ++terms[static_cast<std::size_t>(i)];
    whole = whole && value == std::nearbyint(value);
  };
  for (std::size_t i = 0; i < size; ++i) look_at(static_cast<std::int32_t>(i), ising.fields[i]);
  for (const Edge& edge : ising.couplings) {
    look_at(edge.first, edge.weight);
    look_at(edge.second, edge.weight);
  }
  const double largest = *std::max_element(sums.begin(), sums.end());
  if (!std::isfinite(largest)) {
    return Error{ErrorCode::problem_bad_value, "the weights of a variable sum up to infinity"};
  }
  out.exact = whole && largest <= INT16_MAX;
  // Rounding may add a half for each of a row's terms. Where that would leave no room, numbers are
  // cut off instead.
  const std::int32_t most_terms = *std::max_element(terms.begin(), terms.end());
  const bool cut_off = most_terms > kMaxDenseTokens;
  if (!out.exact && largest > 0) {
    out.scale = (INT16_MAX - 1 - (cut_off ? 0 : 0.5 * most_terms)) / largest;
    // Of the smallest numbers the reciprocal overflows.
    out.scale = std::min(out.scale, 1e300);
  }
  const auto rounded = [&](double value) {
    const double scaled = value * out.scale;
    return static_cast<std::int16_t>(cut_off ? std::trunc(scaled) : std::nearbyint(scaled));
  };
  out.fields.reserve(size);
  for (const double field : ising.fields) out.fields.push_back(rounded(field));
  out.couplings.reserve(ising.couplings.size());
  std::int64_t squares = 0;
  for (const Edge& edge : ising.couplings) {
    const std::int16_t value = rounded(edge.weight);
    out.couplings.push_back({edge.first, edge.second, value});
    squares += static_cast<std::int64_t>(value) * value;
  }
  // The unit of temperature, which a solver would have to read all couplings for; each pair stands
  // in two rows.
  if (squares > 0)
    out.row_norm = std::sqrt(2.0 * static_cast<double>(squares) / static_cast<double>(size));
  return out;
}

Status build_matrix(const ProblemFile& file, DenseBuild& out) {
  QAMA_ASSIGN_OR_RETURN(const RoundedIsing ising, round_ising(file));
  out.fixed = ising.fixed;
  out.exact = ising.exact;
  const ProblemBuffer::Target to = out.buffer.target({1, file.graph.size});
  const auto size = static_cast<std::size_t>(file.graph.size);
  const auto stride = static_cast<std::size_t>(row_stride(file.graph.size));
  std::memset(to.couplings, 0, size * stride * sizeof(std::int16_t));
  std::memset(to.fields, 0, stride * sizeof(std::int16_t));
  std::copy(ising.fields.begin(), ising.fields.end(), to.fields);
  for (const RoundedIsing::Coupling& one : ising.couplings) {
    const auto i = static_cast<std::size_t>(one.first);
    const auto j = static_cast<std::size_t>(one.second);
    to.couplings[i * stride + j] = to.couplings[j * stride + i] = one.value;
  }
  to.problem->scale = ising.scale;
  to.problem->row_norm = ising.row_norm;
  return {};
}

/// Rows of neighbours. Couplings are sorted by their first spin, then by their second.
Status build_rows(const ProblemFile& file, SparseBuild& out) {
  QAMA_ASSIGN_OR_RETURN(const RoundedIsing ising, round_ising(file));
  out.fixed = ising.fixed;
  out.exact = ising.exact;
  const auto size = static_cast<std::size_t>(file.graph.size);
  const auto stride = static_cast<std::size_t>(row_stride(file.graph.size));
  out.fields.resize(stride);
  std::memset(out.fields.data(), 0, stride * sizeof(std::int16_t));
  std::copy(ising.fields.begin(), ising.fields.end(), out.fields.data());
  out.first.assign(size + 1, 0);
  for (const RoundedIsing::Coupling& one : ising.couplings) {
    if (one.value == 0) continue;
    ++out.first[static_cast<std::size_t>(one.first) + 1];
    ++out.first[static_cast<std::size_t>(one.second) + 1];
  }
  for (std::size_t i = 0; i < size; ++i) out.first[i + 1] += out.first[i];
  out.neighbours.resize(static_cast<std::size_t>(out.first[size]));
  std::vector<std::int64_t> next(out.first.begin(), out.first.end() - 1);
  const auto put = [&](std::int32_t row, std::int32_t spin, std::int16_t value) {
    out.neighbours[static_cast<std::size_t>(next[static_cast<std::size_t>(row)]++)] = {spin, value};
  };
  // A spin's smaller neighbours come first, in order, if all couplings are gone through by their
  // first spin twice.
  for (const RoundedIsing::Coupling& one : ising.couplings) {
    if (one.value != 0) put(one.second, one.first, one.value);
  }
  for (const RoundedIsing::Coupling& one : ising.couplings) {
    if (one.value != 0) put(one.first, one.second, one.value);
  }
  out.problem = {file.graph.size,
                 out.first.data(),
                 out.neighbours.data(),
                 out.fields.data(),
                 ising.scale,
                 ising.row_norm,
                 0.0};
  return {};
}

void append_number(std::string& out, double value) {
  char text[40];
  const auto [end, code] =
      std::to_chars(text, text + sizeof(text), value, std::chars_format::general, 9);
  out.append(text, code == std::errc() ? end : text);
}

}  // namespace

std::string_view name_of(ProblemFormat format) noexcept {
  for (const FormatName& entry : kFormatNames) {
    if (entry.format == format) return entry.name;
  }
  return "";
}

Result<ProblemFormat> parse_problem_format(std::string_view name) {
  for (const FormatName& entry : kFormatNames) {
    if (entry.name == name) return entry.format;
  }
  return Error{ErrorCode::invalid_argument,
               "problem format " + quote(name) + " is not known, expected qama, maxcut or qubo"};
}

ProblemShape ProblemFile::shape() const noexcept {
  if (format == ProblemFormat::qama) return {layer.heads, layer.tokens};
  return {1, graph.size};
}

ProblemFormat sniff_format(std::string_view bytes, std::string_view name) noexcept {
  Scanner scan(bytes, name);
  if (scan.word() == "qama") return ProblemFormat::qama;
  if (name.ends_with(".qubo") || name.ends_with(".bqp")) return ProblemFormat::qubo;
  if (name.ends_with(".mc")) return ProblemFormat::maxcut;
  scan.word();
  while (true) {
    const std::string_view i = scan.word();
    const std::string_view j = scan.word();
    if (scan.word().empty()) return ProblemFormat::maxcut;
    if (i == j) return ProblemFormat::qubo;
  }
}

Result<ProblemFile> parse_problem(std::string_view bytes, ProblemFormat format,
                                  std::string_view name) {
  if (bytes.size() > kMaxProblemBytes) {
    return Error{ErrorCode::problem_too_large,
                 "problem " + quote(name) + " has " + std::to_string(bytes.size()) +
                     " bytes, expected at most " + std::to_string(kMaxProblemBytes)};
  }
  Scanner scan(bytes, name);
  ProblemFile out;
  out.format = format;
  if (format == ProblemFormat::qama) {
    QAMA_ASSIGN_OR_RETURN(out.layer, parse_layer(scan));
  } else {
    QAMA_ASSIGN_OR_RETURN(out.graph, parse_graph(scan, format));
  }
  return out;
}

std::string to_text(const QamaLayer& problem) {
  std::string out = "qama " + problem.name + "\n" + std::to_string(problem.heads) + " " +
                    std::to_string(problem.tokens) + " " + std::to_string(problem.rank) + " ";
  append_number(out, problem.rho);
  out += ' ';
  append_number(out, problem.lambda);
  out += '\n';
  const auto tokens = static_cast<std::size_t>(problem.tokens);
  const auto rank = static_cast<std::size_t>(problem.rank);
  for (std::size_t t = 0; t < static_cast<std::size_t>(problem.heads); ++t) {
    for (std::size_t d = 0; d < rank; ++d) {
      out += problem.signs[t * rank + d] > 0 ? "1" : "-1";
      out += d + 1 < rank ? ' ' : '\n';
    }
    for (std::size_t i = 0; i < tokens; ++i) {
      append_number(out, problem.fields[t * tokens + i]);
      for (std::size_t d = 0; d < rank; ++d) {
        out += ' ';
        append_number(out, problem.factors[(t * tokens + i) * rank + d]);
      }
      out += '\n';
    }
  }
  return out;
}

std::string to_text(const EdgeList& problem) {
  std::string out =
      std::to_string(problem.size) + " " + std::to_string(problem.edges.size()) + "\n";
  for (const Edge& edge : problem.edges) {
    out += std::to_string(edge.first + 1) + " " + std::to_string(edge.second + 1) + " ";
    append_number(out, edge.weight);
    out += '\n';
  }
  return out;
}

EdgeList to_qubo(const DenseView& problem) {
  const std::int32_t tokens = problem.shape.tokens;
  const std::int64_t stride = row_stride(tokens);
  EdgeList out;
  out.size = static_cast<std::int32_t>(problem.shape.spins());
  const auto add = [&](std::int32_t first, std::int32_t second, std::int16_t units) {
    if (units != 0) out.edges.push_back({first, second, units / problem.scale});
  };
  for (std::int32_t t = 0; t < problem.shape.heads; ++t) {
    for (std::int32_t i = 0; i < tokens; ++i) {
      const std::int32_t own = t * tokens + i;
      const std::int16_t* row = problem.couplings + static_cast<std::int64_t>(own) * stride;
      add(own, own, static_cast<std::int16_t>(-problem.fields[t * stride + i]));
      for (std::int32_t j = i + 1; j < tokens; ++j)
        add(own, t * tokens + j, static_cast<std::int16_t>(-row[j]));
      for (std::int32_t u = t + 1; u < problem.shape.heads; ++u)
        add(own, u * tokens + i, problem.penalty);
    }
  }
  return out;
}

double energy_of(const QamaLayer& problem, std::span<const std::uint64_t> spins) {
  const auto tokens = static_cast<std::size_t>(problem.tokens);
  const auto rank = static_cast<std::size_t>(problem.rank);
  const auto words = static_cast<std::size_t>(words_per_head(problem.tokens));
  std::vector<double> column(rank);
  std::vector<std::int32_t> selected(tokens, 0);
  double energy = 0;
  for (std::size_t t = 0; t < static_cast<std::size_t>(problem.heads); ++t) {
    std::fill(column.begin(), column.end(), 0.0);
    for (std::size_t i = 0; i < tokens; ++i) {
      if (!is_set(spins.subspan(t * words, words), static_cast<std::int64_t>(i))) continue;
      ++selected[i];
      const double* factors = problem.factors.data() + (t * tokens + i) * rank;
      // J_ij with every earlier selected j at once: their factors are summed up in `column`.
      for (std::size_t d = 0; d < rank; ++d) {
        energy -= problem.signs[t * rank + d] * factors[d] * column[d];
        column[d] += factors[d];
      }
      energy -= problem.rho * problem.fields[t * tokens + i];
    }
  }
  for (const std::int32_t heads : selected) energy += problem.lambda * (heads * (heads - 1) / 2);
  return energy;
}

double qubo_energy_of(const EdgeList& problem, std::span<const std::uint64_t> spins) {
  double energy = 0;
  for (const Edge& edge : problem.edges) {
    if (is_set(spins, edge.first) && is_set(spins, edge.second)) energy += edge.weight;
  }
  return energy;
}

std::int64_t cut_of(const EdgeList& problem, std::span<const std::uint64_t> spins) {
  std::int64_t cut = 0;
  for (const Edge& edge : problem.edges) {
    // Whole and below 2^30 each, 2^26 of them at most: exact in double as in int64.
    if (is_set(spins, edge.first) != is_set(spins, edge.second)) cut += std::llrint(edge.weight);
  }
  return cut;
}

Result<DenseBuild> to_dense(const ProblemFile& file) {
  QAMA_RETURN_IF_ERROR(check_dense(file.shape()));
  try {
    DenseBuild out;
    QAMA_ASSIGN_OR_RETURN(out.buffer, ProblemBuffer::create(file.shape()));
    if (file.format == ProblemFormat::qama) {
      QAMA_RETURN_IF_ERROR(build_layer(file.layer, out.buffer));
    } else {
      QAMA_RETURN_IF_ERROR(build_matrix(file, out));
    }
    return out;
  } catch (const std::bad_alloc&) {
    return Error{ErrorCode::out_of_memory, "not enough memory for the dense couplings of " +
                                               std::to_string(file.shape().spins()) + " spins"};
  }
}

Result<SparseBuild> to_sparse(const ProblemFile& file) {
  if (file.format == ProblemFormat::qama) {
    return Error{ErrorCode::invalid_argument, "a layer has no sparse form"};
  }
  try {
    SparseBuild out;
    QAMA_RETURN_IF_ERROR(build_rows(file, out));
    return out;
  } catch (const std::bad_alloc&) {
    return Error{ErrorCode::out_of_memory,
                 "not enough memory for " + std::to_string(file.graph.edges.size()) + " couplings"};
  }
}

Result<FactorsBuild> to_factors(const QamaLayer& layer) {
  if (layer.rank > kMaxRankLimit) {
    return Error{ErrorCode::problem_too_large, "a layer of " + std::to_string(layer.rank) +
                                                   " columns as factors, expected at most " +
                                                   std::to_string(kMaxRankLimit)};
  }
  try {
    FactorsBuild out;
    out.left.assign(layer.factors.begin(), layer.factors.end());
    const auto rank = static_cast<std::size_t>(layer.rank);
    const std::size_t head = static_cast<std::size_t>(layer.tokens) * rank;
    const bool symmetric =
        std::find(layer.signs.begin(), layer.signs.end(), -1.0) == layer.signs.end();
    if (!symmetric) {
      out.right = out.left;
      for (std::size_t k = 0; k < out.right.size(); ++k) {
        out.right[k] *= static_cast<float>(layer.signs[k / head * rank + k % rank]);
      }
    }
    out.fields.reserve(layer.fields.size());
    for (const double field : layer.fields)
      out.fields.push_back(static_cast<float>(layer.rho * field));
    out.problem.shape = {layer.heads, layer.tokens};
    out.problem.rank = layer.rank;
    out.problem.left = out.left.data();
    out.problem.right = symmetric ? out.left.data() : out.right.data();
    out.problem.fields = out.fields.data();
    out.problem.penalty = static_cast<float>(layer.lambda);
    return out;
  } catch (const std::bad_alloc&) {
    return Error{ErrorCode::out_of_memory,
                 "not enough memory for the factors of " +
                     std::to_string(layer.heads * static_cast<std::int64_t>(layer.tokens)) +
                     " spins"};
  }
}

}  // namespace qama::hal
