// The address of qboson+http:// and qboson+https:// and its options; vendor_device.h lists them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "hal/base/result.h"
#include "hal/base/secret.h"
#include "hal/cim/vendor_http.h"

namespace qama::hal::cim {

struct VendorOptions {
  HttpPeer peer;
  std::string user, machine_id = "0";
  Secret password;
  std::int32_t ancillas = 0;  ///< 0: the quantiser chooses
  std::int32_t timeout_ms = 60000;
};

/// `rest` is what follows the scheme. DEVICE_UNKNOWN for a malformed address or option, DEVICE_AUTH
/// for plain HTTP off loopback or a missing name or password or a password file that others may
/// use, IO_ERROR for one that cannot be read.
[[nodiscard]] Result<VendorOptions> parse_vendor_options(std::string_view rest, bool tls);

}  // namespace qama::hal::cim
