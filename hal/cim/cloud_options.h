// The address of qboson-cloud:// and qboson-cloud+http:// and its options; cloud_device.h lists
// them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "hal/base/result.h"
#include "hal/base/secret.h"
#include "hal/cim/vendor_http.h"
#include "hal/cim_limits.h"

namespace qama::hal::cim {

struct CloudOptions {
  HttpPeer tasks, login;
  Secret user_id, sdk_code;
  std::string machine = "CPQC-550";
  std::int32_t spins = kCimSpins;     ///< of the machine, ancillas included
  std::int32_t ancillas = 0;          ///< 0: the quantiser chooses
  std::int32_t in_flight = 4;         ///< jobs that a solver holds at the same time
  std::int32_t timeout_ms = 300'000;  ///< of a job without a deadline
};

/// `rest` is what follows the scheme. DEVICE_UNKNOWN for a malformed address or option, DEVICE_AUTH
/// for plain HTTP off loopback, a missing user id or SDK code, or a file of theirs that others may
/// use; IO_ERROR for one that cannot be read.
[[nodiscard]] Result<CloudOptions> parse_cloud_options(std::string_view rest, bool tls);

}  // namespace qama::hal::cim
