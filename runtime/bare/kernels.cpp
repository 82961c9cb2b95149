// The annealer of a board: the plain reference, for layers with their couplings as integers.
// Without vectors it takes fewer instructions than the kernels in their emulation, and a fourth of
// the flash. It takes the place of hal/cpu/kernels.cpp, whose list brings the code of every form of
// problem.
#include "hal/cpu/kernel.h"

namespace qama::hal::cpu {

void anneal_reference(const AnnealJob& job, std::span<Chain> chains);

namespace {

constexpr std::array kKernels = {Kernel{"scalar", anneal_reference, nullptr, nullptr, nullptr,
                                        nullptr, nullptr, nullptr, nullptr, nullptr,
                                        []() noexcept { return true; }, "nothing"}};

}  // namespace

std::span<const Kernel> kernels() noexcept {
  return kKernels;
}
const Kernel& best_kernel() noexcept {
  return kKernels.front();
}

}  // namespace qama::hal::cpu
