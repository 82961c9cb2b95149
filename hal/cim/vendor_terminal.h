// The vendor's terminal over HTTP: one connection with a token. What the bodies say is
// vendor_messages.h; a job's way through it is vendor_solver.h.
#pragma once

#include <string>
#include <string_view>

#include "hal/cim/vendor_http.h"
#include "hal/cim/vendor_options.h"

namespace qama::hal::cim {

/// One thread at a time, except stop(). libcurl has to be there (curl_library.h).
class Terminal {
 public:
  explicit Terminal(const VendorOptions& options) : options_(options) {}

  /// Ends the request under way: CANCELLED.
  void stop() noexcept { http_.stop(); }
  void start() noexcept { http_.start(); }
  [[nodiscard]] bool stopped() const noexcept { return http_.stopped(); }

  // The steps of a job, in their order. All of them: DEADLINE_EXCEEDED, CANCELLED, DEVICE_AUTH,
  // DEVICE_UNAVAILABLE, DEVICE_PROTOCOL. A token that expired is renewed once.
  Status login(TimePoint deadline);
  [[nodiscard]] Result<MachineStatus> machine_status(TimePoint deadline);
  /// The file's id.
  [[nodiscard]] Result<Json> upload(const std::string& name, const std::string& csv,
                                    TimePoint deadline);
  /// Sent once, for it must not be repeated. If it is in doubt whether it arrived, that is no
  /// error: the poll tells.
  Status submit(const std::string& task_name, const Json& file_id, TimePoint deadline);
  [[nodiscard]] Result<TaskStatus> poll(const std::string& task_name, TimePoint deadline);
  /// The samples of `width` spins, at least one; DEVICE_BAD_ANSWER if there are none.
  [[nodiscard]] Result<Samples> fetch(std::int64_t task_id, std::size_t width,
                                      std::size_t first_ancilla, TimePoint deadline);
  /// The terminal keeps tasks until they are removed. A failure is ignored: it costs no answer.
  void remove(std::int64_t task_id, TimePoint deadline);

 private:
  Result<Json> ask(const HttpRequest& request, TimePoint deadline, ReplyReader reply = {});

  const VendorOptions& options_;
  VendorHttp http_;
  Secret token_;
  Json user_id_;
};

}  // namespace qama::hal::cim
