// A QAMA layer whose J is never built, for long heads: from queries, keys and field projections to
// a low-rank problem (hal::FactorsView), and from spins to energies, in memory that is linear in
// the tokens. What qama_front.h says of the mathematics holds; nothing is rounded to integers. The
// projection is QamaAttention's.
#pragma once

#include <cstdint>
#include <span>

#include "hal/problem.h"
#include "ops/attention/qama_front.h"
#include "ops/simd/factors_front.h"

namespace qama::ops {

/// Memory beside a QamaWorkspace, of which only fields, coupling_scale, coupling_shift, spins,
/// energies and project are used then. W = long_factor_width(dim_head), which is the problem's
/// rank.
struct QamaFactorsWorkspace {
  float* factors = nullptr;    ///< [heads][tokens][W] F, J = F F^T; 64-byte aligned
  float* fields = nullptr;     ///< [heads][tokens] rho h'
  float* constants = nullptr;  ///< [2][heads] scale and shift of J
  double* scratch = nullptr;   ///< long_factor_scratch(dim_head), 64-byte aligned
};

/// Fills both workspaces and `problem`, which views them. Values that are not finite are found by
/// the device, as PROBLEM_BAD_VALUE. Precondition: dim_head <= kMaxLongDimHead.
void qama_factors_front(const QamaFrontSpec& spec, std::int64_t tokens, const float* qkh,
                        const QamaWorkspace& w, const QamaFactorsWorkspace& long_heads,
                        const KernelTable& kernels, hal::FactorsView& problem);

/// w.energies from w.spins, with what qama_factors_front() left in both workspaces (Eq. 5, in
/// double).
void qama_factors_energies(const QamaFrontSpec& spec, std::int64_t tokens, const QamaWorkspace& w,
                           const QamaFactorsWorkspace& long_heads,
                           const KernelTable& kernels) noexcept;

}  // namespace qama::ops
