// The two inner loops of a one-flip tabu search in double (hal/search/tabu.h): the cheapest flip
// that is allowed, and the fields' change by a flip on a full row. tabu/reference.cpp is the
// readable version, tabu_impl.h the fast one. All arithmetic is element by element, so every
// version gives the same answer.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace qama::hal::cpu {

/// Arrays are padded to a multiple of it and 64-byte aligned.
inline constexpr std::int32_t kTabuBlock = 8;

/// A flip of variable i costs fields[i] * signs[i]. Arrays belong to the caller. A padding element
/// has an infinite field and sign 1.
struct TabuMoves {
  const double* fields = nullptr;     ///< [count] what setting the variable costs
  const double* signs = nullptr;      ///< [count] 1, or -1 for a variable that is set
  const double* free_from = nullptr;  ///< [count] the step from which a flip is allowed
  std::int32_t count = 0;             ///< a multiple of kTabuBlock
  double step = 0;
  double aspired = 0;     ///< a flip that costs less is allowed in any case
  std::int32_t from = 0;  ///< a multiple of kTabuBlock: of equal flips the first from here on
};

/// The cheapest allowed flip of finite cost, -1 if there is none.
using TabuPickFunction = std::int32_t (*)(const TabuMoves& moves);
/// fields[i] += change * row[i]; `change` is 1 or -1.
using TabuAddRowFunction = void (*)(double* fields, const double* row, double change,
                                    std::int32_t count);

struct TabuKernel {
  std::string_view name;
  TabuPickFunction pick = nullptr;
  TabuAddRowFunction add_row = nullptr;
  bool (*supported)() noexcept = nullptr;
};

/// As kernels() in kernel.h: slowest first, the plain reference is always there.
[[nodiscard]] std::span<const TabuKernel> tabu_kernels() noexcept;
/// The fastest one that this machine runs.
[[nodiscard]] const TabuKernel& best_tabu_kernel() noexcept;

std::int32_t pick_reference(const TabuMoves& moves);
void add_row_reference(double* fields, const double* row, double change, std::int32_t count);

}  // namespace qama::hal::cpu
