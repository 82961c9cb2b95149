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

/// Fills the workspace and `problem`, which views it. Values that are not finite are found by
/// the device, as PROBLEM_BAD_VALUE. Precondition: dim_head <= kMaxLongDimHead.
void qama_factors_front(const QamaFrontSpec& spec, std::int64_t tokens, const float* qkh,
                        const QamaWorkspace& w, const KernelTable& kernels,
                        hal::FactorsView& problem);

/// w.energies from w.spins, with what qama_factors_front() left in the workspace (Eq. 5, in
/// double).
void qama_factors_energies(const QamaFrontSpec& spec, std::int64_t tokens, const QamaWorkspace& w,
                           const KernelTable& kernels) noexcept;

}  // namespace qama::ops
