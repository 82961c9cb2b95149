#include "ops/linear_impl.h"

namespace qama::ops {

Linear::Linear(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Linear::~Linear() = default;
const LinearSpec& Linear::spec() const noexcept {
  return impl_->spec;
}
const std::string& Linear::implementation() const noexcept {
  return impl_->implementation;
}
std::size_t Linear::scratch_bytes() const noexcept {
  return impl_->scratch_bytes;
}
std::size_t Linear::weight_bytes() const noexcept {
  return impl_->weight_bytes();
}
Result<LinearCall> Linear::bind(std::size_t variant, const float* x, float* y,
                                std::byte* scratch) const {
  return impl_->bind(variant, x, y, scratch);
}

LinearCall::LinearCall(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LinearCall::~LinearCall() = default;
LinearCall::LinearCall(LinearCall&&) noexcept = default;
LinearCall& LinearCall::operator=(LinearCall&&) noexcept = default;
bool LinearCall::run() const noexcept {
  return impl_->run();
}

}  // namespace qama::ops
