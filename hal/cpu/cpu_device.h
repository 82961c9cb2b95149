// The annealer as a device: "cpu:" takes the fastest kernel that this machine runs, "cpu:NAME"
// forces one.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "hal/device.h"

namespace qama::hal::cpu {

/// What every kernel takes.
inline constexpr FormSet kCpuForms = {Form::dense, Form::planes, Form::sparse, Form::factors};

/// `kernel` is the part of the URI behind "cpu:"; empty: the best. DEVICE_UNKNOWN names the kernels
/// that there are, DEVICE_UNAVAILABLE says what the machine lacks.
[[nodiscard]] Result<std::shared_ptr<Device>> open_cpu_device(std::string_view kernel);

/// Lines for `qama devices`.
[[nodiscard]] std::vector<DeviceListing> list_cpu_devices();

}  // namespace qama::hal::cpu
