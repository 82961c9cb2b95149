// The device behind cim:// and cims://: a coherent Ising machine at the other end of the link of
// PROTOCOL.md. What it does when things fail: a job is tried at most three times under one job id,
// never past its deadline; then its error is a value, and what happens next is fallback.h's
// business.
//
//   cim://HOST:PORT[?OPTION&...]      plain TCP, loopback only
//   cims://HOST:PORT?psk=FILE or ?cert=FILE&key=FILE&ca=FILE     TLS 1.3; with
//   insecure_permissions=1 also if others than their owner may use key files
//   options: reads=N (reads a job; default: the job's restarts), ancillas=N (0: automatic),
//   encoding=block|dense, in_flight=N (1 to 64, default 8), timeout_ms=N (of a job without
//   deadline, default 2000), attempt_ms=N (before a job is sent again; default: a third of its
//   time)
#pragma once

#include <memory>
#include <string_view>

#include "hal/device.h"

namespace qama::hal::cim {

/// `rest` is what follows the scheme. DEVICE_UNKNOWN for a malformed address or option,
/// DEVICE_AUTH, DEVICE_UNAVAILABLE, DEVICE_PROTOCOL.
[[nodiscard]] Result<std::shared_ptr<Device>> open_cim_device(std::string_view rest);
[[nodiscard]] Result<std::shared_ptr<Device>> open_cims_device(std::string_view rest);

/// The vendor's terminal, qboson+http(s)://HOST:PORT; see vendor_device.h.
[[nodiscard]] Result<std::shared_ptr<Device>> open_qboson_http_device(std::string_view rest);
[[nodiscard]] Result<std::shared_ptr<Device>> open_qboson_https_device(std::string_view rest);

/// The vendor's cloud, qboson-cloud://HOST and qboson-cloud+http://HOST:PORT; see cloud_device.h.
[[nodiscard]] Result<std::shared_ptr<Device>> open_qboson_cloud_device(std::string_view rest);
[[nodiscard]] Result<std::shared_ptr<Device>> open_qboson_cloud_http_device(std::string_view rest);

/// Asks an emulator that allows it to inject faults: for tests. `kind` as in hal/emulator/fault.h.
/// INVALID_ARGUMENT for another kind of device.
Status inject_fault(Device& device, int kind, unsigned parts_per_million,
                    unsigned long long argument);

}  // namespace qama::hal::cim
