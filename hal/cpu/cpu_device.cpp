// The device `cpu:`: which kernel, which solvers. How a form of problem is solved is in its own
// file (solvers.h).
#include "hal/cpu/cpu_device.h"

#include <memory>
#include <string>

#include "hal/cpu/kernel.h"
#include "hal/cpu/solvers.h"

namespace qama::hal::cpu {
namespace {

class CpuDevice final : public Device {
 public:
  CpuDevice(const Kernel& kernel, std::string_view asked) : kernel_(kernel) {
    info_.uri = "cpu:" + std::string(kernel.name);
    info_.name = "CPU annealer, kernel " + std::string(kernel.name);
    info_.detail = asked.empty() ? "the fastest kernel that this machine runs; it needs "
                                 : "asked for by name; it needs ";
    info_.detail += kernel.needs;
    info_.coupling_bits = 16;
    info_.encodings = {"block_i16"};
  }

  const DeviceInfo& info() const noexcept override { return info_; }
  Result<DeviceHealth> probe() override { return DeviceHealth{}; }
  Status supports(const ProblemShape& shape) const override { return validate_shape(shape); }
  Result<std::unique_ptr<Solver>> compile(const ProblemShape& shape) override {
    QAMA_RETURN_IF_ERROR(supports(shape));
    return make_dense_solver(kernel_, shape);
  }
  Result<std::unique_ptr<FactorsSolver>> compile_factors(const ProblemShape& shape,
                                                         std::int32_t rank) override {
    if (shape.heads < 1 || shape.heads > kMaxHeads || shape.tokens < 1 ||
        shape.tokens > kMaxTokens || rank < 1 || rank > kMaxRankLimit) {
      return Error{ErrorCode::problem_too_large,
                   "a low-rank layer of " + std::to_string(shape.heads) + " x " +
                       std::to_string(shape.tokens) + " spins, rank " + std::to_string(rank) +
                       ", expected at most " + std::to_string(kMaxHeads) + " x " +
                       std::to_string(kMaxTokens) + ", rank " + std::to_string(kMaxRankLimit)};
    }
    return make_factors_solver(kernel_, shape, rank);
  }
  Result<std::unique_ptr<SparseSolver>> compile_sparse(std::int32_t spins) override {
    if (spins < 1 || spins > kMaxTokens) {
      return Error{ErrorCode::problem_too_large, "a sparse problem of " + std::to_string(spins) +
                                                     " spins, expected 1 to " +
                                                     std::to_string(kMaxTokens)};
    }
    return make_sparse_solver(kernel_, spins);
  }

 private:
  const Kernel& kernel_;
  DeviceInfo info_;
};

std::string kernel_names() {
  std::string names;
  for (const Kernel& kernel : kernels()) {
    if (!names.empty()) names += ", ";
    names += kernel.name;
  }
  return names;
}

}  // namespace

KernelNames names_of(std::string_view kernel) {
  if (kernel == "scalar") return {"cpu:scalar", "", "cpu:scalar neighbours"};
  if (kernel == "sse2") return {"cpu:sse2", "cpu:sse2 bit planes", "cpu:sse2 neighbours"};
  if (kernel == "avx2") return {"cpu:avx2", "cpu:avx2 bit planes", "cpu:avx2 neighbours"};
  if (kernel == "avx512") return {"cpu:avx512", "cpu:avx512 bit planes", "cpu:avx512 neighbours"};
  if (kernel == "neon") return {"cpu:neon", "cpu:neon bit planes", "cpu:neon neighbours"};
  return {"cpu:", "cpu: bit planes", "cpu: neighbours"};
}

Result<std::shared_ptr<Device>> open_cpu_device(std::string_view name) {
  if (name.empty()) {
    return std::shared_ptr<Device>(std::make_shared<CpuDevice>(best_kernel(), name));
  }
  for (const Kernel& kernel : kernels()) {
    if (kernel.name != name) continue;
    if (!kernel.supported()) {
      return Error{ErrorCode::device_unavailable, "device 'cpu:" + std::string(name) +
                                                      "': this machine lacks " +
                                                      std::string(kernel.needs)};
    }
    return std::shared_ptr<Device>(std::make_shared<CpuDevice>(kernel, name));
  }
  return Error{ErrorCode::device_unknown, "device 'cpu:" + std::string(name) +
                                              "': no such kernel in this build, expected one of " +
                                              kernel_names()};
}

std::vector<DeviceListing> list_cpu_devices() {
  std::vector<DeviceListing> out;
  const Kernel& best = best_kernel();
  for (const Kernel& kernel : kernels()) {
    DeviceListing line;
    line.uri = "cpu:" + std::string(kernel.name);
    line.description = "SIMD bit-packed spin annealer on one core a thread";
    line.usable = kernel.supported();
    if (!line.usable) {
      line.reason = "this machine lacks " + std::string(kernel.needs);
    } else if (&kernel == &best) {
      line.reason = "default: the fastest kernel that this machine runs";
    } else {
      line.reason = "needs " + std::string(kernel.needs);
    }
    out.push_back(std::move(line));
  }
  return out;
}

}  // namespace qama::hal::cpu
