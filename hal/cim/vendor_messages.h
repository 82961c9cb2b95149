// The bodies of the vendor's HTTP interfaces: requests printed, replies read. Every reply is an
// envelope {code, msg, data}. Public are the paths, the fields, codes 0, 20001 and 50008; what is
// assumed besides stands in hal/emulator/http_terminal.cpp and http_cloud.cpp.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "hal/base/result.h"
#include "hal/base/secret.h"
#include "hal/base/strict_json.h"
#include "hal/cim/matrix_csv.h"
#include "hal/device.h"

namespace qama::hal::cim {

// ---- requests ----
/// A secret: it has the password's digest.
[[nodiscard]] Secret login_body(const std::string& user, const Secret& password);
/// The same for the cloud. Both are UTF-8.
[[nodiscard]] Secret cloud_login_body(const Secret& user_id, const Secret& sdk_code);
/// A batch of one task; `user_id` and `file_id` are what login and upload gave.
[[nodiscard]] std::string task_body(const std::string& machine_id, const std::string& task_name,
                                    const Json& user_id, const Json& file_id);

// ---- replies ----
/// Expired, or used by somebody who logged in later.
[[nodiscard]] bool is_token_over(std::string_view code) noexcept;
struct Envelope {
  std::string code;  ///< "0": success
  std::string message;
};
/// Reads a reply of at most a megabyte; `data` becomes the envelope's. DEVICE_PROTOCOL if it is
/// none.
Status read_envelope(std::string_view text, Envelope& out, Json& data);
/// `data`'s member, null where there is none or `data` is no object.
[[nodiscard]] const Json& member(const Json& data, const char* name);
/// Whether `id` is a number or a short text.
[[nodiscard]] bool is_id(const Json& id);

/// The token that stands in `data` below the names of `path`, where it is wiped. DEVICE_PROTOCOL,
/// with `peer`, unless there is one that fits into a header.
[[nodiscard]] Result<Secret> take_token(Json& data, std::initializer_list<const char*> path,
                                        std::string_view peer);

struct MachineStatus {
  DeviceState state = DeviceState::available;
  const char* text = "";  ///< "is available", ...
  bool emulated = false;
};
/// DEVICE_PROTOCOL for an unknown status.
[[nodiscard]] Result<MachineStatus> read_machine_status(const Json& data);

struct TaskStatus {
  enum : std::int64_t { waiting = 0, running = 1, done = 5, failed = 6 };
  std::int64_t id = 0;  ///< 0: not known
  std::int64_t status = waiting;
};
/// DEVICE_PROTOCOL if there is no status.
[[nodiscard]] Result<TaskStatus> read_task_status(const Json& data);

}  // namespace qama::hal::cim
