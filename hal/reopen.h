// Opens a device that may be down. If it is, the caller gets a stand-in that goes on trying. Its
// jobs fail with the last error until it reaches the device; then it passes every job on. It is
// meant for callers who have a second device behind it (fallback.h).
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "hal/device.h"

namespace qama::hal {

/// As open_device(), but a stand-in where the device cannot be reached now (DEVICE_UNAVAILABLE,
/// DEVICE_LOST, DEVICE_BUSY, DEADLINE_EXCEEDED). It supports every shape and holds `in_flight`
/// jobs. Its own thread tries again after pauses of up to two seconds. An error that time does not
/// mend (a wrong address, certificate or key) is returned. The first job on the device compiles: it
/// allocates.
[[nodiscard]] Result<std::shared_ptr<Device>> open_device_or_retry(std::string_view uri,
                                                                   std::int32_t in_flight = 8);

/// For a model that needs no device: DEVICE_UNKNOWN if no device has such a URI, as far as that
/// shows without asking a machine.
[[nodiscard]] Status check_unused_device(std::string_view uri);

/// The last error of a stand-in, also inside with_fallback(), that has no device yet; else empty.
[[nodiscard]] std::string why_not_reached(const Device& device);

}  // namespace qama::hal
