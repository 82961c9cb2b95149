// The device `cpu:`: which kernel, which solvers. How a form of problem is solved is in its own
// file (solvers.h).
#include "hal/cpu/cpu_device.h"

#include <cstring>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

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
    info_.forms = kCpuForms;
    if (kernel.pack_planes == nullptr) info_.forms = {Form::dense, Form::sparse, Form::factors};
    info_.coupling_bits = 16;
    info_.encodings = {"block_i16"};
  }

  const DeviceInfo& info() const noexcept override { return info_; }
  Result<DeviceHealth> probe() override { return DeviceHealth{}; }
  Status supports(const Workload& workload) const override {
    return check_workload(info_, workload);
  }
  Result<std::unique_ptr<Solver>> compile(const Workload& workload) override {
    QAMA_RETURN_IF_ERROR(supports(workload));
    switch (workload.form) {
      case Form::sparse:
        return make_sparse_solver(kernel_, workload);
      case Form::factors:
        return make_factors_solver(kernel_, workload);
      case Form::dense:
      case Form::planes:
        break;
    }
    return make_dense_solver(kernel_, workload);
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

CpuSolver::CpuSolver(const Kernel& kernel, const Workload& workload)
    : kernel_(kernel), workload_(workload) {
  answer_.resize(static_cast<std::size_t>(workload.shape.heads) *
                 static_cast<std::size_t>(words_per_head(workload.shape.tokens)));
  (void)solved_by(kernel, workload.form);  // makes its texts here, for submit() must not allocate
}

Status CpuSolver::submit(std::int32_t slot, const Problem& problem, const SolveOptions& options) {
  if (slot != 0) {
    return Error{ErrorCode::invalid_argument,
                 "slot " + std::to_string(slot) + ", expected 0: the CPU solves one job at a time"};
  }
  QAMA_RETURN_IF_ERROR(check_fits(workload_, problem));
  QAMA_RETURN_IF_ERROR(validate(options.schedule));
  if (!options.from.empty()) {
    const auto words = static_cast<std::size_t>(words_per_head(shape_of(problem).tokens));
    if (form_of(problem) != Form::sparse || options.from.size() != words) {
      return Error{ErrorCode::invalid_argument,
                   std::to_string(options.from.size()) + " words of spins to improve, expected " +
                       std::to_string(words) + " and a sparse problem"};
    }
  }
  const auto start = Clock::now();
  cancelled_ = false;
  result_ = SolveResult{};
  QAMA_RETURN_IF_ERROR(anneal(problem, options, start, result_));
  const ProblemShape shape = shape_of(problem);
  answer_words_ = static_cast<std::size_t>(shape.heads) *
                  static_cast<std::size_t>(words_per_head(shape.tokens));
  result_.timing.anneal_us = result_.timing.total_us = microseconds_since(start);
  pending_ = true;
  return {};
}

Status CpuSolver::wait(std::int32_t slot, std::span<std::uint64_t> spins, SolveResult& result) {
  if (slot != 0 || !pending_) {
    return Error{ErrorCode::invalid_argument,
                 "slot " + std::to_string(slot) + " has no job to wait for"};
  }
  pending_ = false;
  if (spins.size() < answer_words_) {
    return Error{ErrorCode::invalid_argument, "room for " + std::to_string(spins.size()) +
                                                  " words of spins, expected " +
                                                  std::to_string(answer_words_)};
  }
  std::memcpy(spins.data(), answer_.data(), answer_words_ * sizeof(std::uint64_t));
  result = result_;
  return {};
}

const char* solved_by(const Kernel& kernel, Form form) {
  // Static storage: one text a kernel and form, made when the first solver is compiled.
  static const std::vector<std::string> kTexts = [] {
    std::vector<std::string> out;
    for (const Kernel& known : kernels()) {
      for (const auto& [name, value] : kFormNames)
        out.push_back("cpu:" + std::string(known.name) +
                      (value == Form::dense ? "" : " " + std::string(name)));
    }
    return out;
  }();
  const auto index = static_cast<std::size_t>(&kernel - kernels().data());
  return kTexts[index * std::size(kFormNames) + static_cast<std::size_t>(form)].c_str();
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
