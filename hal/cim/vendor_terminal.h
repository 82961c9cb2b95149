// The vendor's terminal over HTTP: one connection with a token. What the bodies say is
// vendor_messages.h; a job's way through it is vendor_solver.h.
#pragma once

#include <array>
#include <atomic>
#include <string>
#include <string_view>

#include "hal/cim/clock.h"
#include "hal/cim/curl_library.h"
#include "hal/cim/vendor_messages.h"
#include "hal/cim/vendor_options.h"
#include "hal/cim/vendor_reply.h"

namespace qama::hal::cim {

/// One thread at a time, except stop(). libcurl has to be there (curl_library.h).
class Terminal {
 public:
  explicit Terminal(const VendorOptions& options);
  ~Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  /// Ends the request under way: CANCELLED.
  void stop() noexcept { stopped_ = true; }
  void start() noexcept { stopped_ = false; }
  [[nodiscard]] bool stopped() const noexcept { return stopped_; }

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
  struct Request {
    const char* method = "GET";
    std::string path;
    std::string_view body = {};           // JSON, or the uploaded file's name
    const std::string* upload = nullptr;  // the file
  };
  Result<Json> ask(const Request& request, TimePoint deadline, ReplyReader reply = {});
  Result<Json> send(const Request& request, TimePoint deadline, ReplyReader reply = {});
  void forget_token() noexcept;
  CURLcode perform(const Request& request, long time_ms);
  Error transport_error(CURLcode code);

  const VendorOptions& options_;
  const CurlLibrary& curl_;
  CURL* handle_;
  curl_slist* token_ = nullptr;  // the header that carries it
  ReplyReader reply_;
  std::array<char, CURL_ERROR_SIZE> why_{};  // libcurl's words for its last error
  Json user_id_;
  bool expired_ = false;   // the last request's token
  bool in_doubt_ = false;  // the last request may have arrived although it failed here
  std::atomic<bool> stopped_{false};
};

}  // namespace qama::hal::cim
