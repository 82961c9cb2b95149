// Linear layers of boards: in panels (ops/linear_panels.cpp) and no other way. It takes the place
// of the other files of ops/linear.h, whose kernels would take flash for nothing.
#include "ops/linear.h"

#include "ops/simd/half_linear.h"

namespace qama::ops {
namespace {

Error only_panels() {
  return {ErrorCode::unsupported, "a board has linear layers in panels only (`qama flash`)"};
}

}  // namespace

struct LinearFactory::Impl {};
LinearFactory::LinearFactory(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LinearFactory::~LinearFactory() = default;
Result<std::unique_ptr<LinearFactory>> LinearFactory::create() {
  return std::unique_ptr<LinearFactory>(new LinearFactory(nullptr));
}

Result<std::unique_ptr<Linear>> Linear::create(LinearFactory& /*factory*/,
                                               const LinearSpec& /*spec*/,
                                               std::span<const float> /*weights*/,
                                               std::span<const float> /*bias*/) {
  return only_panels();
}
Result<std::unique_ptr<Linear>> Linear::create_int8(const LinearSpec& /*spec*/,
                                                    const Int8Weights& /*weights*/,
                                                    std::span<const float> /*bias*/,
                                                    const Int8LinearKernel* /*kernel*/) {
  return only_panels();
}
Result<std::unique_ptr<Linear>> Linear::create_half(const LinearSpec& /*spec*/,
                                                    const HalfWeights& /*weights*/,
                                                    std::span<const float> /*bias*/,
                                                    const Int8LinearKernel* /*kernel*/) {
  return only_panels();
}
std::span<const Int8LinearKernel* const> half_linear_kernels(Half /*kind*/) noexcept {
  return {};
}

}  // namespace qama::ops
