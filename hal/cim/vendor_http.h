// A connection to one of the vendor's services, terminal or cloud, through libcurl: requests out,
// envelopes in. What the bodies say is vendor_messages.h.
#pragma once

#include <array>
#include <atomic>
#include <span>
#include <string>
#include <string_view>

#include "hal/cim/clock.h"
#include "hal/cim/curl_library.h"
#include "hal/cim/vendor_messages.h"
#include "hal/cim/vendor_reply.h"

namespace qama::hal::cim {

/// Where a service is. HTTPS is TLS 1.2 or later; the certificate and its name are checked.
struct HttpPeer {
  std::string base;       ///< https://HOST:PORT
  std::string authority;  ///< PEM file of who signs its certificate; empty: the system's
  std::string_view name;  ///< in errors: "the terminal"
};

/// A part of a form: a field, or a file if it has a name of one.
struct FormPart {
  const char* name;
  std::string_view value;
  std::string file_name = {};
};

struct HttpRequest {
  const char* method = "GET";
  std::string path;
  std::string_view json = {};
  std::span<const FormPart> form = {};
  /// Must not be made twice. It gets a connection of its own: libcurl repeats a request, whatever
  /// it is, where a connection that it had used before ends without an answer.
  bool once = false;
};

/// Errors of one poll in a row that end a job.
inline constexpr int kMostFailedPolls = 3;
/// Whether the next poll may succeed where one failed so: a lost connection, a damaged answer. The
/// task itself goes on.
[[nodiscard]] bool may_mend(ErrorCode code) noexcept;

/// One thread at a time, except stop(). libcurl has to be there (curl_library.h).
class VendorHttp {
 public:
  VendorHttp();
  ~VendorHttp();
  VendorHttp(const VendorHttp&) = delete;
  VendorHttp& operator=(const VendorHttp&) = delete;

  /// Ends the request under way within a second: CANCELLED.
  void stop() noexcept { stopped_ = true; }
  void start() noexcept { stopped_ = false; }
  [[nodiscard]] bool stopped() const noexcept { return stopped_; }

  /// The envelope's data. `token` may be empty. DEADLINE_EXCEEDED, CANCELLED, DEVICE_AUTH (a
  /// certificate, or expired()), DEVICE_UNAVAILABLE (also a refusal), DEVICE_UNKNOWN (no such
  /// host), DEVICE_PROTOCOL.
  Result<Json> send(const HttpPeer& peer, const HttpRequest& request, const Secret& token,
                    TimePoint deadline, ReplyReader reply = {});
  /// The last reply, as send() read it.
  [[nodiscard]] ReplyReader& reply() noexcept { return reply_; }
  /// The last request was refused because its token is no longer good.
  [[nodiscard]] bool expired() const noexcept { return expired_; }
  /// The last request failed here, and may have been carried out there.
  [[nodiscard]] bool in_doubt() const noexcept { return in_doubt_; }

 private:
  CURLcode perform(const HttpPeer& peer, const HttpRequest& request, const Secret& token,
                   long time_ms);
  Error transport_error(const HttpPeer& peer, CURLcode code);

  const CurlLibrary& curl_;
  CURL* handle_;
  ReplyReader reply_;
  std::array<char, CURL_ERROR_SIZE> why_{};  // libcurl's words for its last error
  bool expired_ = false, in_doubt_ = false;
  std::atomic<bool> stopped_{false};
};

}  // namespace qama::hal::cim
