// Annealing layers that are the same everywhere: made of integers, and of floats that are exact
// fractions. Each form of a problem has one, so that each family of kernels is run.
#pragma once

#include <string>
#include <vector>

#include "hal/base/result.h"
#include "hal/device.h"

namespace qama::cli {

/// "dense-8x49": the names of the layers, in their order.
[[nodiscard]] std::vector<std::string> self_test_layers();

/// SHA-256 of the spins, flips and (but for factors, whose energies are floats) the energy that
/// `device` finds for layer `index`. What device and solver refuse is the error.
[[nodiscard]] Result<std::string> self_test_spins(hal::Device& device, std::size_t index);

}  // namespace qama::cli
