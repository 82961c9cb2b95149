// Writes the flash form of a model (weights/flash.h): on the host, with the engine's own fold of
// weights, so that a board has nothing left to compute. Part of the program, not of boards.
#pragma once

#include <cstddef>
#include <vector>

#include "hal/base/result.h"
#include "runtime/engine/model.h"

namespace qama::bare {

/// UNSUPPORTED for a model of texts, for heads so long that they are solved on factors, and for
/// schedules with rounds that recombine heads (hal/cpu/dense/recombine.h), for which boards have no
/// memory. SIZE_OVERFLOW beyond 2 GiB.
[[nodiscard]] Result<std::vector<std::byte>> flash_form(const runtime::Model& model);

}  // namespace qama::bare
