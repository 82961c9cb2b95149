// An open device: what it takes, how it is, and solvers compiled for a workload. A device is added
// by a folder of its own and one line in registry.cpp. Devices know integers and spins, never
// tensors or layers. Fall-back between devices is fallback.h's business, never a device's secret.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "hal/base/result.h"
#include "hal/problem.h"
#include "hal/solver.h"

namespace qama::hal {

/// What a device says of itself; fixed while it is open.
struct DeviceInfo {
  std::string uri;                ///< as opened: "cpu:avx512", "cim://127.0.0.1:7010"
  std::string name;               ///< for people
  std::string detail;             ///< why this kernel, firmware, ...: one sentence
  FormSet forms = {Form::dense};  ///< that it takes; dense always
  std::int64_t max_spins = 0;     ///< 0: bounded by memory only
  std::int32_t coupling_bits = 16;
  std::vector<std::string> encodings;  ///< "block_i16", "block_i8", "dense_i8", ...
  std::int32_t max_in_flight = 1;      ///< jobs a solver holds at the same time
  bool is_emulated = false;
  bool deterministic = true;  ///< same seed, same spins
};

enum class DeviceState : std::uint8_t { available, busy, calibrating, faulty, unreachable };
[[nodiscard]] std::string_view device_state_name(DeviceState state) noexcept;

/// The changing side of a device, from a probe.
struct DeviceHealth {
  DeviceState state = DeviceState::available;
  double round_trip_us = 0;
  std::string detail;
};

/// What a solver is compiled for: problems of one form with exactly these heads and rank, and at
/// most these tokens. Implicit from a shape, which means the dense form.
struct Workload {
  Workload(const ProblemShape& problem_shape, Form problem_form = Form::dense,
           std::int32_t problem_rank = 0) noexcept
      : shape(problem_shape), form(problem_form), rank(problem_rank) {}
  Workload(std::int32_t heads, std::int32_t tokens) noexcept : shape{heads, tokens} {}
  /// What solves `problem` and no larger one.
  [[nodiscard]] static Workload of(const Problem& problem) noexcept;

  ProblemShape shape;  ///< sparse and planes: one head
  Form form = Form::dense;
  std::int32_t rank = 0;  ///< of factors; else 0
};
/// Whether `problem` is one that a solver for `workload` takes; INVALID_ARGUMENT says why not.
[[nodiscard]] Status check_fits(const Workload& workload, const Problem& problem);

/// Thread-safe.
class Device {
 public:
  virtual ~Device() = default;
  [[nodiscard]] virtual const DeviceInfo& info() const noexcept = 0;
  [[nodiscard]] FormSet forms() const noexcept { return info().forms; }
  [[nodiscard]] virtual Result<DeviceHealth> probe() = 0;
  /// Ok, or the reason why such problems cannot be solved here: UNSUPPORTED for a form that is not
  /// one of forms(), PROBLEM_TOO_LARGE.
  [[nodiscard]] virtual Status supports(const Workload& workload) const = 0;
  /// All allocation for a workload happens here. The errors of supports().
  [[nodiscard]] virtual Result<std::unique_ptr<Solver>> compile(const Workload& workload) = 0;
};

/// The part of supports() that all devices share: UNSUPPORTED for a form that `info` does not list,
/// PROBLEM_TOO_LARGE for sizes that no device takes.
[[nodiscard]] Status check_workload(const DeviceInfo& info, const Workload& workload);

/// One line of `qama devices`.
struct DeviceListing {
  std::string uri;
  std::string description;
  bool usable = false;
  std::string reason;  ///< why it is (not) usable, or why it is the default
};

/// Opens a device by URI: "cpu:", "cpu:scalar", "exact:", ... DEVICE_UNKNOWN, DEVICE_UNAVAILABLE.
[[nodiscard]] Result<std::shared_ptr<Device>> open_device(std::string_view uri);

/// The forms that devices with such a URI take, without opening one; none for an unknown scheme.
[[nodiscard]] FormSet forms_of(std::string_view uri) noexcept;

/// Every device that needs no address, with the reason for its state.
[[nodiscard]] std::vector<DeviceListing> list_devices();

}  // namespace qama::hal
