#include "hal/problem.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string>
#include <vector>

#include "hal/base/quote.h"
#include "hal/base/sentence.h"

namespace qama::hal {

std::string_view fallback_reason_name(FallbackReason reason) noexcept {
  switch (reason) {
    case FallbackReason::none:
      return "none";
    case FallbackReason::unsupported:
      return "unsupported";
    case FallbackReason::error:
      return "error";
    case FallbackReason::deadline:
      return "deadline";
    case FallbackReason::hedge_won:
      return "hedge_won";
    case FallbackReason::circuit_open:
      return "circuit_open";
  }
  return "none";
}

std::string_view name_of(Form form) noexcept {
  return kFormNames[static_cast<std::size_t>(form)].first;
}

Result<Form> parse_form(std::string_view name) {
  std::string expected;
  for (const auto& [known, form] : kFormNames) {
    if (known == name) return form;
    expected += (expected.empty() ? "" : ", ") + std::string(known);
  }
  return Error{ErrorCode::invalid_argument,
               "form " + quote(name) + ", expected one of " + expected};
}

std::string FormSet::text() const {
  std::string out;
  for (const auto& [name, form] : kFormNames) {
    if (has(form)) out += (out.empty() ? "" : ", ") + std::string(name);
  }
  return out;
}

ProblemShape shape_of(const Problem& problem) noexcept {
  if (const auto* sparse = std::get_if<SparseView>(&problem)) return {1, sparse->spins};
  if (const auto* factors = std::get_if<FactorsView>(&problem)) return factors->shape;
  return std::get_if<DenseView>(&problem)->shape;
}

std::int64_t energy_of(const DenseView& problem, std::span<const std::uint64_t> spins) noexcept {
  const std::int32_t heads = problem.shape.heads;
  const std::int32_t tokens = problem.shape.tokens;
  const std::int32_t words = words_per_head(tokens);
  const std::size_t stride = static_cast<std::size_t>(row_stride(tokens));
  const auto selected = [&](std::int32_t t, std::int32_t i) {
    return (spins[static_cast<std::size_t>(t) * words + i / 64] >> (i % 64)) & 1U;
  };
  std::int64_t energy = 0;
  for (std::int32_t t = 0; t < heads; ++t) {
    const std::int16_t* fields = problem.fields + static_cast<std::size_t>(t) * stride;
    for (std::int32_t i = 0; i < tokens; ++i) {
      if (!selected(t, i)) continue;
      energy -= fields[i];
      const std::int16_t* row =
          problem.couplings + (static_cast<std::size_t>(t) * tokens + i) * stride;
      for (std::int32_t j = i + 1; j < tokens; ++j) {
        if (selected(t, j)) energy -= row[j];
      }
    }
  }
  for (std::int32_t i = 0; i < tokens; ++i) {
    std::int64_t count = 0;
    for (std::int32_t t = 0; t < heads; ++t) count += static_cast<std::int64_t>(selected(t, i));
    energy += problem.penalty * (count * (count - 1) / 2);
  }
  return energy;
}

std::int64_t energy_of(const SparseView& problem, std::span<const std::uint64_t> spins) noexcept {
  const auto selected = [&](std::int32_t i) {
    return ((spins[static_cast<std::size_t>(i / 64)] >> (i % 64)) & 1U) != 0;
  };
  std::int64_t energy = 0;
  for (std::int32_t i = 0; i < problem.spins; ++i) {
    if (!selected(i)) continue;
    energy -= problem.fields[i];
    for (std::int64_t k = problem.first[i]; k < problem.first[i + 1]; ++k) {
      const Neighbour& neighbour = problem.neighbours[k];
      if (neighbour.spin > i && selected(neighbour.spin)) energy -= neighbour.coupling;
    }
  }
  return energy;
}

double energy_of(const FactorsView& problem, std::span<const std::uint64_t> spins) {
  const std::int64_t tokens = problem.shape.tokens;
  const std::int64_t rank = problem.rank;
  const std::int64_t words = words_per_head(problem.shape.tokens);
  const auto selected = [&](std::int64_t t, std::int64_t i) {
    return (spins[static_cast<std::size_t>(t * words + i / 64)] >> (i % 64) & 1U) != 0;
  };
  double energy = 0;
  std::vector<double> z(static_cast<std::size_t>(rank));
  for (std::int64_t t = 0; t < problem.shape.heads; ++t) {
    const double scale = problem.scale != nullptr ? static_cast<double>(problem.scale[t]) : 1.0;
    const double shift = problem.shift != nullptr ? static_cast<double>(problem.shift[t]) : 0.0;
    std::fill(z.begin(), z.end(), 0.0);
    double count = 0;
    // Every pair once: each selected token with those before it.
    for (std::int64_t i = 0; i < tokens; ++i) {
      if (!selected(t, i)) continue;
      const float* left = problem.left + (t * tokens + i) * rank;
      const float* right = problem.right + (t * tokens + i) * rank;
      for (std::int64_t d = 0; d < rank; ++d) {
        const auto k = static_cast<std::size_t>(d);
        energy -= scale * static_cast<double>(left[d]) * z[k];
        z[k] += static_cast<double>(right[d]);
      }
      energy -= shift * count + static_cast<double>(problem.fields[t * tokens + i]);
      ++count;
    }
  }
  for (std::int64_t i = 0; i < tokens && problem.shape.heads > 1; ++i) {
    double count = 0;
    for (std::int64_t t = 0; t < problem.shape.heads; ++t) count += selected(t, i) ? 1.0 : 0.0;
    energy += static_cast<double>(problem.penalty) * count * (count - 1) / 2;
  }
  return energy;
}

Energy energy_of(const Problem& problem, std::span<const std::uint64_t> spins) {
  if (const auto* factors = std::get_if<FactorsView>(&problem))
    return {0, energy_of(*factors, spins)};
  const auto of = [&](const auto& view) {
    const std::int64_t energy = energy_of(view, spins);
    return Energy{energy, static_cast<double>(energy) / view.scale + view.offset};
  };
  const auto* sparse = std::get_if<SparseView>(&problem);
  return sparse != nullptr ? of(*sparse) : of(*std::get_if<DenseView>(&problem));
}

Status validate_shape(const ProblemShape& shape) {
  if (shape.heads < 1 || shape.heads > kMaxHeads) {
    return Error{ErrorCode::problem_too_large, "a problem has " + std::to_string(shape.heads) +
                                                   " heads, expected 1 to " +
                                                   std::to_string(kMaxHeads)};
  }
  if (shape.tokens < 1 || shape.tokens > kMaxDenseTokens) {
    return Error{ErrorCode::problem_too_large, "a problem has " + std::to_string(shape.tokens) +
                                                   " spins a head, expected 1 to " +
                                                   std::to_string(kMaxDenseTokens)};
  }
  // A coupling takes up to 8 bytes: on machines of 32 bits the addresses must reach all of them.
  const std::int64_t couplings =
      static_cast<std::int64_t>(shape.heads) * shape.tokens * row_stride(shape.tokens);
  if (static_cast<std::uint64_t>(couplings) > SIZE_MAX / 8) {
    return Error{ErrorCode::problem_too_large,
                 "a problem of " + std::to_string(couplings) + " couplings, expected at most " +
                     std::to_string(SIZE_MAX / 8) + " on this machine"};
  }
  return {};
}

namespace {

Status validate_view(const DenseView& problem) {
  QAMA_RETURN_IF_ERROR(validate_shape(problem.shape));
  const auto bad = [](std::int32_t t, std::int32_t i, const std::string& what) {
    return Error{ErrorCode::problem_bad_value,
                 "head " + std::to_string(t) + ", spin " + std::to_string(i) + ": " + what};
  };
  const std::int32_t tokens = problem.shape.tokens;
  const std::size_t stride = static_cast<std::size_t>(row_stride(tokens));
  if (problem.penalty < 0) {
    return Error{ErrorCode::problem_bad_value,
                 "penalty is " + std::to_string(problem.penalty) + ", expected 0 or more"};
  }
  for (std::int32_t t = 0; t < problem.shape.heads; ++t) {
    const std::int16_t* head = problem.couplings + static_cast<std::size_t>(t) * tokens * stride;
    const std::int16_t* fields = problem.fields + static_cast<std::size_t>(t) * stride;
    for (std::size_t j = tokens; j < stride; ++j) {
      if (fields[j] != 0)
        return bad(t, static_cast<std::int32_t>(j), "padding of the fields is not 0");
    }
    for (std::int32_t i = 0; i < tokens; ++i) {
      const std::int16_t* row = head + static_cast<std::size_t>(i) * stride;
      if (row[i] != 0) return bad(t, i, "the diagonal coupling is not 0");
      std::int64_t sum = std::abs(static_cast<std::int64_t>(fields[i])) +
                         static_cast<std::int64_t>(problem.penalty) * (problem.shape.heads - 1);
      for (std::int32_t j = 0; j < tokens; ++j) {
        if (row[j] != head[static_cast<std::size_t>(j) * stride + i]) {
          return bad(t, i, "its coupling with spin " + std::to_string(j) + " is not symmetric");
        }
        sum += std::abs(static_cast<std::int64_t>(row[j]));
      }
      for (std::size_t j = tokens; j < stride; ++j) {
        if (row[j] != 0) return bad(t, i, "padding of its couplings is not 0");
      }
      if (sum > INT16_MAX) {
        return bad(t, i,
                   "couplings, field and penalty sum up to " + std::to_string(sum) +
                       ", expected at most 32767");
      }
    }
  }
  return {};
}

Status validate_view(const SparseView& problem) {
  const std::int64_t count = problem.count;
  if (problem.spins < 1 || problem.spins > kMaxTokens) {
    return Error{ErrorCode::problem_too_large,
                 "a sparse problem has " + std::to_string(problem.spins) +
                     " spins, expected 1 to " + std::to_string(kMaxTokens)};
  }
  const auto bad = [](std::int32_t i, const std::string& what) {
    return Error{ErrorCode::problem_bad_value, "spin " + std::to_string(i) + ": " + what};
  };
  if (problem.first[0] != 0 || problem.first[problem.spins] != count) {
    return Error{ErrorCode::problem_bad_value, "rows of neighbours go from " +
                                                   std::to_string(problem.first[0]) + " to " +
                                                   std::to_string(problem.first[problem.spins]) +
                                                   ", expected 0 to " + std::to_string(count)};
  }
  for (std::int32_t i = 0; i < problem.spins; ++i) {
    if (problem.first[i] > problem.first[i + 1] || problem.first[i + 1] > count) {
      return bad(i, "its row of neighbours ends before it begins or behind the last one");
    }
  }
  for (std::int32_t i = problem.spins; i < row_stride(problem.spins); ++i) {
    if (problem.fields[i] != 0) return bad(i, "padding of the fields is not 0");
  }
  for (std::int32_t i = 0; i < problem.spins; ++i) {
    std::int64_t sum = std::abs(static_cast<std::int64_t>(problem.fields[i]));
    std::int32_t last = -1;
    for (std::int64_t k = problem.first[i]; k < problem.first[i + 1]; ++k) {
      const Neighbour& neighbour = problem.neighbours[k];
      const std::string name = "neighbour " + std::to_string(neighbour.spin);
      if (neighbour.spin < 0 || neighbour.spin >= problem.spins)
        return bad(i, name + " is no spin");
      if (neighbour.spin <= last) return bad(i, name + " is not behind the one before it");
      if (neighbour.spin == i) return bad(i, "it is its own neighbour");
      last = neighbour.spin;
      sum += std::abs(static_cast<std::int64_t>(neighbour.coupling));
      const Neighbour* const begin = problem.neighbours + problem.first[neighbour.spin];
      const Neighbour* const end = problem.neighbours + problem.first[neighbour.spin + 1];
      const Neighbour* const back = std::lower_bound(
          begin, end, i, [](const Neighbour& one, std::int32_t spin) { return one.spin < spin; });
      if (back == end || back->spin != i || back->coupling != neighbour.coupling) {
        return bad(i, "its coupling with " + name + " is not symmetric");
      }
    }
    if (sum > INT16_MAX) {
      return bad(
          i, "couplings and field sum up to " + std::to_string(sum) + ", expected at most 32767");
    }
  }
  return {};
}

Status validate_view(const FactorsView& problem) {
  const ProblemShape& shape = problem.shape;
  if (shape.heads < 1 || shape.heads > kMaxHeads || shape.tokens < 1 || shape.tokens > kMaxTokens ||
      problem.rank < 1 || problem.rank > kMaxRankLimit) {
    return Error{ErrorCode::problem_too_large,
                 "factors of " + std::to_string(shape.heads) + " x " +
                     std::to_string(shape.tokens) + " spins, rank " + std::to_string(problem.rank) +
                     ", expected at most " + std::to_string(kMaxHeads) + " x " +
                     std::to_string(kMaxTokens) + ", rank " + std::to_string(kMaxRankLimit)};
  }
  const auto heads = static_cast<std::size_t>(shape.heads);
  const auto spins = static_cast<std::size_t>(shape.spins());
  const auto finite = [](const float* values, std::size_t count) {
    return values == nullptr ||
           std::all_of(values, values + count, [](float value) { return std::isfinite(value); });
  };
  const std::size_t numbers = spins * static_cast<std::size_t>(problem.rank);
  if (!finite(problem.left, numbers) || !finite(problem.right, numbers) ||
      !finite(problem.scale, heads) || !finite(problem.shift, heads) ||
      !finite(problem.fields, spins) || !std::isfinite(problem.penalty)) {
    return Error{ErrorCode::problem_bad_value,
                 "factors with a factor, scale, shift, field or penalty that is not finite"};
  }
  if (problem.penalty < 0) {
    return make_error(ErrorCode::problem_bad_value, "penalty is ", problem.penalty,
                      ", expected 0 or more");
  }
  return {};
}

}  // namespace

Status validate(const Problem& problem) {
  return std::visit([](const auto& view) { return validate_view(view); }, problem);
}

}  // namespace qama::hal
