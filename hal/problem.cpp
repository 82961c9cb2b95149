#include "hal/problem.h"

#include <algorithm>
#include <cstdlib>
#include <string>

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
  return {};
}

Status validate(const DenseView& problem) {
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

Status validate(const SparseView& problem, std::int64_t count) {
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

}  // namespace qama::hal
