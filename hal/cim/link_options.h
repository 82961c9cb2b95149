// The address of cim:// and cims:// and its options; cim_device.h lists them. To add one, add a
// field here, a line in link_options.cpp and a line in cim_device.h.
#pragma once

#include <cstdint>
#include <string_view>

#include "hal/base/result.h"
#include "hal/cim/link_codec.h"
#include "hal/cim/link_stream.h"

namespace qama::hal::cim {

inline constexpr std::int32_t kMaxInFlight = 64;

struct LinkOptions {
  Endpoint endpoint;
  std::int32_t reads = 0;     ///< of a job; 0: as many as the job has restarts
  std::int32_t ancillas = 0;  ///< 0: the quantiser chooses
  Encoding encoding = Encoding::block_i8;
  std::int32_t in_flight = 8;      ///< jobs that a solver holds at the same time
  std::int32_t timeout_ms = 2000;  ///< of a job without a deadline
  std::int32_t attempt_ms = 0;     ///< before a job is sent again; 0: a third of the job's time
};

/// `rest` is what follows the scheme. DEVICE_UNKNOWN for a malformed address or option.
[[nodiscard]] Result<LinkOptions> parse_link_options(std::string_view rest, bool tls);

}  // namespace qama::hal::cim
