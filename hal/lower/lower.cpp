#include "hal/lower/lower.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <new>

#include "hal/base/quote.h"
#include "hal/lower/graph.h"

namespace qama::hal {
namespace {

constexpr std::int64_t kMaxDenseCouplings = std::int64_t{1} << 28;

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

Status build_matrix(const ProblemFile& file, DenseBuild& out) {
  QAMA_ASSIGN_OR_RETURN(const RoundedIsing ising, round_ising(file));
  out.decode.fixed = ising.fixed;
  out.decode.exact = ising.exact;
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
  out.decode.fixed = ising.fixed;
  out.decode.exact = ising.exact;
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
  out.problem = {file.graph.size,       out.first.data(),
                 out.neighbours.data(), static_cast<std::int64_t>(out.neighbours.size()),
                 out.fields.data(),     ising.scale,
                 ising.row_norm,        0.0};
  return {};
}

/// Different couplings of a graph, 0 among them; one more than bit planes hold where there are
/// many.
std::int32_t values_of(const EdgeList& graph) {
  std::vector<double> values;
  std::int64_t pairs = 0;
  const Edge* last = nullptr;
  for (const Edge& edge : graph.edges) {
    if (edge.first == edge.second) continue;
    // Weights of one pair that add up to something else than a double.
    if (last != nullptr && last->first == edge.first && last->second == edge.second)
      return kPlaneValues + 1;
    last = &edge;
    ++pairs;
    if (std::find(values.begin(), values.end(), edge.weight) != values.end()) continue;
    values.push_back(edge.weight);
    if (values.size() > kPlaneValues) return kPlaneValues + 1;
  }
  const std::int64_t size = graph.size;
  const bool absent = pairs < size * (size - 1) / 2;
  if (absent && std::find(values.begin(), values.end(), 0.0) == values.end()) values.push_back(0);
  return static_cast<std::int32_t>(values.size());
}

}  // namespace

Result<DenseBuild> to_dense(const ProblemFile& file) {
  QAMA_RETURN_IF_ERROR(check_dense(file.shape()));
  try {
    DenseBuild out;
    out.decode.larger_is_better = file.maximises();
    QAMA_ASSIGN_OR_RETURN(out.buffer, ProblemBuffer::create(file.shape()));
    if (file.kind == ProblemKind::qama) {
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
  if (file.kind == ProblemKind::qama) {
    return Error{ErrorCode::invalid_argument, "a layer has no sparse form"};
  }
  try {
    SparseBuild out;
    out.decode.larger_is_better = file.maximises();
    QAMA_RETURN_IF_ERROR(build_rows(file, out));
    return out;
  } catch (const std::bad_alloc&) {
    return Error{ErrorCode::out_of_memory,
                 "not enough memory for " + std::to_string(file.graph.edges.size()) + " couplings"};
  }
}

Result<FactorsBuild> to_factors(const ProblemFile& file) {
  if (file.kind != ProblemKind::qama) {
    return Error{ErrorCode::invalid_argument, "only a layer has factors"};
  }
  const QamaLayer& layer = file.layer;
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

Problem Lowered::problem() const {
  if (const auto* dense = std::get_if<DenseBuild>(&build)) return dense->buffer.problem();
  if (const auto* sparse = std::get_if<SparseBuild>(&build)) return sparse->problem;
  return std::get<FactorsBuild>(build).problem;
}

const Decode& Lowered::decode() const {
  return std::visit([](const auto& one) -> const Decode& { return one.decode; }, build);
}

Result<Lowered> lower(const ProblemFile& file, Form form) {
  const bool layer = file.kind == ProblemKind::qama;
  if (form != Form::dense && (form == Form::factors) != layer) {
    return Error{ErrorCode::invalid_argument,
                 "form " + quote(name_of(form)) + " of a " + std::string(name_of(file.kind)) +
                     " problem, expected " +
                     (layer ? "'dense' or 'factors'" : "'dense', 'planes' or 'sparse'")};
  }
  Lowered out;
  out.form = form;
  if (form == Form::sparse) {
    QAMA_ASSIGN_OR_RETURN(out.build, to_sparse(file));
  } else if (form == Form::factors) {
    QAMA_ASSIGN_OR_RETURN(out.build, to_factors(file));
  } else {
    QAMA_ASSIGN_OR_RETURN(out.build, to_dense(file));
  }
  return out;
}

FormQuestion form_question(const ProblemFile& file) {
  FormQuestion out{.shape = file.shape()};
  if (file.kind == ProblemKind::qama) {
    out.rank = file.layer.rank;
  } else {
    out.edges = static_cast<std::int64_t>(file.graph.edges.size());
    out.values = values_of(file.graph);
  }
  return out;
}

ProblemFile to_qubo(const DenseView& problem) {
  const std::int32_t tokens = problem.shape.tokens;
  const std::int64_t stride = row_stride(tokens);
  ProblemFile out;
  out.kind = ProblemKind::qubo;
  out.graph.size = static_cast<std::int32_t>(problem.shape.spins());
  const auto add = [&](std::int32_t first, std::int32_t second, std::int16_t units) {
    if (units != 0) out.graph.edges.push_back({first, second, units / problem.scale});
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

}  // namespace qama::hal
