// A device that may be down when it is opened: a stand-in that goes on trying, for callers who have
// another device behind it (fallback.h). Jobs fail with the last error until it is reached; from
// then on it is the device.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "hal/device.h"

namespace qama::hal {

/// open_device(), but a device that merely cannot be reached now (DEVICE_UNAVAILABLE, DEVICE_LOST,
/// DEVICE_BUSY, DEADLINE_EXCEEDED) is a stand-in: it supports every shape, holds `in_flight` jobs
/// and tries again on a thread of its own, with back-off up to two seconds. What will not mend
/// itself (a wrong address, certificate or key) is the error that open_device() has. The first job
/// after it was reached compiles, i.e. allocates.
[[nodiscard]] Result<std::shared_ptr<Device>> open_device_or_retry(std::string_view uri,
                                                                   std::int32_t in_flight = 8);

/// Why a stand-in is not the device yet, also below with_fallback(); empty for anything else.
[[nodiscard]] std::string why_not_reached(const Device& device);

}  // namespace qama::hal
